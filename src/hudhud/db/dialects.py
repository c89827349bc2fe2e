"""Engines for SQLite and PostgreSQL, with their timeouts."""

import sqlite3
import time
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from hudhud.core.errors import HudhudError

BUSY_TIMEOUT_MS = 3000
LOCK_POLL_SECONDS = 0.0015
LAST_LOOK_MS = 10
MOST_THREADS = 100
IN_MEMORY = (None, "", ":memory:")
# The lowest byte of SQLite's extended error codes.
PRIMARY_CODE = 0xFF
# Detect a lost connection soon: it must neither block Hudhud nor hold a lock for hours.
POSTGRES_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
POSTGRES_OPTIONS = (
    "-c statement_timeout=15000 -c idle_in_transaction_session_timeout=15000 "
    # Statements take milliseconds; compiling or parallelizing them would take longer.
    "-c jit=off -c max_parallel_workers_per_gather=0"
)


class Locked(HudhudError):
    """Another transaction holds SQLite's write lock."""


def with_driver(url: URL) -> URL:
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def sqlite_engine(url: URL, busy_timeout_ms: int) -> Engine:
    # More connections than threads: the event loop, which writes too, must not wait for one.
    pool = {} if url.database in IN_MEMORY else {"max_overflow": MOST_THREADS}
    engine = create_engine(url, hide_parameters=True, **pool)
    event.listen(engine, "connect", partial(_prepare_sqlite, busy_timeout_ms))
    event.listen(engine, "begin", partial(_begin_sqlite, busy_timeout_ms))
    return engine


def _prepare_sqlite(busy_timeout_ms: int, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Overwrite deleted content in the file; only some builds of SQLite do so by default.
    connection.execute("PRAGMA secure_delete = ON")


def flush_at_checkpoints(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(busy_timeout_ms: int, connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("hudhud_write", False):
        connection.exec_driver_sql("BEGIN")
    elif options["hudhud_waits"]:
        _take_write_lock(connection, busy_timeout_ms)
    else:
        _take_free_lock(connection, busy_timeout_ms)


def _take_free_lock(connection: Connection, busy_timeout_ms: int) -> None:
    """Begin a write transaction. Raises Locked if the lock is not free."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_BUSY:
            raise Locked(str(error)) from None
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises SQLAlchemy's error
    finally:
        driver.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")


def _take_write_lock(connection: Connection, busy_timeout_ms: int) -> None:
    """Begin a write transaction, waiting up to `busy_timeout_ms` for the lock.

    SQLite's own busy handler sleeps up to 100 ms between tries, although others hold the lock for
    a millisecond. It is used only for reading, and for the last try, which raises.
    """
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    deadline = time.monotonic() + busy_timeout_ms / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    while time.monotonic() < deadline:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            time.sleep(LOCK_POLL_SECONDS)
        except sqlite3.DatabaseError:
            break  # the last try raises it
        else:
            driver.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
            return
    driver.execute(f"PRAGMA busy_timeout = {LAST_LOOK_MS}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def postgres_engine(url: URL, busy_timeout_ms: int) -> Engine:
    options = f"-c lock_timeout={busy_timeout_ms} {POSTGRES_OPTIONS}"
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=5,
        connect_args={**POSTGRES_ARGUMENTS, "options": options},
    )
