"""A log file that several processes write and rotate together.

Each line is one `write` to a descriptor in append mode, which Linux does not interleave with other
writes. The process that finds the file too large renames it while holding a lock on the file
itself. Before their next line the others notice that the name belongs to another file, and open
that one. A killed process leaves no lock. A line written during the rotation goes to the renamed
file.
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
    """A log file, mode 0600, rotated to `.1` (newest) to `.5`.

    Never raises: on an error it drops the line, passes the error to `complain`, and drops further
    lines for `retry_seconds`.
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
        """Append a line, which must end with a line feed."""
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
        """Return the path's stat, or None if another file is open."""
        try:
            named = os.stat(self._path)  # noqa: PTH116 -- runs for every line, and Path.stat is slower
        except FileNotFoundError:
            return None
        same = self._opened is not None and os.path.samestat(named, self._opened)
        return named if same else None

    def _rotate(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process is rotating
        # The lock holds the file, not its name, which may belong to another file by now.
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
