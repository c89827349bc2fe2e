"""What admins' actions leave behind: notes in the audit, commands to senders."""

from sqlalchemy import select

from hudhud.db.engine import Database
from hudhud.db.tables import audit, commands


def notes(database: Database, what: str) -> list[tuple[str, str | None, str]]:
    """Return who did `what` to which subject, and the outcome."""
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.what == what).order_by(audit.c.id))
        return [(row.who, row.subject, row.outcome) for row in rows]


def asked(database: Database) -> list[tuple[str, str, str | None]]:
    """Return the commands to senders."""
    with database.read() as connection:
        rows = connection.execute(select(commands).order_by(commands.c.id))
        return [(row.sender, row.kind, row.argument) for row in rows]
