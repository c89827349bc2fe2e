"""A doorbell says that the database has changed, so that waiting threads need not poll tables.

A lost ring costs at most one slow poll: every waiter looks again after its timeout.
"""

import sqlite3
import time
from typing import Protocol

POLL_SECONDS = 0.02


class Doorbell(Protocol):
    """Waits for a change that another connection committed."""

    def wait(self, seconds: float) -> bool:
        """Return True at the next ring, or False after `seconds` without one."""

    def close(self) -> None:
        """Give the connection back."""


class SqliteDoorbell:
    """Polls `PRAGMA data_version`, which every commit of another connection changes."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._version = self._data_version()

    def wait(self, seconds: float) -> bool:
        """Return True once another connection has committed since the last call."""
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
        self._connection.close()

    def _data_version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
