"""Run one sender: claim, send and record messages.

The process has five threads: the sending loop (in this module) claims and sends; the recorder
stores the channel's events; the command loop carries out commands; the heartbeat renews the leases;
the main thread waits for the stop.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud.channels.base import Channel, Restart, StateReport
from hudhud.core import loops
from hudhud.core.clock import now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.db.persist import persist
from hudhud.messages import queue
from hudhud.messages.outcomes import Claimed, Outcome, Sent
from hudhud.senders import commands, records
from hudhud.verification import lifecycle
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.accounts import Accounts
from hudhud.worker.command_loop import CommandLoop
from hudhud.worker.heartbeat import Heartbeat
from hudhud.worker.pace import Pace
from hudhud.worker.program import SILENCE_SECONDS
from hudhud.worker.recorder import Recorder
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing

log = structlog.get_logger(__name__)

RESTART_EXIT_CODE = 10
LOST_EXIT_CODE = 13


def record_outcomes(
    connection: Connection,
    *,
    sender: str,
    outcomes: Sequence[Outcome],
    now: int,
    counts_traffic: bool = True,
) -> None:
    """Record outcomes, and fail verifications without any message left.

    `counts_traffic` includes the outcomes in the charts.
    """
    recorded = queue.record(connection, sender=sender, outcomes=outcomes, now=now)
    lifecycle.fail(connection, recorded.failed, now=now)
    recorded.count(connection, now=now, counts_traffic=counts_traffic)


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
        # Includes the machine, so that another machine's process does not take over our claims.
        self._holder = f"{name}@{machine}"
        self._channel_name = channel_name
        self._database = database
        self._channel = channel
        self._message_sender = message_sender
        self._pace = pace
        self._largest_batch = largest_batch
        # With a linked device, messages to the sandbox are excluded from the charts.
        self._counts_traffic = counts_traffic
        self._timing = timing or Timing()
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
            holder=self._holder,
            database=database,
            is_moving=self._is_moving,
            on_loss=self._lose_lease,
            pause_seconds=self._timing.beat,
        )
        self._state = StateReport("starting")
        self._can_send = threading.Event()
        self._stopping = threading.Event()
        self._progress = time.monotonic()
        self._may_hold_claims = False
        self._exit_code = 0

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
        self._channel.start(self._recorder.take)
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
            back = queue.reclaim_of(connection, sender=self._holder, now=now)
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
                on_unusable=self._suspect_lost_claims,
            )

    def _send_or_wait(self, doorbell: Doorbell) -> None:
        self._progress = time.monotonic()
        if not self._can_send.wait(self._timing.idle) or not self._wait_for_turn():
            return
        if not self._send_some():
            doorbell.wait(self._timing.idle)
        elif self._largest_batch > 1:
            self._stopping.wait(self._timing.batch)

    def _suspect_lost_claims(self) -> None:
        self._may_hold_claims = True

    def _wait_for_turn(self) -> bool:
        """Wait up to `timing.idle` for a turn; return whether it came."""
        self._stopping.wait(min(self._timing.idle, self._pace.wait(now_ms())))
        return not self._stopping.is_set() and self._pace.wait(now_ms()) == 0

    def _send_some(self) -> bool:
        """Claim, send and record messages; return False if none is ready."""
        if self._may_hold_claims:
            self._put_back_lost_claims()
        claimed = self._claim() if self._has_work() else []
        outcomes = []
        for message in claimed:
            self._progress = time.monotonic()
            outcomes.append(self._message_sender.send(message))
        if outcomes:
            self._record(outcomes)
        return bool(claimed)

    def _put_back_lost_claims(self) -> None:
        """Requeue claims that this loop does not know of.

        A claim may be committed although the database connection failed before the answer.
        """
        with self._database.write() as connection:
            queue.reclaim_of(connection, sender=self._holder, now=now_ms())
        self._may_hold_claims = False

    def _has_work(self) -> bool:
        with self._database.read() as connection:
            if records.is_paused(connection, name=self._name):
                return False
            return queue.has_work(
                connection,
                channel=self._channel_name,
                sender=self._name,
                now=now_ms(),
                only_known=self._reaches_only_known(),
            )

    def _reaches_only_known(self) -> bool:
        """Return whether only known contacts can be reached (not during a probe)."""
        state = self._state
        probing = state.until is not None and now_ms() >= state.until
        return state.carries == "known" and not probing

    def _claim(self) -> list[Claimed]:
        now = now_ms()
        with self._database.write() as connection:
            if not records.belongs_to(connection, name=self._name, owner=self._machine):
                self._lose_lease()
                return []
            if records.is_paused(connection, name=self._name):
                return []
            claimed = queue.claim(
                connection,
                channel=self._channel_name,
                sender=self._holder,
                limit=self._largest_batch,
                now=now,
                only_known=self._reaches_only_known(),
            )
            if claimed and not self._pace.is_unlimited:
                next_turn = self._pace.take_turn(now)
                records.plan_next_send(connection, name=self._name, at=next_turn)
        return claimed

    def _record(self, outcomes: list[Outcome]) -> None:
        """Retry until recorded, because a lost outcome means sending a message twice."""
        persist(
            lambda: self._write(outcomes),
            log=log,
            problem="outcomes cannot be recorded, trying again",
            pause_seconds=self._timing.idle / 4,
        )

    def _write(self, outcomes: list[Outcome]) -> None:
        with self._database.write() as connection:
            record_outcomes(
                connection,
                sender=self._holder,
                outcomes=outcomes,
                now=now_ms(),
                counts_traffic=self._counts_traffic,
            )
            self._note_sent(connection, outcomes)
            self._database.notify(connection)

    def _note_sent(self, connection: Connection, outcomes: list[Outcome]) -> None:
        times = [outcome.at for outcome in outcomes if isinstance(outcome, Sent)]
        if times:
            records.note_sent(connection, name=self._name, at=max(times))

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
                queue.reclaim_of(connection, sender=self._holder, now=now)
            if self._exit_code == 0:
                stopped = StateReport("stopped")
                records.report(connection, name=self._name, new=stopped, now=now)
            self._database.notify(connection)
