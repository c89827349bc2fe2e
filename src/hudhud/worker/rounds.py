"""Send in batches over a channel whose sends are instant, with one transaction per round."""

import threading
from collections import deque

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud.channels.base import UNNAMED, ChannelEvent, Receipt
from hudhud.core.clock import now_ms
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database, may_pass
from hudhud.db.persist import persist
from hudhud.messages.counters import Counts
from hudhud.messages.outcomes import Claimed, Outcome
from hudhud.messages.receipts import record_receipts
from hudhud.worker.claims import Claims
from hudhud.worker.held_receipts import HeldReceipts
from hudhud.worker.outcomes import note_last_sent, record_outcomes
from hudhud.worker.recorder import Recorder
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing

log = structlog.get_logger(__name__)


class Rounds:
    """Records the last batch, records receipts and claims the next batch in one transaction.

    Then it sends that batch. If the process is killed before the next round, the batch is requeued
    and sent again, so this is only for channels where that does no harm.
    """

    def __init__(
        self,
        *,
        database: Database,
        claims: Claims,
        message_sender: MessageSender,
        recorder: Recorder,
        largest_batch: int,
        stopping: threading.Event,
        counts_traffic: bool,
        timing: Timing,
    ) -> None:
        self._database = database
        self._claims = claims
        self._message_sender = message_sender
        self._recorder = recorder
        self._largest_batch = largest_batch
        self._stopping = stopping
        self._counts_traffic = counts_traffic
        self._timing = timing
        self._arrived: deque[Receipt] = deque()
        # To record with the next round.
        self._outcomes: list[Outcome] = []
        self._receipts: list[Receipt] = []
        self._held = HeldReceipts(timing.receipt_held)

    def take(self, event: ChannelEvent) -> None:
        """Keep a receipt for the next round; leave other events to the recorder.

        It also gets receipts that name an account, which need further transactions.
        """
        if isinstance(event, Receipt) and event.account == UNNAMED:
            self._arrived.append(event)
        else:
            self._recorder.take(event)

    def step(self, doorbell: Doorbell) -> None:
        """Run a round, or wait up to `timing.record_poll` for something to do."""
        if self._stopping.is_set():
            return
        if not self._has_something_to_record() and not self._claims.may_be_there():
            doorbell.wait(self._timing.record_poll)
            return
        claimed = self._write(self._largest_batch)
        self._outcomes = [self._message_sender.send(message) for message in claimed]
        self._stopping.wait(self._timing.round)

    def record_rest(self) -> None:
        """Record what was sent and what arrived since the last round; retry until recorded."""
        if self._has_something_to_record():
            persist(
                lambda: self._write(0),
                log=log,
                problem="outcomes cannot be recorded, trying again",
                pause_seconds=self._timing.idle / 4,
            )

    def _has_something_to_record(self) -> bool:
        return bool(self._outcomes or self._receipts or self._arrived)

    def _write(self, limit: int) -> list[Claimed]:
        """Record everything, and claim at most `limit` messages."""
        while self._arrived:
            self._receipts.append(self._arrived.popleft())
        try:
            with self._database.write() as connection:
                unknown, claimed = self._write_in(connection, limit)
        except SQLAlchemyError as error:
            self._claims.suspect_lost()
            if not may_pass(error):
                self._give_up()
            raise
        self._held.update(self._receipts, unknown)
        self._held.forget_old()
        self._outcomes, self._receipts = [], []
        return claimed

    def _write_in(self, connection: Connection, limit: int) -> tuple[set[str], list[Claimed]]:
        """Return the messages of receipts that are unknown, and those claimed."""
        now, counts, holder = now_ms(), Counts(), self._claims.holder
        traffic = self._counts_traffic
        if self._outcomes:
            record_outcomes(
                connection,
                sender=holder,
                outcomes=self._outcomes,
                now=now,
                counts_traffic=traffic,
                counts=counts,
            )
        receipts = self._held.receipts + self._receipts
        unknown = record_receipts(
            connection, receipts, now=now, counts_traffic=traffic, counts=counts
        )
        # After the outcomes, so that it may requeue what is still held.
        claimed = self._claims.take(connection, limit=limit, now=now, counts=counts)
        counts.write(connection, now=now)
        note_last_sent(connection, sender=holder, outcomes=self._outcomes)
        self._database.notify(connection)
        return unknown, claimed

    def _give_up(self) -> None:
        """Drop outcomes that cannot be recorded; the recorder tries the receipts one by one.

        The messages are requeued, because their claims remain.
        """
        for receipt in self._receipts:
            self._recorder.take(receipt)
        self._outcomes, self._receipts = [], []
