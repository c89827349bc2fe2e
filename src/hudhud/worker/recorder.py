"""Record a channel's events: states, receipts and inbound messages."""

import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import structlog
from sqlalchemy import Connection

from hudhud.channels.base import (
    UNNAMED,
    ChannelEvent,
    Inbound,
    Receipt,
    Restart,
    StateReport,
    Written,
)
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.persist import persist
from hudhud.messages import contacts, whatsapp_accounts
from hudhud.messages import receipts as message_receipts
from hudhud.senders import records
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.accounts import Accounts
from hudhud.worker.held_receipts import HeldReceipts
from hudhud.worker.timing import Timing
from hudhud.worker.writers import Writers

log = structlog.get_logger(__name__)


class Recorder:
    """Accepts events from any thread without blocking, and records them in groups.

    A receipt that comes before its send is recorded is held for `timing.receipt_held` seconds.
    """

    def __init__(
        self,
        *,
        sender: str,
        channel_name: str,
        database: Database,
        accounts: Accounts,
        link_replies: LinkReplies,
        on_state: Callable[[StateReport], None],
        on_restart: Callable[[Restart], None],
        counts_traffic: bool = True,
        timing: Timing | None = None,
    ) -> None:
        self._sender = sender
        self._channel_name = channel_name
        self._database = database
        self._writers = Writers(sender, database, accounts, link_replies)
        self._link_replies = link_replies
        self._on_state = on_state
        self._on_restart = on_restart
        self._counts_traffic = counts_traffic
        self._timing = timing or Timing()
        self._events: SimpleQueue[ChannelEvent | None] = SimpleQueue()
        self._stopping = False
        self._held = HeldReceipts(self._timing.receipt_held)

    def take(self, event: ChannelEvent) -> None:
        """Add an event to record."""
        self._events.put(event)

    def run(self) -> None:
        """Record until stopped."""
        while not self._stopping:
            self._record(self._next_events())

    def stop(self) -> None:
        """End `run` once all events taken so far are recorded."""
        self._events.put(None)

    def _next_events(self) -> list[ChannelEvent]:
        try:
            taken = [self._events.get(timeout=self._timing.record_poll)]
        except Empty:
            return []
        time.sleep(self._timing.gather)
        while not self._events.empty():
            taken.append(self._events.get())
        self._stopping = None in taken
        return [event for event in taken if event is not None]

    def _record(self, events: Sequence[ChannelEvent]) -> None:
        """Record a group; if that fails, record its events one by one."""
        try:
            persist(
                lambda: self._write(events),
                log=log,
                problem="events cannot be recorded, trying again",
                pause_seconds=self._timing.record_poll,
            )
        except Exception:
            if len(events) > 1:
                for event in events:
                    self._record([event])
                return
            log.exception("event lost: it cannot be recorded")
        self._pass_on(events)

    def _write(self, events: Sequence[ChannelEvent]) -> None:
        """Record events, and held receipts whose sends have been recorded."""
        arrived = [event for event in events if isinstance(event, Receipt)]
        self._held.forget_old()
        if not events and not self._held_can_be_recorded():
            return
        with self._database.write() as connection:
            receipts = self._held.receipts + arrived
            unknown = message_receipts.record_receipts(
                connection, receipts, now=now_ms(), counts_traffic=self._counts_traffic
            )
            for event in events:
                self._write_one(connection, event)
            self._database.notify(connection)
        self._held.update(arrived, unknown)
        self._name_accounts([one for one in receipts if one.provider_message_id not in unknown])
        for event in events:
            if isinstance(event, Written):
                self._write_inbound(event)

    def _write_one(self, connection: Connection, event: ChannelEvent) -> None:
        match event:
            case StateReport():
                records.report(connection, name=self._sender, new=event, now=now_ms())
            case Restart(forget_device=True):
                records.forget_device(connection, name=self._sender)

    def _name_accounts(self, receipts: Sequence[Receipt]) -> None:
        """Store names of accounts that were unknown before these receipts."""
        if all(receipt.account == UNNAMED for receipt in receipts):
            return
        with self._database.read() as connection:
            added = whatsapp_accounts.added_by(connection, receipts)
        if added:
            with self._database.write() as connection:
                for phone in sorted(added):  # the same order everywhere, to avoid deadlocks
                    contacts.name_account(connection, phone=phone, account=added[phone])

    def _write_inbound(self, written: Written) -> None:
        """Record and answer an inbound message in a separate transaction."""
        confirmed = self._writers.confirmed(written)
        # The answer updates the counters, which must be last in a transaction (`counters.py`).
        with self._database.write() as connection:
            phone = whatsapp_accounts.number_behind(connection, written.account)
            if phone is None:
                log.warning("inbound message dropped: WhatsApp did not reveal the sender's number")
                return
            message = Inbound(written.provider_message_id, phone, written.text, written.at)
            is_new = contacts.keep_inbound(connection, sender=self._sender, message=message)
            numbers = self._writers.note(connection, phone, written, confirmed)
            if is_new:
                self._link_replies.take(
                    connection,
                    message,
                    numbers=numbers,
                    confirmed=confirmed,
                    channel=self._channel_name,
                    sender=self._sender,
                    now=now_ms(),
                )
            self._database.notify(connection)

    def _held_can_be_recorded(self) -> bool:
        ids = {receipt.provider_message_id for receipt in self._held.receipts}
        if not ids:
            return False
        with self._database.read() as connection:  # takes no lock, unlike an update without effect
            return len(message_receipts.unknown_of(connection, ids)) < len(ids)

    def _pass_on(self, events: Sequence[ChannelEvent]) -> None:
        for event in events:
            if isinstance(event, StateReport):
                self._on_state(event)
            elif isinstance(event, Restart):
                self._on_restart(event)
