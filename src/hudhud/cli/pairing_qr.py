"""A sender's pairing QR code, on the terminal or in a file."""

import io
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import segno
import structlog
import typer
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from hudhud.cli.greeting import Greeting
from hudhud.core import private_files
from hudhud.core.clock import now_ms
from hudhud.core.phones import mask_phone
from hudhud.db.engine import Database
from hudhud.senders import records
from hudhud.senders.records import usual

QR_FILE = "pairing-qr.txt"
POLL_SECONDS = 0.5
QUIET_ZONE = 2
# White on black in every terminal theme: some phones cannot read an inverted code.
COLOURS, NO_COLOURS = "\x1b[38;5;231;48;5;16m", "\x1b[0m"
ERASED_SCREEN = "\x1b[H\x1b[J"
RENEWAL = "Before the code expires, a new one takes its place."

log = structlog.get_logger(__name__)


def drawing(qr: str) -> list[str]:
    """Return a QR code as lines of half blocks, two modules high."""
    text = io.StringIO()
    segno.make_qr(qr, error="l", boost_error=False).terminal(text, border=QUIET_ZONE, compact=True)
    return [f"{COLOURS}{line}{NO_COLOURS}" for line in text.getvalue().splitlines()]


def width_of(lines: list[str]) -> int:
    """Return the width of a drawing in columns."""
    return len(lines[0]) - len(COLOURS) - len(NO_COLOURS)


class QrDisplay:
    """Shows the current QR code.

    A terminal that is wide enough shows it, with each further code in its place. Otherwise it is
    written to `QR_FILE` in the data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder.absolute() / QR_FILE
        self._is_in_file = False
        self.is_on_screen = False

    def show(self, qr: str, notes: Sequence[str] = ()) -> Path | None:
        """Show a code, with notes on a terminal; return its file, or None on a terminal.

        Raises OSError if the file cannot be written.
        """
        code = drawing(qr)
        hint = f"{usual('pairing').english()} {RENEWAL}"
        lines = [*code, "", *textwrap.wrap(hint, width_of(code)), ""]
        size = shutil.get_terminal_size()
        if sys.stdout.isatty() and width_of(code) <= size.columns:
            # On a low terminal the code is last, because it must be whole.
            is_low = len(lines) + len(notes) >= size.lines
            self._print([*notes, *lines] if is_low else [*lines, *notes], size.lines)
            return None
        self._write(lines)
        return self._file

    def clear(self) -> None:
        """Remove the code, which is no longer needed, and everything around it."""
        self.withdraw()
        if self.is_on_screen:
            typer.echo(ERASED_SCREEN, nl=False)
        self.is_on_screen = False

    def withdraw(self) -> None:
        """Remove the file of a code that is no longer valid."""
        if self._is_in_file:
            self.remove_file()

    def remove_file(self) -> None:
        """Remove the file, even that of an earlier run."""
        self._file.unlink(missing_ok=True)
        self._is_in_file = False

    def _print(self, lines: list[str], height: int) -> None:
        # Other lines may have followed an earlier code, so the whole screen is replaced. What it
        # showed before the first code is scrolled up, not erased.
        scroll = "" if self.is_on_screen else "\n" * height
        typer.echo(scroll + ERASED_SCREEN + "\n".join(lines))
        self.is_on_screen = True

    def _write(self, lines: list[str]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.replace(self._file, "\n".join(lines))
        self._is_in_file = True


class PairingWatch:
    """Shows the QR code of this machine's sender during its pairing."""

    def __init__(self, database: Database, sender: str, folder: Path, poll_seconds: float) -> None:
        self._sender = sender
        self._poll_seconds = poll_seconds
        self._database = database
        self._display = QrDisplay(folder)
        self._shown: str | None = None
        self._was_shown = False
        self._reported_file: Path | None = None
        self._started = now_ms()
        self._greeting: Greeting | None = None
        self._printing = threading.Lock()

    def greet(self, greeting: Greeting) -> None:
        """Print how to use the service, now and again once the sender is linked."""
        with self._printing:
            self._greeting = greeting
            if self._display.is_on_screen and self._shown is not None:
                self._display.show(self._shown, greeting.access)
            elif sys.stdout.isatty():
                typer.echo(f"\n{greeting.text}\n")

    def run(self, stopping: threading.Event) -> None:
        """Poll for a new code until `stopping` is set."""
        self._display.remove_file()  # a killed run may have left one
        while not stopping.wait(self._poll_seconds):
            try:
                self._look()
            except SQLAlchemyError:
                continue  # the supervisor logs it and continues too
            except OSError as error:
                log.warning("the QR code cannot be shown: run `hudhud pair`", error=str(error))
        self._display.withdraw()

    def _look(self) -> None:
        with self._database.read() as connection:
            record = records.find(connection, self._sender)
        # A record without a heartbeat since the start is from a killed run.
        if record is None or (record.heartbeat_at or 0) < self._started:
            return
        with self._printing:
            self._follow(record)

    def _follow(self, record: Row[Any]) -> None:
        qr = record.qr if record.state == "pairing" else None
        before, self._shown = self._shown, qr
        if qr is not None and qr != before:
            self._was_shown = True
            self._show(qr)
        elif record.state == "connected" and self._was_shown:
            self._was_shown = False
            self._reported_file = None
            self._display.clear()
            if sys.stdout.isatty():
                text = "" if self._greeting is None else f"\n{self._greeting.text}\n"
                typer.echo(f"\nConnected to WhatsApp as {mask_phone(record.phone or '')}.\n{text}")
        elif qr is None and before is not None:
            self._display.withdraw()

    def _show(self, qr: str) -> None:
        file = self._display.show(qr, self._greeting.access if self._greeting else ())
        if file is not None and file != self._reported_file:
            self._reported_file = file
            log.warning(
                "WhatsApp is not linked yet: scan the QR code in this file (`cat` shows it on a "
                "terminal), or run `hudhud pair`",
                file=str(file),
            )


@contextmanager
def showing_qr(
    database: Database, sender: str, folder: Path, *, poll_seconds: float = POLL_SECONDS
) -> Iterator[PairingWatch]:
    """Show the sender's QR codes from a thread while the block runs; yield their watch."""
    stopping = threading.Event()
    watch = PairingWatch(database, sender, folder, poll_seconds)
    thread = threading.Thread(target=watch.run, args=(stopping,), name="pairing-watch")
    thread.start()
    try:
        yield watch
    finally:
        stopping.set()
        thread.join()
