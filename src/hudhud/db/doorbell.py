"""The doorbell signals database changes, so that threads need not poll.

A lost ring only delays a waiter until its timeout, when it looks again.
"""

import sqlite3
import time
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
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._version = self._data_version()

    def wait(self, seconds: float) -> bool:
        """Return True once another connection has committed since the last ring."""
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
