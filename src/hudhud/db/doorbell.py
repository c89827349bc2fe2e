"""The doorbell signals database changes, so that threads need not poll.

A lost ring only delays a waiter until its timeout, when it looks again.
"""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.02


class Doorbell(Protocol):
    """Wait for a commit on another connection."""

    def wait(self, seconds: float) -> bool:
        """Return True at the next ring, or False after `seconds`."""

    def close(self) -> None:
        """Close the connection."""


class SqliteDoorbell:
    """Poll `PRAGMA data_version`, which changes with commits on other connections."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        with suppress(sqlite3.Error):  # the first wait tries again
            self._version = self._data_version()

    def wait(self, seconds: float) -> bool:
        """Return True once another connection has committed since the last ring.

        A database that cannot be read counts as a ring, after at most a second.
        """
        try:
            return self._wait(seconds)
        except sqlite3.Error:
            self.close()
            time.sleep(min(1.0, seconds))
            return True

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            version = self._data_version()
            if version != self._version:
                self._version = version
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_SECONDS, left))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _data_version(self) -> int:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{Path(self._path).absolute().as_uri()}?mode=rw",  # never create the file
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
