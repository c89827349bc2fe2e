"""Run one sender: claim, send and record messages.

The process has five threads: the sending loop claims, sends and records, `OneByOne` or in `Rounds`;
the recorder stores the channel's events; the command loop carries out commands; the heartbeat
renews the leases; the main thread waits for the stop.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud.channels.base import Channel, Restart, StateReport
from hudhud.core import loops
from hudhud.core.clock import now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.messages import queue
from hudhud.senders import commands, records
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.accounts import Accounts
from hudhud.worker.claims import Claims
from hudhud.worker.command_loop import CommandLoop
from hudhud.worker.heartbeat import Heartbeat
from hudhud.worker.one_by_one import OneByOne
from hudhud.worker.pace import Pace
from hudhud.worker.program import SILENCE_SECONDS
from hudhud.worker.recorder import Recorder
from hudhud.worker.rounds import Rounds
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing

log = structlog.get_logger(__name__)

RESTART_EXIT_CODE = 10
LOST_EXIT_CODE = 13


class Worker:
    """Runs one sender until it is asked to stop or must restart."""

    def __init__(
        self,
        *,
        name: str,
        machine: str,
        channel_name: str,
        database: Database,
        channel: Channel,
        message_sender: MessageSender,
        link_replies: LinkReplies,
        pace: Pace,
        largest_batch: int,
        counts_traffic: bool = True,
        timing: Timing | None = None,
    ) -> None:
        self._name = name
        self._machine = machine
        self._database = database
        self._channel = channel
        self._timing = timing or Timing()
        self._state = StateReport("starting")
        self._can_send = threading.Event()
        self._stopping = threading.Event()
        self._progress = time.monotonic()
        self._exit_code = 0
        self._claims = Claims(
            sender=name,
            machine=machine,
            channel_name=channel_name,
            database=database,
            reaches_only_known=self._reaches_only_known,
            on_loss=self._lose_lease,
        )
        self._recorder = Recorder(
            sender=name,
            channel_name=channel_name,
            database=database,
            accounts=Accounts(database, channel),
            link_replies=link_replies,
            on_state=self._enter,
            on_restart=self._restart,
            counts_traffic=counts_traffic,
            timing=self._timing,
        )
        self._command_loop = CommandLoop(
            sender=name,
            database=database,
            channel=channel,
            restart=self._restart,
            timing=self._timing,
        )
        self._heartbeat = Heartbeat(
            sender=name,
            machine=machine,
            holder=self._claims.holder,
            database=database,
            is_moving=self._is_moving,
            on_loss=self._lose_lease,
            pause_seconds=self._timing.beat,
        )
        self._sending: OneByOne | Rounds
        if largest_batch == 1:
            self._sending = OneByOne(
                sender=name,
                database=database,
                claims=self._claims,
                message_sender=message_sender,
                pace=pace,
                stopping=self._stopping,
                on_progress=self._note_progress,
                counts_traffic=counts_traffic,
                timing=self._timing,
            )
            self._take_event = self._recorder.take
        else:
            self._sending = Rounds(
                database=database,
                claims=self._claims,
                message_sender=message_sender,
                recorder=self._recorder,
                largest_batch=largest_batch,
                stopping=self._stopping,
                counts_traffic=counts_traffic,
                timing=self._timing,
            )
            self._take_event = self._sending.take

    def request_stop(self) -> None:
        """Ask the worker to finish the current send and stop."""
        self._stopping.set()
        self._can_send.set()

    def run(self) -> int:
        """Work until stopped; return the exit code of the process."""
        self._take_over()
        sending = self._start(self._send_loop)
        recording = self._start(self._recorder.run)
        self._start(lambda: self._command_loop.run(self._stopping))
        self._start(lambda: self._heartbeat.run(self._stopping))
        self._channel.start(self._take_event)
        self._stopping.wait()
        self._wind_up(sending, recording)
        return self._exit_code

    def _start(self, loop: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return thread

    def _take_over(self) -> None:
        """Requeue the messages of the previous process."""
        # Safe, because the lock file proves that it has ended.
        now = now_ms()
        with self._database.write() as connection:
            back = queue.reclaim_of(connection, sender=self._claims.holder, now=now)
            commands.abandon(connection, sender=self._name, now=now)
            records.note_silence(connection, name=self._name, now=now)
            records.report(connection, name=self._name, new=self._state, now=now)
            records.beat(connection, name=self._name, now=now)
        if back:
            log.warning("requeued messages of the previous process", count=back)

    def _send_loop(self) -> None:
        with closing(self._database.doorbell()) as doorbell:
            loops.repeat(
                lambda: self._send_or_wait(doorbell),
                stopping=self._stopping,
                log=log,
                pause_seconds=self._timing.idle,
                on_unusable=self._claims.suspect_lost,
            )
        self._sending.record_rest()

    def _send_or_wait(self, doorbell: Doorbell) -> None:
        self._note_progress()
        if self._can_send.wait(self._timing.idle):
            self._sending.step(doorbell)
        else:
            self._sending.record_rest()

    def _note_progress(self) -> None:
        self._progress = time.monotonic()

    def _reaches_only_known(self) -> bool:
        """Return whether only known contacts can be reached (not during a probe)."""
        state = self._state
        probing = state.until is not None and now_ms() >= state.until
        return state.carries == "known" and not probing

    def _enter(self, state: StateReport) -> None:
        if state.state != self._state.state:
            detail = None if state.detail is None else state.detail.english()
            log.info("state", state=state.state, detail=detail)
        self._state = state
        if state.carries == "none" and not self._stopping.is_set():
            self._can_send.clear()
        else:
            self._can_send.set()

    def _restart(self, wanted: Restart) -> None:
        log.warning("restarting the sender", reason=wanted.reason)
        self._exit_code = RESTART_EXIT_CODE
        self.request_stop()

    def _lose_lease(self) -> None:
        """Stop, and leave the sender's record to the other machine."""
        log.error("another machine has taken over this sender; stopping here", sender=self._name)
        self._exit_code = LOST_EXIT_CODE
        self.request_stop()

    def _is_moving(self) -> bool:
        return time.monotonic() - self._progress < SILENCE_SECONDS

    def _wind_up(self, sending: threading.Thread, recording: threading.Thread) -> None:
        sending.join(self._timing.last_send)
        stop = self._start(self._channel.stop)
        stop.join(self._timing.channel_stop)
        self._recorder.stop()
        recording.join(self._timing.last_record)
        try:
            self._leave_records(sent_all=not sending.is_alive())
        except SQLAlchemyError as error:
            log_unusable(log.error, "could not record the stop of the sender", error)

    def _leave_records(self, *, sent_all: bool) -> None:
        now = now_ms()
        with self._database.write() as connection:
            if not sent_all:
                log.warning("a send did not finish in time; requeueing its message")
                queue.reclaim_of(connection, sender=self._claims.holder, now=now)
            if self._exit_code == 0:
                stopped = StateReport("stopped")
                records.report(connection, name=self._name, new=stopped, now=now)
            self._database.notify(connection)
