"""Senders in every state, inserted into a running service's database."""

from hudhud.channels.base import State
from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.db.tables import senders
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


def put_troubled_senders(service: Service) -> None:
    """Insert a sender for each state, and one that does not run."""
    database = sqlite_of(service)
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
    database.close()
