"""The doorbell signals database changes, so that threads need not poll.

A lost ring only delays a waiter until its timeout, when it looks again.
"""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.02
# Between two looks at a database that cannot be read.
FAILURE_SECONDS = 1.0


class Doorbell(Protocol):
    """Wait for a commit on another connection."""

    def wait(self, seconds: float) -> bool:
        """Return True at the next ring, or False after `seconds`."""

    def close(self) -> None:
        """Close the connection."""


class SqlitePoller:
    """Polls `PRAGMA data_version`, which changes with commits on other connections.

    One thread polls for all doorbells of a process, while one of them waits, and ends with the last
    of them. A database that cannot be read counts as a ring each second, so that those who wait
    meet the error themselves.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._failed_at = -FAILURE_SECONDS
        self._rings = 0
        self._doorbells = 0
        self._waiting = 0
        self._thread: threading.Thread | None = None

    def open(self) -> int:
        """Begin to poll for one more doorbell; return the number of rings so far."""
        with self._changed:
            self._doorbells += 1
            self._look()
            return self._rings

    def close(self) -> None:
        """Poll for one doorbell less."""
        with self._changed:
            self._doorbells -= 1
            if self._doorbells == 0:
                self._thread = None  # it ends
                self._changed.notify_all()
                self._disconnect()

    def wait(self, heard: int, seconds: float) -> int:
        """Return the number of rings once it is not `heard` any more, or after `seconds`."""
        with self._changed:
            self._look()
            if self._rings == heard:
                self._waiting += 1
                if self._waiting == 1:
                    self._start()
                self._changed.wait_for(lambda: self._rings != heard, seconds)
                self._waiting -= 1
            return self._rings

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._poll, name="doorbell", daemon=True)
            self._thread.start()
        else:
            self._changed.notify_all()

    def _poll(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._thread is not me)
            time.sleep(POLL_SECONDS)
            with self._changed:
                if self._thread is me:
                    self._look()

    def _look(self) -> None:
        if time.monotonic() < self._failed_at + FAILURE_SECONDS:
            return
        try:
            version = self._data_version()
        except sqlite3.Error:
            self._disconnect()
            self._failed_at = time.monotonic()
            version = None
        if version is None or version != self._version:
            self._version = version
            self._rings += 1
            self._changed.notify_all()

    def _data_version(self) -> int:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{Path(self._path).absolute().as_uri()}?mode=rw",  # never create the file
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteDoorbell:
    """Waits for the rings of a poller, each of which it hears once."""

    def __init__(self, poller: SqlitePoller) -> None:
        self._poller: SqlitePoller | None = poller
        self._heard = poller.open()

    def wait(self, seconds: float) -> bool:
        """Return True once another connection has committed since the last ring."""
        if self._poller is None:
            raise ValueError("the doorbell is closed")
        before = self._heard
        self._heard = self._poller.wait(before, seconds)
        return self._heard != before

    def close(self) -> None:
        """Stop listening."""
        if self._poller is not None:
            self._poller.close()
            self._poller = None
