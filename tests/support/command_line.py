"""Helpers for tests of commands: results, an installation, a simulated sender."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import select

from hudhud import app
from hudhud.channels.base import StateReport
from hudhud.core.clock import now_ms
from hudhud.core.settings import load_settings
from hudhud.db.tables import messages
from hudhud.messages import queue
from hudhud.messages.outcomes import Outcome
from hudhud.senders import records
from hudhud.worker.outcomes import record_outcomes
from support.services import wait_until

PHONE = "+201001234567"
QR = "https://wa.me/settings/linked_devices#" + "x" * 250


class Ended(NamedTuple):
    """A command's exit code and output."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def rows(ended: Ended) -> list[list[str]]:
    """Return the cells of a printed table, without its headings."""
    return [re.split("  +", line) for line in ended.out.splitlines()[1:]]


class Installation:
    """A started installation with one sender that the test simulates."""

    def __init__(self) -> None:
        self.settings = load_settings()
        self.database = app.open_installation(self.settings)

    def play_sender(self, report: StateReport) -> None:
        """Act as supervisor and process of the sender in this state."""
        name, now = self.settings.sender_name, now_ms()
        with self.database.write() as connection:
            records.register(connection, name=name, channel=self.settings.channel, now=now)
            records.take_lease(connection, name=name, owner="test", now=now)
            records.beat(connection, name=name, now=now)
            records.report(connection, name=name, new=report, now=now)
            self.database.notify(connection)

    def rows(self) -> list[Any]:
        """Return all messages."""
        with self.database.read() as connection:
            return list(connection.execute(select(messages).order_by(messages.c.id)))

    def claim(self) -> int:
        """Claim the message that a command queues; return its id."""
        wait_until(lambda: bool(self.rows()), 20, "a message")
        now, channel = now_ms(), self.settings.channel
        with self.database.write() as connection:
            (claimed,) = queue.claim(
                connection, channel=channel, sender=self.settings.sender_name, limit=1, now=now
            )
            self.database.notify(connection)
        return claimed.id

    def record(self, outcome: Outcome) -> None:
        """Record the outcome of the message."""
        with self.database.write() as connection:
            record_outcomes(
                connection, sender=self.settings.sender_name, outcomes=[outcome], now=now_ms()
            )
            self.database.notify(connection)


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    """Simulate the sender while a command waits for it."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
