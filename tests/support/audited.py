"""Records of admins' actions: audit entries and commands to senders."""

from sqlalchemy import select

from hudhud.db.engine import Database
from hudhud.db.tables import audit, commands


def notes(database: Database, what: str) -> list[tuple[str, str | None, str]]:
    """Return actor, subject and outcome of the audit entries of `what`."""
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.what == what).order_by(audit.c.id))
        return [(row.who, row.subject, row.outcome) for row in rows]


def asked(database: Database) -> list[tuple[str, str, str | None]]:
    """Return the commands to senders."""
    with database.read() as connection:
        rows = connection.execute(select(commands).order_by(commands.c.id))
        return [(row.sender, row.kind, row.argument) for row in rows]
