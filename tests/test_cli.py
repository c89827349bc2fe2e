"""The command line as its user sees it: answers, exit codes, one clear line for each error."""

import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
from sqlalchemy import select, text, update

from hudhud import __version__, api_keys, app, commands, queue, senders
from hudhud.cli import cli, main
from hudhud.cli.qr import QR_FILE, drawing, width_of
from hudhud.clock import now_ms
from hudhud.commands import Result
from hudhud.credentials import load_secret
from hudhud.db import tables
from hudhud.db.tables import messages, verifications
from hudhud.messages import Receipt, record_receipts
from hudhud.queue import Failed, Sent
from hudhud.sealing import CodeSealer
from hudhud.senders import StateReport
from hudhud.settings import load_settings
from support.services import wait_until

README = Path(__file__).parents[1] / "README.md"
PHONE = "+201001234567"
QR = "https://wa.me/settings/linked_devices#" + "x" * 250


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command line in this process."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["hudhud", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, said.out, said.err)

    before = os.umask(0o022)
    os.umask(before)
    yield call
    os.umask(before)


class Installation:
    """A started installation with one sender, which the test plays itself."""

    def __init__(self) -> None:
        self.settings = load_settings()
        self.database = app.open_installation(self.settings)

    def play_sender(self, report: StateReport) -> None:
        """Be the supervisor and the process of this machine's sender, in this state."""
        name, now = self.settings.sender_name, now_ms()
        with self.database.write() as connection:
            senders.register(connection, name=name, channel=self.settings.channel, now=now)
            senders.take_lease(connection, name=name, owner="test", now=now)
            senders.beat(connection, name=name, now=now)
            senders.report(connection, name=name, new=report, now=now)

    def rows(self) -> list[Any]:
        """All messages."""
        with self.database.read() as connection:
            return list(connection.execute(select(messages).order_by(messages.c.id)))


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A started installation on each kind of database."""
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_url"))
    started = Installation()
    yield started
    started.database.close()


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    """Do the sender's part while a command waits for it."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def commands_of(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its full name."""
    for name, command in sorted(group.commands.items()):
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands_of(command, *path, name)


EVERY_COMMAND = list(commands_of(typer.main.get_command(cli)))
NAMES = [" ".join(path) for path, _ in EVERY_COMMAND]


# ── help and wrong use ──────────────────────────────────────────────────────────────────────────


def test_these_are_the_commands() -> None:
    assert set(NAMES) == {
        "serve", "worker", "pair", "send", "status", "migrate", "doctor", "demo",
        "keys", "keys create", "keys list", "keys revoke",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert f"Usage: hudhud {name}" in ended.out


@pytest.mark.parametrize(("path", "command"), EVERY_COMMAND, ids=NAMES)
def test_every_option_and_argument_has_an_explanation(path: tuple[str, ...], command: Any) -> None:
    assert command.help, path
    for parameter in command.params:
        assert getattr(parameter, "help", None), (path, parameter.name)


@pytest.mark.parametrize("path", [path for path, command in EVERY_COMMAND])
def test_every_command_stands_in_the_readme(path: tuple[str, ...]) -> None:
    assert f"hudhud {' '.join(path)}" in README.read_text(encoding="utf-8")


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == f"hudhud {__version__}\n"


@pytest.mark.parametrize("arguments", [["fly"], ["send"], ["status", "--loud"], ["keys", "make"]])
def test_wrong_use_ends_with_two(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert "Usage" in ended.err


@pytest.mark.parametrize("arguments", [["status"], ["serve"], ["worker"], ["migrate"], ["pair"]])
def test_a_wrong_setting_ends_with_two_and_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PORT", "many")
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("hudhud: Wrong setting. PORT: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["status"], ["keys", "list"], ["keys", "revoke", "x"], ["pair"], ["send", PHONE]]
)
def test_without_an_installation_nothing_is_made(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    ended = run(*arguments)
    assert ended.code == 1
    assert ended.err == (
        "hudhud: There is no database data/hudhud.db yet. Start with: hudhud serve\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_ends_with_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://hudhud:topsecret@127.0.0.1:1/hudhud")
    ended = run("status")
    assert ended.code == 1
    assert "cannot be opened" in ended.err
    assert "topsecret" not in ended.err
    assert ended.err.count("\n") == 1


def test_an_empty_database_is_not_migrated_by_a_question(
    run: Run, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    ended = run("status")
    assert (ended.code, ended.out) == (1, "")
    assert "The database is empty" in ended.err


def test_a_database_of_another_version_is_told_with_what_to_do(
    run: Run, installation: Installation
) -> None:
    with installation.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    ended = run("status")
    assert ended.code == 1
    assert "hudhud migrate" in ended.err


def test_migrate_makes_the_tables(run: Run) -> None:
    ended = run("migrate")
    assert (ended.code, ended.out) == (0, "The database is at revision 0001.\n")


def test_migrate_where_the_data_folder_cannot_be_made_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATA_DIR", "file/data")
    ended = run("migrate")
    assert ended.code == 2
    assert ended.err.startswith("hudhud: DATA_DIR: ")
    assert ended.err.count("\n") == 1


# ── keys ────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_printed_once_and_recognised(run: Run, installation: Installation) -> None:
    ended = run("keys", "create", "webshop")
    assert ended.code == 0
    key = ended.out.strip()
    ring = api_keys.KeyRing(installation.database, None)
    ring.start()
    assert ring.identify(key) == api_keys.readable_prefix(key)
    ring.stop()
    listed = run("keys", "list").out
    assert "webshop" in listed
    assert key not in listed


def test_keys_can_be_made_before_the_first_start(run: Run, tmp_path: Path) -> None:
    assert run("keys", "create", "webshop").code == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "hudhud.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("name", ["webshop", ""])
def test_a_name_that_cannot_be_taken_ends_with_two(run: Run, name: str) -> None:
    run("keys", "create", "webshop")
    assert run("keys", "create", name).code == 2
    assert len(run("keys", "list").out.splitlines()) == 1


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("by", ["name", "prefix"])
def test_a_key_is_revoked_by_name_or_prefix(run: Run, by: str) -> None:
    key = run("keys", "create", "webshop").out.strip()
    prefix = api_keys.readable_prefix(key)
    shown = f"{prefix}…" if by == "prefix" else "webshop"
    assert run("keys", "revoke", shown).code == 0
    assert "revoked" in run("keys", "list").out
    again = run("keys", "revoke", shown)
    assert again.code == 1
    assert "hudhud keys list" in again.err


# ── send ────────────────────────────────────────────────────────────────────────────────────────


def test_a_sent_code_is_queued_and_not_shown(run: Run, installation: Installation) -> None:
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 0
    assert "Job 1 is queued" in ended.out
    assert "No sender is running" in ended.err
    (row,) = installation.rows()
    assert (row.phone, row.status) == (PHONE, "queued")
    assert code_of(installation) not in re.findall(r"\b\d{4}\b", ended.out.split("valid")[0])
    assert "Code" not in ended.out


def test_a_code_is_shown_to_who_asks_for_it(run: Run, installation: Installation) -> None:
    ended = run("send", PHONE, "--no-wait", "--show-code")
    assert f"Code: {code_of(installation)}\n" in ended.out


def code_of(installation: Installation) -> str:
    sealer = CodeSealer(load_secret(installation.settings))
    with installation.database.read() as connection:
        row = connection.execute(select(verifications)).one()
    return sealer.open(row.id, row.code_sealed)


@pytest.mark.parametrize("number", ["201001234567", "+20", "me"])
def test_what_is_no_number_ends_with_two(run: Run, number: str) -> None:
    ended = run("send", number)
    assert ended.code == 2
    assert "is not a phone number" in ended.err


def test_a_wrong_secret_sends_nothing(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("send", PHONE, "--no-wait")
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 1
    assert "another secret" in ended.err
    assert len(installation.rows()) == 1


def test_a_full_queue_ends_with_one(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_MIN_SEND_DELAY_MS", "3600000")
    monkeypatch.setenv("WORKER_MAX_SEND_DELAY_MS", "3600000")
    assert run("send", PHONE, "--no-wait").code == 0
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 1
    assert "Try again in 3600 s" in ended.err
    assert len(installation.rows()) == 1


def claim_when_there(installation: Installation) -> int:
    """Take the message that a command queues, as a sender would."""
    wait_until(lambda: bool(installation.rows()), 20, "a message")
    with installation.database.write() as connection:
        (claimed,) = queue.claim(connection, channel="linked", sender="main", limit=1, now=now_ms())
        installation.database.ring(connection)
    return claimed.id


def record(installation: Installation, outcome: Sent | Failed) -> None:
    with installation.database.write() as connection:
        queue.record(connection, sender="main", outcomes=[outcome])
        installation.database.ring(connection)


def test_a_message_is_followed_until_it_arrived(run: Run, installation: Installation) -> None:
    def carry() -> None:
        job = claim_when_there(installation)
        record(installation, Sent(job, "provider-1", now_ms()))
        with installation.database.write() as connection:
            record_receipts(connection, [Receipt("provider-1", "delivered", now_ms())])
            installation.database.ring(connection)

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "30")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "Job 1: delivered"


def test_a_message_that_is_not_delivered_in_time_counts_as_sent(
    run: Run, installation: Installation
) -> None:
    def carry() -> None:
        record(installation, Sent(claim_when_there(installation), "provider-1", now_ms()))

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "3")
    assert ended.code == 0
    assert "not delivered within 3 s" in ended.err


def test_a_message_that_fails_ends_with_one_and_its_reason(
    run: Run, installation: Installation
) -> None:
    def carry() -> None:
        record(installation, Failed(claim_when_there(installation), "No account.", now_ms()))

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "30")
    assert ended.code == 1
    assert "failed. No account." in ended.out


@pytest.mark.usefixtures("installation")
def test_a_message_that_nobody_sends_ends_with_one(run: Run) -> None:
    ended = run("send", PHONE, "--timeout", "1")
    assert ended.code == 1
    assert "still queued after 1 s" in ended.err


# ── status ──────────────────────────────────────────────────────────────────────────────────────


def test_status_tells_senders_and_queue(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", "all", phone="+201009876543"))
    run("send", PHONE, "--no-wait")
    run("send", PHONE, "--no-wait")
    record(installation, Failed(claim_when_there(installation), "No account.", now_ms()))
    ended = run("status")
    assert ended.code == 0
    assert "main (linked): connected since" in ended.out
    assert "+2010*****43" in ended.out
    assert "1 waiting, the oldest for " in ended.out
    assert "1 failed, 1 queued" in ended.out


def test_status_for_programs_is_json(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    ended = run("status", "--json")
    told = json.loads(ended.out)
    assert told["version"] == __version__
    assert told["database"]["kind"] in ("SQLite", "PostgreSQL")
    assert told["queue"] == {"queued": 0, "sending": 0, "oldest_waits_seconds": None}
    assert told["latest_jobs"] == {}
    (sender,) = told["senders"]
    assert (sender["state"], sender["running"], sender["phone"]) == ("pairing", True, None)
    assert QR not in ended.out


def test_status_says_that_a_killed_sender_does_not_run(
    run: Run, installation: Installation
) -> None:
    installation.play_sender(StateReport("connected", "all"))
    with installation.database.write() as connection:
        late = now_ms() - senders.LATE_MS
        connection.execute(update(tables.senders).values(heartbeat_at=late))
    ended = run("status")
    assert "main (linked): not running (connected since" in ended.out
    assert "Start it with: hudhud serve" in ended.out


# ── pair ────────────────────────────────────────────────────────────────────────────────────────


def test_the_sandbox_needs_no_pairing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_linked_sender_needs_no_pairing(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", "all", phone=PHONE))
    ended = run("pair")
    assert ended.code == 0
    assert "linked already" in ended.out
    assert "+2010*****67" in ended.out


def test_pairing_an_outdated_hudhud_ends_with_what_to_do(
    run: Run, installation: Installation
) -> None:
    installation.play_sender(StateReport("outdated"))
    ended = run("pair")
    assert ended.code == 1
    assert "Update Hudhud" in ended.err


def test_without_a_terminal_the_code_to_scan_is_in_a_private_file_until_it_is_scanned(
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
        ended = run("pair", "--timeout", "60")
    assert ended.code == 0
    assert "Connected to WhatsApp as +2010*****67." in ended.out
    assert str(file) in ended.err
    assert QR not in ended.out + ended.err
    assert modes == [0o600, 0o600]
    assert not file.exists()


def test_a_code_that_nobody_scans_ends_with_one(
    run: Run, installation: Installation, tmp_path: Path
) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    ended = run("pair", "--timeout", "1")
    assert ended.code == 1
    assert "Nothing was linked within 1 s" in ended.err
    assert not (tmp_path / "data" / QR_FILE).exists()


def answer_command(installation: Installation, result: Result) -> commands.Command:
    """Carry out the next command as the sender's process would."""
    taken: list[commands.Command] = []

    def take() -> bool:
        with installation.database.write() as connection:
            taken.extend(commands.take(connection, sender="main", now=now_ms()))
        return bool(taken)

    wait_until(take, 20, "a command")
    with installation.database.write() as connection:
        commands.finish(connection, command=taken[0], result=result, now=now_ms())
        installation.database.ring(connection)
    return taken[0]


def test_a_phone_code_is_shown_in_two_groups_and_waited_for(
    run: Run, installation: Installation
) -> None:
    asked = []

    def link() -> None:
        asked.append(answer_command(installation, Result(commands.DONE, "ABCD1234")))
        installation.play_sender(StateReport("connected", "all", phone=PHONE))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(link):
        ended = run("pair", "--phone", PHONE, "--timeout", "60")
    assert ended.code == 0
    assert "ABCD-1234" in ended.out
    assert "Link with phone number" in ended.err
    assert (asked[0].kind, asked[0].argument) == ("pair_phone", PHONE)


def test_a_phone_code_is_asked_for_again_where_the_link_was_renewed(
    run: Run, installation: Installation
) -> None:
    def link() -> None:
        answer_command(installation, Result(commands.FAILED, "Ask again."))
        installation.play_sender(StateReport("starting"))
        installation.play_sender(StateReport("pairing", qr=QR))
        answer_command(installation, Result(commands.DONE, "ABCD1234"))
        installation.play_sender(StateReport("connected", "all", phone=PHONE))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(link):
        ended = run("pair", "--phone", PHONE, "--timeout", "60")
    assert ended.code == 0
    assert "ABCD-1234" in ended.out


def test_a_phone_code_that_nobody_types_in_time_ends_with_one(
    run: Run, installation: Installation
) -> None:
    def let_it_run_out() -> None:
        answer_command(installation, Result(commands.DONE, "ABCD1234"))
        installation.play_sender(StateReport("starting"))
        installation.play_sender(StateReport("pairing", qr=QR))

    installation.play_sender(StateReport("pairing", qr=QR))
    with in_background(let_it_run_out):
        ended = run("pair", "--phone", PHONE, "--timeout", "60")
    assert ended.code == 1
    assert "Nobody typed the code in time" in ended.err


def test_a_refused_phone_code_ends_with_the_reason(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    refused = Result(commands.FAILED, "WhatsApp gives no code for this number.")
    with in_background(lambda: void(answer_command(installation, refused))):
        ended = run("pair", "--phone", PHONE)
    assert ended.code == 1
    assert ended.err == "hudhud: WhatsApp gives no code for this number.\n"


def void(_value: object) -> None:
    """Return nothing."""


# ── the drawing of a code ───────────────────────────────────────────────────────────────────────


def test_a_drawing_fits_a_usual_terminal() -> None:
    lines = drawing(QR)
    assert width_of(lines) <= 72
    assert len(lines) <= 36
    assert len({len(line) for line in lines}) == 1
