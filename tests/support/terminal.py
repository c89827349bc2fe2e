"""A command on its own terminal, as a person starts it."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from support.services import wait_until

CTRL_C = b"\x03"
ERASED_SCREEN = "\x1b[H\x1b[J"
LINES = 60


SIZE_VARIABLES = ("COLUMNS", "LINES")


class Terminal:
    """One command whose standard streams are a terminal of `columns` columns."""

    def __init__(
        self,
        folder: Path,
        *command: str,
        columns: int = 100,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**_without_size(os.environ), "TERM": "xterm-256color", **(variables or {})},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 -- one system call, without a lock
        )
        os.close(theirs)
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # how Linux reports a terminal without a process
            while data := os.read(self._ours, 65536):
                self._seen += data

    @property
    def text(self) -> str:
        """Return all output so far, with its line ends."""
        return self._seen.decode(errors="replace").replace("\r\n", "\n")

    @property
    def screen(self) -> str:
        """Return the output since the screen was last erased."""
        return self.text.rpartition(ERASED_SCREEN)[2]

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the output contains a text."""
        wait_until(lambda: text in self.text, seconds, f"{text!r} in {self.text[-2000:]}")

    def press(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._ours, keys)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that override the terminal's size."""
    return {name: value for name, value in environment.items() if name not in SIZE_VARIABLES}
