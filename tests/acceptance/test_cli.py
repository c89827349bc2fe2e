"""The command line in real processes."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from hudhud.auth.first_credentials import CREDENTIALS_FILE
from hudhud.cli.pairing_qr import QR_FILE, drawing
from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import senders
from hudhud.senders import records
from support.admin import is_admin
from support.linked import PLAIN, LinkedService
from support.services import (
    HTTP,
    Service,
    StartService,
    free_port,
    has_ended,
    sqlite_of,
    wait_until,
)
from support.terminal import CTRL_C, Terminal
from waemu.client import EmulatorProcess

SECONDS = 60
PHONE = "+201001234567"


def run(
    folder: Path, *command: str, exit_code: int = 0, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal and check its exit code."""
    ended = subprocess.run(
        [sys.executable, "-m", "hudhud", *command],
        cwd=folder,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulated WhatsApp for all tests of this module."""
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder, log=folder / "emulator.log") as running:
        running.set_receipts("delivered+read")
        yield running


@pytest.fixture
def fresh(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[LinkedService]:
    """A service without a terminal, for a test that links it."""
    service = LinkedService(tmp_path / "service", emulator, PLAIN)
    service.start()
    yield service
    service.clean_up()


@pytest.fixture(scope="module")
def unlinked(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    """A service without a terminal that stays unlinked."""
    service = LinkedService(tmp_path_factory.mktemp("unlinked"), emulator, PLAIN)
    service.start()
    yield service
    service.clean_up()


@pytest.fixture(scope="module")
def linked(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    """A linked, connected service."""
    service = LinkedService(tmp_path_factory.mktemp("linked"), emulator, PLAIN)
    service.start()
    service.link()
    yield service
    service.clean_up()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service on the sandbox, with its sender."""
    folder = tmp_path_factory.mktemp("sandbox")
    service = Service(folder, ("hudhud", "serve"), {"CHANNEL": "sandbox"})
    service.start()
    wait_for_sender(service)
    yield service
    service.clean_up()


def wait_for_sender(service: Service) -> None:
    """Wait until the sender is connected."""
    ready = f"{service.url}/readyz?strict"
    wait_until(lambda: HTTP.get(ready).status_code == httpx.codes.OK, SECONDS, "the sender")


def let_heartbeats_age(service: Service) -> None:
    """Pretend that the last heartbeat was a minute ago."""
    past = now_ms() - MINUTE_MS
    with closing(sqlite_of(service)) as database, database.write() as connection:
        connection.execute(senders.update().values(heartbeat_at=past))


def test_first_start_on_a_terminal_shows_credentials_and_qr_code(
    emulator: EmulatorProcess, tmp_path: Path
) -> None:
    account, recipient = "+447700900150", "+447700900151"
    emulator.add_phones([account, recipient])
    address = f"http://127.0.0.1:{free_port()}"
    variables = {"HOST": "127.0.0.1", "PORT": address.rpartition(":")[2]}
    variables |= emulator.environment()
    with Terminal(tmp_path, *PLAIN, variables=variables) as terminal:
        terminal.wait_for("Admin password:")
        terminal.wait_for(f"curl -X POST {address}/api/v1/otp/send")
        terminal.wait_for("Linked devices")
        emulator.scan(shown_qr(tmp_path, terminal), account)
        assert terminal.screen.count("Linked devices") == 1
        below = terminal.screen.rpartition("▀")[2]
        assert f"Dashboard:      {address}/admin/status" in below
        password = below.split("Admin password: ")[1].split("\n")[0]
        assert is_admin(address, password)
        terminal.wait_for("Connected to WhatsApp as +4477*****50.")
        terminal.wait_for("send the first code to your own phone")
        assert password in terminal.screen
        key = terminal.screen.split("-H 'X-API-KEY: ")[1].split("'")[0]
        answer = httpx.post(
            f"{address}/api/v1/otp/send",
            headers={"X-API-KEY": key},
            json={"phoneNumber": recipient},
        )
        assert answer.status_code == 202
        wait_until(lambda: bool(emulator.messages(recipient)), SECONDS, "the message")
        assert "otp" not in answer.json()
        assert re.search(r"^\d{6}$", emulator.messages(recipient)[0].text, re.MULTILINE)
        terminal.press(CTRL_C)
        assert terminal.wait() == 0
    assert not (tmp_path / "data" / QR_FILE).exists()
    assert not (tmp_path / "data" / CREDENTIALS_FILE).exists()
    log = (tmp_path / "logs" / "combined.log").read_text()
    assert key not in log


def shown_qr(folder: Path, terminal: Terminal) -> str:
    """Return the QR code on the terminal, checked against the database."""
    url = f"sqlite:///{folder / 'data' / 'hudhud.db'}"
    with closing(Database(url)) as database, database.read() as connection:
        record = records.find(connection, "main")
    assert record is not None
    terminal.wait_for("\n".join(drawing(str(record.qr))))
    return str(record.qr)


def test_log_names_a_private_file_with_the_qr_code_and_pair_shows_it(
    fresh: LinkedService,
) -> None:
    file = fresh.service.folder / "data" / QR_FILE
    qr = fresh.wait_for_qr()
    shown = "\n".join(drawing(qr))
    wait_until(lambda: file.exists() and shown in file.read_text(), SECONDS, "the file")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in fresh.service.output.read_text()
    with Terminal(fresh.service.folder, "hudhud", "pair") as terminal:
        terminal.wait_for("scan the QR code")
        qr = fresh.wait_for_qr()
        terminal.wait_for("\n".join(drawing(qr)))
        fresh.emulator.scan(qr, fresh.account)
        assert terminal.wait() == 0
        assert "Connected to WhatsApp as +1555" in terminal.text
    wait_until(lambda: not file.exists(), SECONDS, "the file's end")
    assert qr not in fresh.service.output.read_text()


def test_pair_by_phone_shows_an_eight_character_code(fresh: LinkedService) -> None:
    fresh.wait_for_qr()
    with Terminal(fresh.service.folder, "hudhud", "pair", "--phone", fresh.account) as terminal:
        terminal.wait_for("Link with phone number")
        code = next(line.strip() for line in terminal.text.splitlines() if is_code(line.strip()))
        fresh.emulator.enter_code(fresh.account, code.replace("-", ""))
        assert terminal.wait() == 0
        assert "Connected to WhatsApp as +1555" in terminal.text


def test_narrow_terminal_shows_where_the_qr_code_is(unlinked: LinkedService) -> None:
    with Terminal(unlinked.service.folder, "hudhud", "pair", columns=50) as terminal:
        terminal.wait_for(QR_FILE)
        terminal.press(CTRL_C)
        assert terminal.wait() == 130


def test_ctrl_c_ends_pairing_quietly(unlinked: LinkedService) -> None:
    with Terminal(unlinked.service.folder, "hudhud", "pair") as terminal:
        terminal.wait_for("scan the QR code")
        terminal.press(CTRL_C)
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text
        assert "Aborted" not in terminal.text


def is_code(line: str) -> bool:
    return len(line) == 9 and line[4] == "-" and line.replace("-", "").isalnum()


def test_linked_sender_needs_no_pairing(linked: LinkedService) -> None:
    assert "already linked" in run(linked.service.folder, "pair").stdout


def test_code_sent_from_the_command_line_arrives(linked: LinkedService) -> None:
    phone = linked.add_phone()
    ended = run(linked.service.folder, "send", phone, "--show-code")
    assert re.fullmatch(r"Job \d+: (delivered|read)", ended.stdout.splitlines()[-1])
    (message,) = linked.received(phone)
    code = ended.stdout.split("Code: ")[1].split("\n")[0]
    assert code in message.text


def test_number_without_whatsapp_exits_with_one(linked: LinkedService) -> None:
    ended = run(linked.service.folder, "send", "+15559990000", exit_code=1)
    assert "no WhatsApp account" in ended.stdout


def test_status_shows_a_running_and_a_killed_service(
    start_service: StartService,
) -> None:
    service = start_service(CHANNEL="sandbox")
    wait_for_sender(service)
    told = run(service.folder, "status").stdout
    assert "main-sandbox (sandbox): connected since" in told
    left = service.children()
    service.kill()
    wait_until(lambda: all(map(has_ended, left)), SECONDS, "the end of the sender")
    let_heartbeats_age(service)
    assert "not running (connected since" in run(service.folder, "status").stdout


def test_running_service_accepts_a_new_key_and_rejects_a_revoked_one(sandbox: Service) -> None:
    key = run(sandbox.folder, "keys", "create", "webshop").stdout.strip()

    def answer() -> int:
        return httpx.get(f"{sandbox.url}/api/v1/otp/1", headers={"X-API-KEY": key}).status_code

    wait_until(lambda: answer() == 404, SECONDS, "the key to work")
    run(sandbox.folder, "keys", "revoke", "webshop")
    wait_until(lambda: answer() == 401, SECONDS, "the key to stop working")


def test_doctor_asks_the_running_service(sandbox: Service) -> None:
    """The settings of the service are not those of the shell."""
    ended = run(sandbox.folder, "doctor", "--json")
    findings: dict[str, Any] = {finding["check"]: finding for finding in json.loads(ended.stdout)}
    assert f"Hudhud listens on 127.0.0.1 port {sandbox.port}." in findings["port"]["sentence"]
    assert findings["sender"]["sentence"].startswith("The sender main-sandbox is connected.")
    assert findings["sender"]["outcome"] == "ok"
    assert findings["library"]["outcome"] == "ok"
    assert {name for name, found in findings.items() if found["outcome"] != "ok"} == {"credentials"}
    (sandbox.folder / "data" / CREDENTIALS_FILE).unlink()
    ended = run(sandbox.folder, "doctor")
    assert ended.stdout == f"All {len(findings)} checks passed. To list them: hudhud doctor --all\n"


def test_occupied_port_stops_the_start_with_one_line(sandbox: Service) -> None:
    variables = {"CHANNEL": "sandbox", "HOST": "127.0.0.1", "PORT": str(sandbox.port)}
    ended = run(sandbox.folder, "serve", exit_code=1, variables=variables)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"hudhud: Cannot listen on 127.0.0.1 port {sandbox.port}")


def test_separate_worker_sends_queued_messages(tmp_path: Path, postgres_url: str) -> None:
    variables = {"DATABASE_URL": postgres_url, "SESSION_SECRET": "x" * 40, "CHANNEL": "sandbox"}
    run(tmp_path, "migrate", variables=variables)
    with (tmp_path / "output").open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "hudhud", "worker"],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        ended = run(tmp_path, "send", PHONE, variables=variables)
        assert ended.stdout.splitlines()[-1] == "Job 1: delivered"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
    finally:
        worker.kill()
        worker.wait()
