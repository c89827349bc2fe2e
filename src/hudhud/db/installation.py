"""Rows of the table `installation`: facts about the installation as a whole, each under a name."""

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from hudhud.db.tables import installation
from hudhud.db.upserts import insert_or_ignore, insert_or_update


def read(connection: Connection, name: str) -> str | None:
    """Return a value, or None where there is none."""
    value: str | None = connection.scalar(select(installation.c.value).where(_is(name)))
    return value


def add(connection: Connection, name: str, value: str) -> None:
    """Store a value that does not exist yet. Raises IntegrityError where it does."""
    connection.execute(insert(installation).values(name=name, value=value))


def write(connection: Connection, name: str, value: str) -> None:
    """Store a value, in the place of the former one."""
    insert_or_update(connection, installation, {"name": name}, {"value": value})


def replace(connection: Connection, name: str, *, before: str | None, value: str) -> bool:
    """Change a value from `before`, None where there was none; False where it is another one.

    Of several processes that try the same, one succeeds.
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
