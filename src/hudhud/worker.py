"""One sender: claim, send, record.

The process has four threads: the sending loop (here) claims and sends; the recorder writes what
the channel tells on its own; the control loop beats and carries out commands; the main thread
waits for the end.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud import queue, senders
from hudhud.channels.base import Channel, Restart
from hudhud.clock import now_ms
from hudhud.control import Control
from hudhud.db.engine import Database
from hudhud.delivery import Delivery
from hudhud.pace import Pace
from hudhud.queue import Claimed, Outcome
from hudhud.recorder import Recorder
from hudhud.senders import StateReport

log = structlog.get_logger(__name__)

LARGEST_BATCH = 200
# Without a pace, what comes in during this time is sent together: few large transactions leave
# SQLite's lock to those who accept.
BATCH_SECONDS = 0.02
IDLE_SECONDS = 1.0
# The supervisor allows 7 s for these together.
LAST_SEND_SECONDS = 4.0
CHANNEL_STOP_SECONDS = 2.0
LAST_RECORD_SECONDS = 0.5
RESTART_EXIT_CODE = 10


class Worker:
    """Runs one sender until it is told to stop or must start anew."""

    def __init__(
        self,
        *,
        name: str,
        channel_name: str,
        database: Database,
        channel: Channel,
        delivery: Delivery,
        pace: Pace,
    ) -> None:
        self._name = name
        self._channel_name = channel_name
        self._database = database
        self._channel = channel
        self._delivery = delivery
        self._pace = pace
        self._recorder = Recorder(
            sender=name, database=database, on_state=self._enter, on_restart=self._restart
        )
        self._control = Control(
            sender=name,
            database=database,
            channel=channel,
            is_moving=self._is_moving,
            restart=self._restart,
        )
        self._state = StateReport("starting")
        self._can_send = threading.Event()
        self._stopping = threading.Event()
        self._progress = time.monotonic()
        self._exit_code = 0

    def request_stop(self) -> None:
        """Ask the worker to finish what it sends and to end."""
        self._stopping.set()
        self._can_send.set()

    def run(self) -> int:
        """Work until stopped; return the exit code of the process."""
        self._take_over()
        sending = self._start(self._send_loop)
        recording = self._start(self._recorder.run)
        self._start(lambda: self._control.run(self._stopping))
        self._channel.start(self._recorder.take)
        self._stopping.wait()
        self._wind_up(sending, recording)
        return self._exit_code

    def _start(self, loop: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return thread

    def _take_over(self) -> None:
        """Put back what this process's predecessor held; the lock file proves that it ended."""
        now = now_ms()
        with self._database.write() as connection:
            back = queue.reclaim_of(connection, sender=self._name, now=now)
            senders.report(connection, name=self._name, new=self._state, now=now)
            senders.beat(connection, name=self._name, now=now)
        if back:
            log.warning("messages of an ended process go back to the queue", count=back)

    def _send_loop(self) -> None:
        with closing(self._database.doorbell()) as doorbell:
            while not self._stopping.is_set():
                self._progress = time.monotonic()
                try:
                    if not self._can_send.wait(IDLE_SECONDS) or not self._is_turn():
                        continue
                    if not self._send_some():
                        doorbell.wait(IDLE_SECONDS)
                    elif self._pace.is_unlimited:
                        self._stopping.wait(BATCH_SECONDS)
                except SQLAlchemyError as error:
                    log.error("the database cannot be used, trying again", error=str(error))  # noqa: TRY400 -- an operator needs no traceback for it
                    self._stopping.wait(IDLE_SECONDS)

    def _is_turn(self) -> bool:
        """Wait for the turn that the pace gives, but not past a stop."""
        self._stopping.wait(min(IDLE_SECONDS, self._pace.wait(now_ms())))
        return not self._stopping.is_set() and self._pace.wait(now_ms()) == 0

    def _send_some(self) -> bool:
        """Claim what may go now, send it and record it; False where nothing waits."""
        with self._database.read() as connection:
            if not queue.has_work(connection, channel=self._channel_name, now=now_ms()):
                return False
        claimed = self._claim()
        outcomes = [self._delivery.deliver(message) for message in claimed]
        if outcomes:
            self._record(outcomes)
        return bool(claimed)

    def _claim(self) -> list[Claimed]:
        now = now_ms()
        state = self._state
        probing = state.until is not None and now >= state.until
        with self._database.write() as connection:
            claimed = queue.claim(
                connection,
                channel=self._channel_name,
                sender=self._name,
                limit=LARGEST_BATCH if self._pace.is_unlimited else 1,
                now=now,
                only_known=state.carries == "known" and not probing,
            )
            if claimed and not self._pace.is_unlimited:
                next_turn = self._pace.take_turn(now)
                senders.plan_next_send(connection, name=self._name, at=next_turn)
        return claimed

    def _record(self, outcomes: list[Outcome]) -> None:
        """Record until it is on disk: an outcome that is lost is a message sent twice."""
        while True:
            try:
                with self._database.write() as connection:
                    queue.record(connection, sender=self._name, outcomes=outcomes)
                    self._database.ring(connection)
            except SQLAlchemyError as error:
                log.error("outcomes cannot be recorded, trying again", error=str(error))  # noqa: TRY400 -- an operator needs no traceback for it
                time.sleep(IDLE_SECONDS / 4)
            else:
                return

    def _enter(self, state: StateReport) -> None:
        if state.state != self._state.state:
            log.info("state", state=state.state, detail=state.detail)
        self._state = state
        if state.carries == "none" and not self._stopping.is_set():
            self._can_send.clear()
        else:
            self._can_send.set()

    def _restart(self, wanted: Restart) -> None:
        log.warning("the sender starts anew", reason=wanted.reason)
        self._exit_code = RESTART_EXIT_CODE
        self.request_stop()

    def _is_moving(self) -> bool:
        return time.monotonic() - self._progress < senders.SILENCE_MS / 1000

    def _wind_up(self, sending: threading.Thread, recording: threading.Thread) -> None:
        sending.join(LAST_SEND_SECONDS)
        stop = self._start(self._channel.stop)
        stop.join(CHANNEL_STOP_SECONDS)
        self._recorder.stop()
        recording.join(LAST_RECORD_SECONDS)
        try:
            self._leave_records(sent_all=not sending.is_alive())
        except SQLAlchemyError as error:
            log.error("the end could not be recorded", error=str(error))  # noqa: TRY400 -- an operator needs no traceback for it

    def _leave_records(self, *, sent_all: bool) -> None:
        now = now_ms()
        with self._database.write() as connection:
            if not sent_all:
                log.warning("a send did not end in time, its message goes back to the queue")
                queue.reclaim_of(connection, sender=self._name, now=now)
            if self._exit_code != RESTART_EXIT_CODE:
                stopped = StateReport("stopped")
                senders.report(connection, name=self._name, new=stopped, now=now)
            self._database.ring(connection)
