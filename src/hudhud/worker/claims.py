"""Claim messages for one sender, unless it is paused or belongs to another machine."""

from collections.abc import Callable

from sqlalchemy import Connection

from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.messages import queue
from hudhud.messages.counters import Counts
from hudhud.messages.outcomes import Claimed
from hudhud.senders import records


class Claims:
    """Claims the messages of one sender's process.

    `reaches_only_known` returns whether only people who wrote first can be reached. `on_loss` is
    called when another machine has taken over the sender.
    """

    def __init__(
        self,
        *,
        sender: str,
        machine: str,
        channel_name: str,
        database: Database,
        reaches_only_known: Callable[[], bool],
        on_loss: Callable[[], None],
    ) -> None:
        # Includes the machine, so that another machine's process does not take over our claims.
        self.holder = f"{sender}@{machine}"
        self._sender = sender
        self._machine = machine
        self._channel_name = channel_name
        self._database = database
        self._reaches_only_known = reaches_only_known
        self._on_loss = on_loss
        self._suspects_lost = False

    def suspect_lost(self) -> None:
        """Requeue, with the next `take`, the claims whose outcomes are not recorded by then.

        A claim may be committed although the database connection failed before the answer.
        """
        self._suspects_lost = True

    def may_be_there(self) -> bool:
        """Return whether `take` would change anything, without taking a write lock."""
        if self._suspects_lost:
            return True
        with self._database.read() as connection:
            if records.is_paused(connection, name=self._sender):
                return False
            return queue.has_work(
                connection,
                channel=self._channel_name,
                sender=self._sender,
                now=now_ms(),
                only_known=self._reaches_only_known(),
            )

    def take(
        self, connection: Connection, *, limit: int, now: int, counts: Counts
    ) -> list[Claimed]:
        """Claim at most `limit` messages; the caller writes the `counts`."""
        if self._suspects_lost:
            queue.reclaim_of(connection, sender=self.holder, now=now, counts=counts)
            self._suspects_lost = False
        if not records.belongs_to(connection, name=self._sender, owner=self._machine):
            self._on_loss()
            return []
        if records.is_paused(connection, name=self._sender):
            return []
        return queue.claim(
            connection,
            channel=self._channel_name,
            sender=self.holder,
            limit=limit,
            now=now,
            only_known=self._reaches_only_known(),
            counts=counts,
        )
