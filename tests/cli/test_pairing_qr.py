"""The QR code of `hudhud serve`, on terminals and in files."""

import stat
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import update

from hudhud.channels.base import StateReport
from hudhud.cli.greeting import Greeting
from hudhud.cli.pairing_qr import (
    ERASED_SCREEN,
    QR_FILE,
    PairingWatch,
    drawing,
    showing_qr,
    width_of,
)
from hudhud.core.sentences import other
from hudhud.db import tables
from support.command_line import PHONE, QR, Installation
from support.services import wait_until

SECONDS = 20


def watching(installation: Installation) -> AbstractContextManager[PairingWatch]:
    """Show the codes of the installation's sender, looking for them often."""
    sender = installation.settings.sender_name
    return showing_qr(installation.database, sender, Path("data"), poll_seconds=0.02)


class Shown:
    """Collects printed lines."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Wait until a text was printed."""

        def is_there() -> bool:
            self.text += self._capsys.readouterr().out
            return text in self.text

        wait_until(is_there, SECONDS, text)


HINT = (
    "Open WhatsApp on the phone: Linked devices, Link a device, then scan the QR code. Before the "
    "code expires, a new one takes its place."
)


def test_low_terminal_shows_the_whole_code_last(
    installation: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "41")
    shown = Shown(capsys)
    with watching(installation) as watch:
        installation.play_sender(StateReport("pairing", qr=QR))
        shown.wait_for(code(QR))
        watch.greet(Greeting(["The password is hunter2."] * 3, "Send a code."))
        shown.wait_for("hunter2")
    screen = shown.text.rpartition(ERASED_SCREEN)[2]
    assert screen.index("hunter2") < screen.index(code(QR))
    assert screen.split()[-1] == "place.", "the end of the service erases nothing"


def code(qr: str) -> str:
    return "\n".join(drawing(qr))


def test_terminal_shows_each_new_code_and_then_the_link(
    installation: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "60")
    shown = Shown(capsys)
    greeting = Greeting(["The password is hunter2."], "Send a code.")
    with watching(installation) as watch:
        watch.greet(greeting)
        for qr in (QR, QR + "2"):
            installation.play_sender(StateReport("pairing", qr=qr))
            shown.wait_for(code(qr))
        installation.play_sender(
            StateReport("pairing", detail=other("The phone linked this device."))
        )
        installation.play_sender(StateReport("connected", "all", phone=PHONE))
        shown.wait_for("Connected to WhatsApp as +2010*****67.\n\nThe password is hunter2.\n")
    first, *screens = shown.text.split(ERASED_SCREEN)
    assert first.startswith("\nThe password is hunter2.\n\nSend a code.\n")
    assert first.endswith("\n" * 60), "what the terminal showed before is scrolled, not erased"
    assert [screen.count("▀" * 40) for screen in screens] == [1, 1, 0]
    for screen in screens[:2]:
        _, _, below = " ".join(screen.split()).rpartition("▀")
        assert below.endswith(f"{HINT} The password is hunter2.")
    assert screens[-1].rstrip().endswith("Send a code.")
    assert PHONE not in shown.text
    assert QR not in shown.text


@pytest.mark.parametrize("columns", ["50", "100"])
def test_without_a_wide_terminal_a_private_file_holds_the_code(
    installation: Installation,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    columns: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns == "50")
    monkeypatch.setenv("COLUMNS", columns)
    file = tmp_path / "data" / QR_FILE
    with watching(installation):
        for qr in (QR, QR + "2"):
            installation.play_sender(StateReport("pairing", qr=qr))
            wait_until(lambda qr=qr: has(file, code(qr)), SECONDS, qr)  # type: ignore[misc]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        installation.play_sender(StateReport("connected", "all", phone=PHONE))
        wait_until(lambda: not file.exists(), SECONDS, "the file's end")
    printed = capsys.readouterr().out
    assert code(QR) not in printed
    assert QR not in printed


def has(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


def test_file_is_deleted_when_the_service_stops(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "data" / QR_FILE
    with watching(installation):
        installation.play_sender(StateReport("pairing", qr=QR))
        wait_until(file.exists, SECONDS, "the file")
    assert not file.exists()


def test_code_left_by_a_killed_run_is_not_shown(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "data" / QR_FILE
    file.write_text("an old code")
    installation.play_sender(StateReport("pairing", qr=QR))
    with installation.database.write() as connection:
        connection.execute(update(tables.senders).values(heartbeat_at=0))
    with watching(installation):
        wait_until(lambda: not file.exists(), SECONDS, "the old file's end")
        installation.play_sender(StateReport("pairing", qr=QR + "2"))
        wait_until(file.exists, SECONDS, "the new code")
        assert file.read_text().startswith(code(QR + "2"))


def test_qr_code_fits_a_standard_terminal() -> None:
    lines = drawing(QR)
    assert width_of(lines) <= 72
    assert len(lines) <= 36
    assert len({len(line) for line in lines}) == 1
