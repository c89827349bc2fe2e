"""Named values that concern the whole installation (table `installation`)."""

from sqlalchemy import ColumnElement, Connection, delete, select, update

from hudhud.db.tables import installation
from hudhud.db.upserts import insert_or_ignore, insert_or_update


def read(connection: Connection, name: str) -> str | None:
    """Return a value, or None if it does not exist."""
    value: str | None = connection.scalar(select(installation.c.value).where(_is(name)))
    return value


def write(connection: Connection, name: str, value: str) -> None:
    """Store a value, replacing any earlier one."""
    insert_or_update(connection, installation, {"name": name}, {"value": value})


def replace(connection: Connection, name: str, *, before: str | None, value: str) -> bool:
    """Change a value if it still is `before`; return whether it was.

    `before` is None if there was no value. Only one of several concurrent calls succeeds.
    """
    if before is None:
        return insert_or_ignore(connection, installation, {"name": name, "value": value})
    changed = update(installation).where(_is(name), installation.c.value == before)
    return connection.execute(changed.values(value=value)).rowcount == 1


def remove(connection: Connection, name: str) -> None:
    """Delete a value, if there is one."""
    connection.execute(delete(installation).where(_is(name)))


def _is(name: str) -> ColumnElement[bool]:
    return installation.c.name == name
