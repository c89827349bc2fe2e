"""Insert or update rows, on SQLite and PostgreSQL."""

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, Table

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

# Each process adds to its own shard of a counter, so that they rarely wait for each other.
SHARDS = 16
SHARD = secrets.randbelow(SHARDS)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows with the same columns in one statement.

    For each statement or returned row sqlite3 releases the GIL, and may wait for a busy thread to
    get it back while it holds the database's lock. One statement means one such wait.
    """
    _insert_values(connection, table, rows, "")


def insert_or_ignore(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row; do nothing and return False if it exists."""
    statement = _insert(connection, table).values(**values).on_conflict_do_nothing()
    return _has_written(connection, statement)


def insert_or_update(
    connection: Connection,
    table: Table,
    key: Mapping[str, object],
    values: Mapping[str, object],
    *,
    where: ColumnElement[bool] | None = None,
) -> bool:
    """Insert a row, or update an existing one that satisfies `where`.

    Returns False without a change if the row with this `key` does not satisfy `where`.
    """
    statement = _insert(connection, table).values(**key, **values)
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=values, where=where)
    return _has_written(connection, statement)


def insert_missing(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows that do not exist yet, in one statement."""
    _insert_values(connection, table, rows, " ON CONFLICT DO NOTHING")


def insert_or_add(
    connection: Connection,
    table: Table,
    keys: Sequence[Mapping[str, object]],
    amounts: Sequence[Mapping[str, int]],
    *,
    only_if_new: Sequence[Mapping[str, object]] | None = None,
) -> None:
    """Insert rows or add `amounts` to existing ones, in one statement.

    `keys` identify the rows. New rows also get the values of `only_if_new`.
    """
    rows = [
        {**key, **amount, **other}
        for key, amount, other in zip(keys, amounts, only_if_new or [{}] * len(keys), strict=True)
    ]
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in amounts[0])
    ending = f" ON CONFLICT ({', '.join(keys[0])}) DO UPDATE SET {sums}"
    _insert_values(connection, table, rows, ending)


def _insert_values(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]], ending: str
) -> None:
    columns = list(rows[0])
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = f"({', '.join([mark] * len(columns))})"
    into = f"INSERT INTO {table.name} ({', '.join(columns)})"  # only names from tables.py
    values = tuple(row[column] for row in rows for column in columns)
    connection.exec_driver_sql(f"{into} VALUES {', '.join([marks] * len(rows))}{ending}", values)


def _has_written(connection: Connection, insert: "PostgresInsert | SqliteInsert") -> bool:
    # By default SQLAlchemy keeps the row count only of updates.
    counted = insert.execution_options(preserve_rowcount=True)
    return connection.execute(counted).rowcount == 1


def _insert(connection: Connection, table: Table) -> "PostgresInsert | SqliteInsert":
    """Return the dialect's insert, which supports ON CONFLICT.

    The imports are local to save the memory of the unused dialect.
    """
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 -- see above

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 -- see above

    return postgresql.insert(table)
