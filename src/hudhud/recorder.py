"""Write down what a channel tells on its own: states, receipts, people's messages."""

import queue
import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud import contacts, inbound, messages, senders
from hudhud.channels.base import Event, Restart
from hudhud.clock import now_ms
from hudhud.db.engine import Database
from hudhud.inbound import Inbound
from hudhud.messages import Receipt
from hudhud.senders import StateReport

log = structlog.get_logger(__name__)

RECEIPT_HELD_SECONDS = 60.0
POLL_SECONDS = 0.25


class Recorder:
    """Takes events without blocking, from any thread, and records them in groups.

    A receipt may come before its send is recorded; it is held for `RECEIPT_HELD_SECONDS`.
    """

    def __init__(
        self,
        *,
        sender: str,
        database: Database,
        on_state: Callable[[StateReport], None],
        on_restart: Callable[[Restart], None],
    ) -> None:
        self._sender = sender
        self._database = database
        self._on_state = on_state
        self._on_restart = on_restart
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._held: list[tuple[float, Receipt]] = []

    def take(self, event: Event) -> None:
        """Take an event to record."""
        self._events.put(event)

    def run(self) -> None:
        """Record for as long as the process lives."""
        while True:
            events = self._next_events()
            while not self._record(events):
                time.sleep(POLL_SECONDS)

    def _next_events(self) -> list[Event]:
        try:
            events = [self._events.get(timeout=POLL_SECONDS)]
        except queue.Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def _record(self, events: Sequence[Event]) -> bool:
        """Record a group; False where the database cannot be used and it must be tried again."""
        receipts = [receipt for _until, receipt in self._held]
        receipts += [event for event in events if isinstance(event, Receipt)]
        if not events and not receipts:
            return True
        try:
            with self._database.write() as connection:
                unknown = messages.record_receipts(connection, receipts)
                for event in events:
                    self._write(connection, event)
                self._database.ring(connection)
        except SQLAlchemyError as error:
            log.error("events cannot be recorded, trying again", error=str(error))  # noqa: TRY400 -- an operator needs no traceback for it
            return False
        self._hold(events, unknown)
        self._pass_on(events)
        return True

    def _write(self, connection: Connection, event: Event) -> None:
        match event:
            case StateReport():
                senders.report(connection, name=self._sender, new=event, now=now_ms())
            case Inbound():
                inbound.keep(connection, sender=self._sender, message=event)
                contacts.remember_wrote(connection, phone=event.phone, at=event.at)
            case Restart(forget_device=True):
                senders.forget_device(connection, name=self._sender)

    def _hold(self, events: Sequence[Event], unknown: set[str]) -> None:
        now = time.monotonic()
        arrived = [
            (now + RECEIPT_HELD_SECONDS, event) for event in events if isinstance(event, Receipt)
        ]
        self._held = [
            (until, receipt)
            for until, receipt in self._held + arrived
            if receipt.provider_message_id in unknown and until > now
        ]

    def _pass_on(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, StateReport):
                self._on_state(event)
            elif isinstance(event, Restart):
                self._on_restart(event)
