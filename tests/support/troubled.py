"""Senders in every state, inserted into a running service's database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from hudhud.channels.base import State
from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import sender_states, senders
from support.queued import put_sender
from support.services import Service, sqlite_of

STATES: tuple[State, ...] = (
    "starting",
    "reconnecting",
    "logged_out",
    "restricted",
    "outdated",
    "replaced",
    "connected",
)
OURS = "branch-%"


@contextmanager
def troubled_senders(service: Service) -> Iterator[None]:
    """Insert a sender for each state, and one that does not run; remove them afterwards."""
    with closing(sqlite_of(service)) as database:
        _put_senders(database)
        yield
        with database.write() as connection:
            connection.execute(sender_states.delete().where(sender_states.c.sender.like(OURS)))
            connection.execute(senders.delete().where(senders.c.name.like(OURS)))
            database.notify(connection)


def _put_senders(database: Database) -> None:
    later = now_ms() + HOUR_MS  # they have no heartbeat
    for state in STATES:
        name = f"branch-{state.replace('_', '-')}"
        put_sender(database, name, state, channel="linked")
        with database.write() as connection:
            connection.execute(
                senders.update()
                .where(senders.c.name == name)
                .values(
                    heartbeat_at=later,
                    lease_expires_at=later,
                    phone="+201001234567",
                    until=later if state == "restricted" else None,
                )
            )
    put_sender(database, "branch-stopped", channel="linked", now=now_ms() - HOUR_MS)
