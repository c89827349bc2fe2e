"""Locks that one transaction holds until it ends.

On SQLite the writing transaction is itself the only lock, so that nothing is to be done there.
"""

from collections.abc import Iterable
from enum import IntEnum
from hashlib import sha256

from sqlalchemy import Connection, Table, text


class Lock(IntEnum):
    """What only one transaction at a time may do; the numbers are PostgreSQL's advisory locks.

    They begin at "hudhud", which no other program takes.
    """

    MIGRATIONS = 0x687564687564
    ADMISSION = MIGRATIONS + 1  # count and fill the queue
    LOGINS = MIGRATIONS + 2  # count attempts to log in
    API_KEYS = MIGRATIONS + 3  # make or rotate keys
    LIMITS = MIGRATIONS + 4  # count what limits allow
    CONVERSIONS = MIGRATIONS + 1000  # of the first shard; the next ones follow


def lock(connection: Connection, number: int) -> None:
    """Take a lock, waiting for the transaction that holds it."""
    if not _is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def lock_migrations(connection: Connection) -> None:
    """Let only one process migrate at a time, for as long as it takes.

    It gives up the locks of tables before PostgreSQL looks for a deadlock, after a second: what
    else uses them must not be the victim.
    """
    lift_time_limit(connection)
    if _is_sqlite(connection):
        return
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    lock(connection, Lock.MIGRATIONS)
    connection.execute(text("SET LOCAL lock_timeout = '100ms'"))


def lock_numbers(connection: Connection, phones: Iterable[str]) -> None:
    """Let only one process replace verifications of these phone numbers at a time.

    In one order everywhere, so that two transactions cannot wait for each other.
    """
    for number in sorted({_lock_of(phone) for phone in phones}):
        lock(connection, number)


def lock_conversions(connection: Connection, shard: int) -> None:
    """Let only one transaction add to a shard's conversions at a time.

    It may then add to several countries in any order: no other transaction waits for one of them.
    """
    lock(connection, Lock.CONVERSIONS + shard)


def lock_table(connection: Connection, table: Table) -> None:
    """Wait until no other transaction has written to a table, and let none write to it."""
    if not _is_sqlite(connection):
        connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def lift_time_limit(connection: Connection) -> None:
    """Let statements take as long as they need, until the transaction ends."""
    if not _is_sqlite(connection):
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _lock_of(phone: str) -> int:
    """Return 64 bits that hardly any other number has, with a sign as PostgreSQL wants it."""
    return int.from_bytes(sha256(phone.encode()).digest()[:8], "big", signed=True)
