"""Find out whether the database can be written."""

import threading
import time

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud.db import installation
from hudhud.db.engine import Database

NAME = "write_probe"
# Fills a page of SQLite, and changes each of its lines: only changed pages are written.
LINES = 300


class WriteProbe:
    """Writes a page and commits it, at most once in `pause_seconds`.

    A full disk refuses pages only when they are written. Callers in between get the last result.
    """

    def __init__(self, database: Database, pause_seconds: float) -> None:
        self._database = database
        self._pause_seconds = pause_seconds
        self._probing = threading.Lock()
        self._next_at = 0.0
        self._failure: SQLAlchemyError | None = None

    def failure(self) -> SQLAlchemyError | None:
        """Return why the database cannot be written, None if it can."""
        with self._probing:
            if time.monotonic() >= self._next_at:
                self._failure = self._write()
                self._next_at = time.monotonic() + self._pause_seconds
            return self._failure

    def _write(self) -> SQLAlchemyError | None:
        try:
            with self._database.write() as connection:
                write_page(connection)
        except SQLAlchemyError as error:
            return error
        return None


def write_page(connection: Connection) -> None:
    """Change a row that fills a page."""
    # Not milliseconds: two probes in one would write the same, and so nothing.
    installation.write(connection, NAME, f"{time.time_ns()}\n" * LINES)
