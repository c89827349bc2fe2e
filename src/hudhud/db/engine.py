"""The database connection and everything in which SQLite and PostgreSQL differ."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,  # noqa: A004 -- of the connection pool
)

from hudhud.core.errors import StartRefused
from hudhud.db.doorbell import Doorbell, SqliteDoorbell

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

BUSY_TIMEOUT_MS = 3000
LOCK_POLL_SECONDS = 0.0003
LAST_LOOK_MS = 10
# PostgreSQL's advisory locks are numbers; these begin at "hudhud", which no other program takes.
LOCK_OF_THE_MIGRATIONS = 0x687564687564
LOCK_OF_THE_ADMISSION = LOCK_OF_THE_MIGRATIONS + 1
LOCK_OF_THE_LOGINS = LOCK_OF_THE_MIGRATIONS + 2
LOCK_OF_THE_KEYS = LOCK_OF_THE_MIGRATIONS + 3
LOCK_OF_THE_LIMITS = LOCK_OF_THE_MIGRATIONS + 4
LOCKS_OF_THE_CONVERSIONS = LOCK_OF_THE_MIGRATIONS + 1000  # and as many after it as shards
# A server or a machine that vanishes must neither block us nor keep a lock for hours.
POSTGRES_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": (
        f"-c lock_timeout={BUSY_TIMEOUT_MS} -c statement_timeout=15000 "
        "-c idle_in_transaction_session_timeout=15000 "
        # Statements of milliseconds: to compile them or to start helpers takes longer.
        "-c jit=off -c max_parallel_workers_per_gather=0"
    ),
}


class Database:
    """One engine over SQLite or PostgreSQL, used from threads and never across a network send."""

    def __init__(self, url: str) -> None:
        self.url = _with_driver(make_url(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection for reading; what it sees is one moment's state."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection in a transaction that is on disk once the block has ended.

        On SQLite the write lock is taken at the start, for at most `BUSY_TIMEOUT_MS`.
        Raises sqlalchemy.exc.OperationalError where the lock or the disk is not to be had.
        """
        with (
            self.engine.connect().execution_options(hudhud_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    def ring(self, connection: Connection) -> None:
        """Tell every waiting doorbell that this transaction changed something."""
        if not self.is_sqlite:
            connection.execute(text("NOTIFY hudhud"))

    def doorbell(self) -> Doorbell:
        """Return a new doorbell; it belongs to the thread that waits at it."""
        if self.is_sqlite:
            return SqliteDoorbell(str(self.url.database))
        from hudhud.db.postgres_doorbell import PostgresDoorbell  # noqa: PLC0415 -- see there

        return PostgresDoorbell(self.libpq_url())

    def new_ids(self, connection: Connection, table: Table, count: int) -> list[int]:
        """Take the next `count` row numbers of a table, inside a writing transaction."""
        if self.is_sqlite:
            last = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            taken = connection.exec_driver_sql(last, (table.name,)).scalar() or 0
            return list(range(taken + 1, taken + count + 1))
        following = text(
            "SELECT nextval(pg_get_serial_sequence(:t, 'id')) FROM generate_series(1, :count)"
        )
        return list(connection.scalars(following, {"t": table.name, "count": count}))

    def libpq_url(self) -> str:
        """Return the plain `postgresql://` address that other clients of the server take."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def lock_for_migrations(self, connection: Connection) -> None:
        """Let only one process migrate at a time, for as long as it takes."""
        self.lift_time_limit(connection)
        if not self.is_sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0"))
        _lock(connection, LOCK_OF_THE_MIGRATIONS)

    def lock_for_admission(self, connection: Connection) -> None:
        """Let only one process count and fill the queue at a time; ends with the transaction."""
        _lock(connection, LOCK_OF_THE_ADMISSION)

    def lock_for_logins(self, connection: Connection) -> None:
        """Let only one process count attempts to log in at a time; ends with the transaction."""
        _lock(connection, LOCK_OF_THE_LOGINS)

    def lock_for_keys(self, connection: Connection) -> None:
        """Let only one process make or rotate API keys at a time; ends with the transaction."""
        _lock(connection, LOCK_OF_THE_KEYS)

    def lock_for_numbers(self, connection: Connection, phones: Iterable[str]) -> None:
        """Let only one process replace verifications of these numbers; ends with the transaction.

        In one order everywhere, so that two transactions cannot wait for each other.
        """
        for number in sorted({_lock_of(phone) for phone in phones}):
            _lock(connection, number)

    def lock_for_limits(self, connection: Connection) -> None:
        """Let only one process count what limits allow at a time; ends with the transaction."""
        _lock(connection, LOCK_OF_THE_LIMITS)

    def lift_time_limit(self, connection: Connection) -> None:
        """Let statements take as long as they need; ends with the transaction."""
        if not self.is_sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))

    def lock_table(self, connection: Connection, table: Table) -> None:
        """Wait until nobody else has written to a table, and keep it so; ends with the transaction.

        Only for a moment: whoever writes to it waits.
        """
        if not self.is_sqlite:
            connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))

    def empty_log(self) -> bool:
        """Write SQLite's log into its file and empty it; False while somebody still reads in it.

        What was overwritten in the file stands in the log until then.
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

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def lock_for_conversions(connection: Connection, shard: int) -> None:
    """Let only one transaction add to a shard's conversions at a time; ends with it.

    It may then add to several countries in any order: nobody else waits for one of them.
    """
    _lock(connection, LOCKS_OF_THE_CONVERSIONS + shard)


def _lock(connection: Connection, number: int) -> None:
    if connection.dialect.name != "sqlite":  # there the transaction itself is the lock
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def open_database(url: str) -> Database:
    """Open a database and prove that it answers.

    Raises StartRefused, naming the address without its password, where it does not.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except DatabaseError as error:
        database.close()
        shown = database.url.render_as_string(hide_password=True)
        raise StartRefused(f"The database {shown} cannot be opened: {error.orig}") from error
    return database


def may_pass(error: SQLAlchemyError) -> bool:
    """Tell whether trying again later can help: the lock, the disk or the server was not to be had.

    Everything else is a defect, and would be there the next time too.
    """
    if isinstance(error, TimeoutError):
        return True
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    # SQLite says OperationalError of a wrong statement too, psycopg does not.
    return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows of the same columns in one statement.

    sqlite3 gives the interpreter's lock up at every row that it inserts or returns, and gets it
    back late from a busy thread while it holds the database's lock: one statement, one such wait.
    """
    _insert_values(connection, table, rows, "")


def insert_or_ignore(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    """Insert a row, or do nothing and return False where it exists already."""
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
    """Insert a row, or change `values` where one with this `key` exists and fits `where`.

    Returns False where one exists that does not fit: then nothing was done.
    """
    statement = _insert(connection, table).values(**key, **values)
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=values, where=where)
    return _has_written(connection, statement)


def insert_missing(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert the rows that do not exist yet, in one statement."""
    _insert_values(connection, table, rows, " ON CONFLICT DO NOTHING")


def insert_or_add(
    connection: Connection,
    table: Table,
    keys: Sequence[Mapping[str, object]],
    amounts: Sequence[Mapping[str, int]],
    *,
    beside: Sequence[Mapping[str, object]] | None = None,
) -> None:
    """Insert rows, or add `amounts` to those with these `keys` that exist; all in one statement.

    What stands `beside` is written into new rows only.
    """
    rows = [
        {**key, **amount, **other}
        for key, amount, other in zip(keys, amounts, beside or [{}] * len(keys), strict=True)
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
    into = f"INSERT INTO {table.name} ({', '.join(columns)})"  # names of our own tables
    values = tuple(row[column] for row in rows for column in columns)
    connection.exec_driver_sql(f"{into} VALUES {', '.join([marks] * len(rows))}{ending}", values)


def _has_written(connection: Connection, insert: "PostgresInsert | SqliteInsert") -> bool:
    # Without the option SQLAlchemy keeps the count of updates alone.
    counted = insert.execution_options(preserve_rowcount=True)
    return connection.execute(counted).rowcount == 1


def _insert(connection: Connection, table: Table) -> "PostgresInsert | SqliteInsert":
    """Return the dialect's own insert, the only one that knows of conflicts.

    Imported here because either dialect takes memory that the other's process need not spend.
    """
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 -- see above

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 -- see above

    return postgresql.insert(table)


def _lock_of(phone: str) -> int:
    """Return 64 bits that hardly anything else has, with a sign as PostgreSQL wants it."""
    return int.from_bytes(sha256(phone.encode()).digest()[:8], "big", signed=True)


def _with_driver(url: URL) -> URL:
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is erased is overwritten in the file too; some builds of SQLite do so anyway.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("hudhud_write", False):
        _take_write_lock(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _take_write_lock(connection: Connection) -> None:
    """Begin a writing transaction, waiting for the lock up to `BUSY_TIMEOUT_MS`.

    SQLite's own wait sleeps longer and longer, up to 100 ms, between two looks at a lock that
    others hold for a millisecond. It serves for reading and for the last look, which raises.
    """
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    while time.monotonic() < deadline:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            time.sleep(LOCK_POLL_SECONDS)
        else:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            return
    driver.execute(f"PRAGMA busy_timeout = {LAST_LOOK_MS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=5,
        connect_args=POSTGRES_ARGUMENTS,
    )
