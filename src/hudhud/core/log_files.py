"""A log file that several processes write and rotate together.

Each line is one `write` on a descriptor opened for appending, which Linux does not mix with
another's. The process that finds the file too large renames it under a lock on the file itself; the
others see before their next line that the name leads to another file, and open that one. A process
that is killed leaves nothing locked. A line that was just under way lands in the renamed file.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

LARGEST_BYTES = 10_000_000
KEPT_FILES = 5
RETRY_SECONDS = 10.0


class LogFile:
    """One file of lines, mode 0600, followed by `.1` (the newest) to `.5` once it is too large.

    Never raises: what cannot be written is dropped, `complain` hears why, and after
    `retry_seconds` the file is tried again.
    """

    def __init__(
        self,
        path: Path,
        complain: Callable[[OSError], None],
        largest: int = LARGEST_BYTES,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._path = path
        self._complain = complain
        self._largest = largest
        self._retry_seconds = retry_seconds
        self._descriptor: int | None = None
        self._opened: os.stat_result | None = None
        self._retry_at = 0.0
        self._lock = threading.RLock()  # a signal handler may log in the middle of a line

    def write(self, line: bytes) -> None:
        """Append a line, which ends with a line feed."""
        with self._lock:
            if time.monotonic() < self._retry_at:
                return
            try:
                _write_whole(self._current(), line)
            except OSError as error:
                self.close()
                self._retry_at = time.monotonic() + self._retry_seconds
                self._complain(error)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _current(self) -> int:
        """Return a descriptor of the file that bears the name now and has room."""
        if self._descriptor is not None:
            named = self._named()
            if named is not None and named.st_size < self._largest:
                return self._descriptor
            if named is not None:
                self._rotate(self._descriptor)
        self.close()
        self._descriptor = self._open()
        self._opened = os.fstat(self._descriptor)
        return self._descriptor

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _named(self) -> os.stat_result | None:
        """Return the state of the file that bears the name, or None if it is not the open one."""
        try:
            named = os.stat(self._path)  # noqa: PTH116 -- for every line, and Path.stat is slower
        except FileNotFoundError:
            return None
        same = self._opened is not None and os.path.samestat(named, self._opened)
        return named if same else None

    def _rotate(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process is at it
        # The lock is of the file, not of its name: the name may lead to another file by now.
        if self._named() is not None:
            for number in range(KEPT_FILES - 1, 0, -1):
                self._rename(f".{number}", f".{number + 1}")
            self._rename("", ".1")

    def _rename(self, old: str, new: str) -> None:
        source = Path(f"{self._path}{old}")
        if source.exists():
            source.rename(f"{self._path}{new}")


def _write_whole(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]
