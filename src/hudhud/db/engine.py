"""The database connection; `dialects.py` creates the engines."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Table, event, make_url, text
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,  # noqa: A004 -- of the connection pool
)

from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import StartRefused
from hudhud.db.dialects import (
    BUSY_TIMEOUT_MS,
    flush_at_checkpoints,
    postgres_engine,
    sqlite_engine,
    with_driver,
)
from hudhud.db.doorbell import Doorbell, SqliteDoorbell, SqlitePoller
from hudhud.db.losses import Losses

DISK_FULL_ON_POSTGRESQL = "53100"
# The second: there is no space for the shared memory of the write-ahead log.
FULL_ON_SQLITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


class Database:
    """An SQLite or PostgreSQL database, usable from all threads.

    Never hold a connection during a network send. Waits at most `busy_timeout_ms` for locks.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.url = with_driver(make_url(url))
        self.busy_timeout_ms = busy_timeout_ms
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        engine = sqlite_engine if self.is_sqlite else postgres_engine
        self.engine = engine(self.url, busy_timeout_ms)
        self.losses = Losses(self.engine, self.shown, self._file())
        self._poller = SqlitePoller(str(self.url.database))

    @property
    def shown(self) -> str:
        """The address without its password; of SQLite, the file."""
        file = self._file()
        return self.url.render_as_string(hide_password=True) if file is None else str(file)

    def _file(self) -> Path | None:
        """Return the SQLite file, None for a server, the memory or a URI."""
        name = self.url.database
        if not self.is_sqlite or not name or name == ":memory:" or name.startswith("file:"):
            return None
        return Path(name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection for reading from one snapshot."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection in a transaction; commit it at the block's end.

        On SQLite it takes the write lock at the start, waiting at most `busy_timeout_ms`.
        Raises sqlalchemy.exc.OperationalError if the lock or the disk is unavailable, and
        DatabaseLost if an admin must mend the database.
        """
        with self.connect_to_write() as connection, connection.begin():
            yield connection

    def connect_to_write(self, *, waits: bool = True) -> Connection:
        """Return a connection whose transactions write.

        Unless it `waits`, its `begin` raises dialects.Locked while others hold SQLite's lock.
        """
        return self.engine.connect().execution_options(hudhud_write=True, hudhud_waits=waits)

    def notify(self, connection: Connection) -> None:
        """Ring every waiting doorbell when this transaction commits."""
        if not self.is_sqlite:
            connection.execute(text("NOTIFY hudhud"))

    def doorbell(self) -> Doorbell:
        """Return a new doorbell, for use by one thread."""
        if self.is_sqlite:
            return SqliteDoorbell(self._poller)
        from hudhud.db.postgres_doorbell import PostgresDoorbell  # noqa: PLC0415 -- see there

        return PostgresDoorbell(self.libpq_url())

    def new_ids(self, connection: Connection, table: Table, count: int) -> list[int]:
        """Allocate the next `count` ids of a table, in a write transaction."""
        if self.is_sqlite:
            last = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            taken = connection.exec_driver_sql(last, (table.name,)).scalar() or 0
            return list(range(taken + 1, taken + count + 1))
        following = text(
            "SELECT nextval(pg_get_serial_sequence(:t, 'id')) FROM generate_series(1, :count)"
        )
        return list(connection.scalars(following, {"t": table.name, "count": count}))

    def libpq_url(self) -> str:
        """Return the `postgresql://` URL for other clients, with the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def empty_log(self) -> bool:
        """Checkpoint and truncate SQLite's WAL; return False while it has readers.

        Until then the WAL still contains content that was deleted from the file.
        """
        if not self.is_sqlite:
            return True
        connection = self.engine.raw_connection()
        try:
            driver = cast("sqlite3.Connection", connection.driver_connection)
            (is_busy, _pages, _done) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        return not is_busy

    def flush_at_checkpoints(self) -> None:
        """From now on, let SQLite flush commits only at its checkpoints.

        A loss of power may undo the last commits; a killed process loses none.
        """
        if self.is_sqlite:
            event.listen(self.engine, "connect", flush_at_checkpoints)
            self.engine.dispose()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open a database and check that it answers.

    Raises StartRefused, which names the address without its password, if it does not, and
    DatabaseLost if it is damaged.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except DatabaseLost:
        database.close()
        raise
    except DatabaseError as error:
        database.close()
        reason = "its disk is full; free some space" if is_full(error) else error.orig
        raise StartRefused(f"The database {database.shown} cannot be opened: {reason}") from error
    return database


def may_pass(error: SQLAlchemyError) -> bool:
    """Return whether an error is temporary and worth a retry.

    Temporary: a lock, the disk or the server was unavailable, or the database until an admin
    mends it. Other errors are defects, which a retry would meet again.
    """
    if isinstance(error, TimeoutError | DatabaseLost):
        return True
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    # Unlike psycopg, sqlite3 also raises OperationalError for wrong statements.
    return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def is_full(error: SQLAlchemyError) -> bool:
    """Return whether the database's disk is full."""
    cause = getattr(error, "orig", None)
    if getattr(cause, "sqlstate", None) == DISK_FULL_ON_POSTGRESQL:
        return True
    return getattr(cause, "sqlite_errorcode", None) in FULL_ON_SQLITE
