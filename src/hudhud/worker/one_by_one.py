"""Send one message after another, at the sender's pace."""

import threading
from collections.abc import Callable

import structlog

from hudhud.core.clock import now_ms
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.db.persist import persist
from hudhud.messages.counters import Counts
from hudhud.messages.outcomes import Claimed, Outcome
from hudhud.senders import records
from hudhud.worker.claims import Claims
from hudhud.worker.outcomes import note_last_sent, record_outcomes
from hudhud.worker.pace import Pace
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing

log = structlog.get_logger(__name__)


class OneByOne:
    """Claims, sends and records one message at a time.

    Its outcome is on disk before the next message begins, because a lost outcome means sending a
    message twice. `on_progress` is called before each send, which may take long.
    """

    def __init__(
        self,
        *,
        sender: str,
        database: Database,
        claims: Claims,
        message_sender: MessageSender,
        pace: Pace,
        stopping: threading.Event,
        on_progress: Callable[[], None],
        counts_traffic: bool,
        timing: Timing,
    ) -> None:
        self._sender = sender
        self._database = database
        self._claims = claims
        self._message_sender = message_sender
        self._pace = pace
        self._stopping = stopping
        self._on_progress = on_progress
        self._counts_traffic = counts_traffic
        self._timing = timing

    def step(self, doorbell: Doorbell) -> None:
        """Send a message, or wait up to `timing.idle` for one or for a turn."""
        if not self._wait_for_turn():
            return
        claimed = self._claim() if self._claims.may_be_there() else []
        for message in claimed:
            self._on_progress()
            self._record(self._message_sender.send(message))
        if not claimed:
            doorbell.wait(self._timing.idle)

    def record_rest(self) -> None:
        """Do nothing: every outcome is recorded."""

    def _wait_for_turn(self) -> bool:
        """Wait up to `timing.idle` for a turn; return whether it came."""
        self._stopping.wait(min(self._timing.idle, self._pace.wait(now_ms())))
        return not self._stopping.is_set() and self._pace.wait(now_ms()) == 0

    def _claim(self) -> list[Claimed]:
        now, counts = now_ms(), Counts()
        with self._database.write() as connection:
            claimed = self._claims.take(connection, limit=1, now=now, counts=counts)
            counts.write(connection, now=now)
            if claimed and not self._pace.is_unlimited:
                next_turn = self._pace.take_turn(now)
                records.plan_next_send(connection, name=self._sender, at=next_turn)
        return claimed

    def _record(self, outcome: Outcome) -> None:
        """Retry until recorded."""
        persist(
            lambda: self._write(outcome),
            log=log,
            problem="outcomes cannot be recorded, trying again",
            pause_seconds=self._timing.idle / 4,
        )

    def _write(self, outcome: Outcome) -> None:
        holder = self._claims.holder
        with self._database.write() as connection:
            record_outcomes(
                connection,
                sender=holder,
                outcomes=[outcome],
                now=now_ms(),
                counts_traffic=self._counts_traffic,
            )
            note_last_sent(connection, sender=holder, outcomes=[outcome])
            self._database.notify(connection)
