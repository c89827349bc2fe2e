"""`hudhud pair`: QR code, pairing code, and every way to end."""

from pathlib import Path

import pytest

from hudhud.channels.base import StateReport
from hudhud.cli.pairing_qr import QR_FILE, drawing
from hudhud.core.clock import now_ms
from hudhud.core.sentences import other
from hudhud.senders import commands
from hudhud.senders.commands import CommandResult
from support.command_line import PHONE, QR, Installation, Run, in_background
from support.services import wait_until


def test_sandbox_needs_no_pairing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL", "sandbox")
    ended = run("pair")
    assert ended.code == 2
    assert "CHANNEL=linked" in ended.err


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("option", [[], ["--phone", PHONE]])
def test_pairing_without_a_running_sender_says_what_to_start(run: Run, option: list[str]) -> None:
    ended = run("pair", *option)
    assert ended.code == 1
    assert "hudhud serve" in ended.err
    assert ended.err.count("\n") == 1


def test_linked_sender_needs_no_pairing(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", "all", phone=PHONE))
    ended = run("pair")
    assert ended.code == 0
    assert "already linked" in ended.out
    assert "+2010*****67" in ended.out


def test_pairing_an_outdated_hudhud_ends_with_a_remedy(
    run: Run, installation: Installation
) -> None:
    installation.play_sender(StateReport("outdated"))
    ended = run("pair")
    assert ended.code == 1
    assert "Update Hudhud" in ended.err


def test_without_a_terminal_a_private_file_holds_the_qr_code_until_the_scan(
    run: Run, installation: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "data" / QR_FILE
    modes = []

    def scan() -> None:
        for qr in (QR, QR + "2"):
            shown = "\n".join(drawing(qr))
            installation.play_sender(StateReport("pairing", qr=qr))
            wait_until(lambda shown=shown: file.exists() and shown in file.read_text(), 20, qr)  # type: ignore[misc]
            modes.append(file.stat().st_mode & 0o777)
        installation.play_sender(StateReport("connected", "all", phone=PHONE))

    installation.play_sender(StateReport("starting"))
    with in_background(scan):
        ended = run("pair", "--timeout", "60s")
    assert ended.code == 0
    assert "Connected to WhatsApp as +2010*****67." in ended.out
    assert str(file) in ended.err
    assert QR not in ended.out + ended.err
    assert modes == [0o600, 0o600]
    assert not file.exists()


def test_unscanned_code_exits_with_one(
    run: Run, installation: Installation, tmp_path: Path
) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    ended = run("pair", "--timeout", "1s")
    assert ended.code == 1
    assert "No phone was linked within 1s" in ended.err
    assert not (tmp_path / "data" / QR_FILE).exists()


def answer_command(installation: Installation, result: CommandResult) -> commands.Command:
    """Carry out the next command as the sender's process does."""
    taken: list[commands.Command] = []

    def take() -> bool:
        with installation.database.write() as connection:
            taken.extend(commands.take(connection, sender="main", now=now_ms()))
        return bool(taken)

    wait_until(take, 20, "a command")
    with installation.database.write() as connection:
        commands.finish(connection, command=taken[0], result=result, now=now_ms())
        installation.database.notify(connection)
    return taken[0]


def test_pairing_code_is_shown_in_two_groups_until_entered(
    run: Run, installation: Installation
) -> None:
    asked = []

    def link() -> None:
        asked.append(
            answer_command(installation, CommandResult(commands.DONE, pair_code="ABCD1234"))
        )
        installation.play_sender(StateReport("connected", "all", phone=PHONE))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(link):
        ended = run("pair", "--phone", PHONE, "--timeout", "60s")
    assert ended.code == 0
    assert "ABCD-1234" in ended.out
    assert "Link with phone number" in ended.err
    assert (asked[0].kind, asked[0].argument) == ("pair_phone", PHONE)


def test_pairing_code_is_requested_again_after_a_new_link(
    run: Run, installation: Installation
) -> None:
    def link() -> None:
        answer_command(installation, CommandResult(commands.FAILED, other("Ask again.")))
        installation.play_sender(StateReport("starting"))
        installation.play_sender(StateReport("pairing", qr=QR))
        answer_command(installation, CommandResult(commands.DONE, pair_code="ABCD1234"))
        installation.play_sender(StateReport("connected", "all", phone=PHONE))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(link):
        ended = run("pair", "--phone", PHONE, "--timeout", "60s")
    assert ended.code == 0
    assert "ABCD-1234" in ended.out


def test_pairing_code_not_entered_in_time_exits_with_one(
    run: Run, installation: Installation
) -> None:
    def let_it_run_out() -> None:
        answer_command(installation, CommandResult(commands.DONE, pair_code="ABCD1234"))
        installation.play_sender(StateReport("starting"))
        installation.play_sender(StateReport("pairing", qr=QR))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(let_it_run_out):
        ended = run("pair", "--phone", PHONE, "--timeout", "60s")
    assert ended.code == 1
    assert "The code was not typed in time" in ended.err


@pytest.mark.parametrize("database_kind", ["sqlite"])  # waits 5 s for a new link
def test_refused_pairing_code_ends_with_the_reason(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    refused = CommandResult(commands.FAILED, other("WhatsApp gives no code for this number."))
    with in_background(lambda: void(answer_command(installation, refused))):
        ended = run("pair", "--phone", PHONE)
    assert ended.code == 1
    assert ended.err == "hudhud: WhatsApp gives no code for this number.\n"


def void(_value: object) -> None:
    """Return nothing."""
