"""The session store of a linked device, which holds its secret keys.

The WhatsApp library opens the store itself; this module prepares, inspects and cleans it.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from sqlalchemy import make_url

if TYPE_CHECKING:
    import psycopg

FOLDER_MODE = 0o700
FILE_MODE = 0o600
SIDE_FILES = ("", "-journal", "-wal", "-shm")
# The library looks for its tables in all schemas and fails if another schema has them, so all
# senders of a database share this one.
SCHEMA = "hudhud_sessions"
# URL parameters that both database drivers support; the library's driver rejects others.
DRIVER_OPTIONS = frozenset(
    {"host", "port", "connect_timeout", "sslmode", "sslcert", "sslkey", "sslrootcert"}
)
LOCK_TIMEOUT_MS = 3000


class SessionStore(Protocol):
    """The storage of one sender's session.

    Methods raise OSError if it is unusable. Call `prepare` and `find` only before the library opens
    the store.
    """

    def prepare(self) -> str:
        """Prepare the store and return its address for the library."""

    def find(self, device: str | None) -> str | None:
        """Return the device to resume: `device`, if the store has its session."""

    def forget(self, device: str | None) -> None:
        """Delete the session of a device."""


def session_store(
    *, data_dir: Path, folder: str, sender: str, database_url: str | None
) -> SessionStore:
    """Return the store: one file per sender, or the PostgreSQL database."""
    if database_url is not None:
        return SessionSchema(database_url)
    return SessionFile(data_dir / folder / f"{sender}.db")


class SessionFile:
    """The session in an SQLite file of one sender."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def prepare(self) -> str:
        """Create folder and file, readable only by their owner."""
        self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._path.parent.chmod(FOLDER_MODE)
        self._path.touch(mode=FILE_MODE)
        for path in self._files():
            path.chmod(FILE_MODE)
        with self._connection() as connection:
            # Persists for the library: a link takes 1 s instead of 3, a send a third of the time.
            connection.execute("PRAGMA journal_mode = WAL")
        return quote(str(self._path))

    def find(self, device: str | None) -> str | None:
        """Return `device` if the file has it, else another or None.

        The caller may not know the device: a process can end right after the link.
        """
        devices = self._devices()
        if device in devices:
            return device
        return devices[-1] if devices else None

    def forget(self, device: str | None) -> None:  # noqa: ARG002 -- the file's only one
        """Delete the file."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _devices(self) -> list[str]:
        if not self._path.exists():
            return []
        has_table = "SELECT 1 FROM sqlite_master WHERE name = 'whatsmeow_device'"
        with self._connection() as connection:
            if connection.execute(has_table).fetchone() is None:
                return []
            rows = connection.execute("SELECT jid FROM whatsmeow_device ORDER BY rowid")
            return [jid for (jid,) in rows]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise OSError(f"{self._path.name}: {error}") from error

    def _files(self) -> list[Path]:
        paths = (self._path.with_name(self._path.name + suffix) for suffix in SIDE_FILES)
        return [path for path in paths if path.exists()]


class SessionSchema:
    """The sessions of all senders in one schema of a PostgreSQL database."""

    def __init__(self, database_url: str) -> None:
        self._url = make_url(database_url).set(drivername="postgresql")

    def prepare(self) -> str:
        """Create the schema; return an address with schema and explicit `sslmode`.

        Without `sslmode` the library's driver requires TLS, and it cannot fall back.
        """
        with self._connection() as connection:
            if not _has(connection, SCHEMA):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            speaks_tls = connection.pgconn.ssl_in_use
        options = {name: text for name, text in self._url.query.items() if name in DRIVER_OPTIONS}
        if options.get("sslmode", "prefer") in ("prefer", "allow"):
            options["sslmode"] = "require" if speaks_tls else "disable"
        url = self._url.set(query=options | {"search_path": SCHEMA})
        return url.render_as_string(hide_password=False)

    def find(self, device: str | None) -> str | None:
        """Return `device` if the schema has its session, else None."""
        if device is None:
            return None
        with self._connection() as connection:
            if not _has(connection, f"{SCHEMA}.whatsmeow_device"):
                return None
            query = f"SELECT 1 FROM {SCHEMA}.whatsmeow_device WHERE jid = %s"  # noqa: S608
            return device if connection.execute(query, [device]).fetchone() else None

    def forget(self, device: str | None) -> None:
        """Delete the device; foreign keys delete its other rows."""
        if device is None or self.find(device) is None:
            return
        with self._connection() as connection:
            query = f"DELETE FROM {SCHEMA}.whatsmeow_device WHERE jid = %s"  # noqa: S608
            connection.execute(query, [device])

    @contextmanager
    def _connection(self) -> "Iterator[psycopg.Connection[Any]]":
        import psycopg  # noqa: PLC0415 -- not needed with SQLite

        try:
            with psycopg.connect(
                self._url.render_as_string(hide_password=False), autocommit=True
            ) as connection:
                connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
                yield connection
        except psycopg.Error as error:
            raise OSError(re.sub(r"\s+", " ", str(error)).strip()) from error


def _has(connection: "psycopg.Connection[Any]", name: str) -> bool:
    function = "to_regclass" if "." in name else "to_regnamespace"
    row = connection.execute(f"SELECT {function}(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])
