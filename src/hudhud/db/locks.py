"""Locks that a transaction holds until it ends.

On SQLite these do nothing: write transactions exclude each other anyway.
"""

from collections.abc import Iterable
from enum import IntEnum
from hashlib import sha256

from sqlalchemy import Connection, Table, text


class Lock(IntEnum):
    """PostgreSQL advisory locks for work of one transaction at a time.

    The numbers start at the bytes of "hudhud", to avoid those of other programs.
    """

    MIGRATIONS = 0x687564687564
    ADMISSION = MIGRATIONS + 1  # counting and filling the queue
    LOGINS = MIGRATIONS + 2  # counting login attempts
    API_KEYS = MIGRATIONS + 3  # creating and rotating keys
    LIMITS = MIGRATIONS + 4  # counting towards limits
    CODE_SEARCHES = MIGRATIONS + 5  # counting searches for codes
    CONVERSIONS = MIGRATIONS + 1000  # first shard; the others follow


def lock(connection: Connection, number: int) -> None:
    """Take a lock, waiting until it is free."""
    if not _is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def lock_migrations(connection: Connection) -> None:
    """Let only one process migrate at a time, without a time limit.

    Its wait for a table's lock ends before PostgreSQL checks for deadlocks (after 1 s), so that no
    other transaction is chosen as the victim.
    """
    lift_time_limit(connection)
    if _is_sqlite(connection):
        return
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    lock(connection, Lock.MIGRATIONS)
    connection.execute(text("SET LOCAL lock_timeout = '100ms'"))


def lock_numbers(connection: Connection, phones: Iterable[str]) -> None:
    """Let only one process supersede verifications of these phones at a time."""
    _lock_each(connection, phones)


def lock_idempotency_keys(connection: Connection, places: Iterable[str]) -> None:
    """Let only one process answer requests of these keys and endpoints at a time."""
    _lock_each(connection, (f"Idempotency-Key {place}" for place in places))


def lock_conversions(connection: Connection, shard: int) -> None:
    """Let only one transaction at a time add to a shard's conversions.

    It can then update several countries in any order without a deadlock.
    """
    lock(connection, Lock.CONVERSIONS + shard)


def lock_table(connection: Connection, table: Table) -> None:
    """Block other writes to a table, after waiting for those in progress."""
    if not _is_sqlite(connection):
        connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def lift_time_limit(connection: Connection) -> None:
    """Disable the statement timeout until the transaction ends."""
    if not _is_sqlite(connection):
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _lock_each(connection: Connection, names: Iterable[str]) -> None:
    """Take the locks in a fixed order, so that transactions cannot deadlock."""
    numbers = sorted({_lock_of(name) for name in names})
    if numbers and not _is_sqlite(connection):
        # PostgreSQL reads an array in its order.
        each = "SELECT pg_advisory_xact_lock(number) FROM unnest(CAST(:numbers AS bigint[])) number"
        connection.execute(text(each), {"numbers": numbers})


def _lock_of(name: str) -> int:
    """Hash a name to a signed 64-bit lock number."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
