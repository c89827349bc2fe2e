"""The demo: the real service and WhatsApp library with a local server.

    curl ──▶ hudhud serve ──▶ sender's process ──▶ emulated WhatsApp (waemu) ──▶ virtual phones

Everything runs on 127.0.0.1, in processes and a folder that end with the demo. The sender connects
through the emulator's proxy, which blocks the real WhatsApp.
"""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from hudhud.auth.admin_password import make_password
from hudhud.auth.api_keys import LIVE_MARK
from hudhud.core.code_lengths import CHECKED_HERE
from hudhud.core.errors import CommandFailed
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.senders import records

if TYPE_CHECKING:
    from waemu.client import EmulatorProcess
    from waemu.records import ReceivedMessage

# Ofcom's numbers for drama, and the example of the documentation; only virtual phones use them.
ACCOUNT = "+447700900100"
EGYPTIAN = "+201001234567"
BRITISH = "+447700900123"

ADMIN = "admin"
SENDER = "main"
USUAL_PORT = 3000
POLL_SECONDS = 0.1
START_SECONDS = 60.0
LINK_SECONDS = 60.0
ARRIVAL_SECONDS = 60.0
STOP_SECONDS = 12.0
SHOWN_LINES = 5
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Tell = Callable[[str], None]


class Job(NamedTuple):
    """A code that was requested over HTTP."""

    id: int
    phone: str
    code: str


class Demo:
    """A running demo: a service that sends codes and phones that receive."""

    def __init__(self, emulator: "EmulatorProcess", address: str, service: "_Service") -> None:
        self.address = address
        self.api_key = service.api_key
        self.admin_password = service.admin_password
        self._emulator = emulator
        self._last_seen = 0

    def curl(self, phone: str) -> str:
        """Return the shell command that requests a code for this number."""
        return (
            f"curl -X POST {self.address}/api/v1/otp/send \\\n"
            f"  -H 'X-API-KEY: {self.api_key}' \\\n"
            f"  -H 'Content-Type: application/json' \\\n"
            f"""  -d '{{"phoneNumber": "{phone}"}}'"""
        )

    def ask_for_code(self, phone: str) -> Job:
        """Request a code for this number. Raises CommandFailed if it is refused."""
        answer = self._request("POST", "/api/v1/otp/send", {"phoneNumber": phone})
        return Job(answer["jobId"], phone, answer["otp"])

    def delivery(self, job: Job) -> str:
        """Return the exact state of a job."""
        return str(self._request("GET", f"/api/v1/otp/{job.id}")["delivery"])

    def new_messages(self) -> "list[ReceivedMessage]":
        """Return the messages that phones received and decrypted since the last call."""
        found = self._emulator.messages(since=self._last_seen)
        self._last_seen = max([self._last_seen, *(message.sequence for message in found)])
        return found

    def _request(self, method: str, path: str, body: object = None) -> Any:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        headers = {"X-API-KEY": self.api_key, "Content-Type": "application/json"}
        with closing(connection):
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
        if response.status >= 400:  # noqa: PLR2004 -- the first HTTP error
            raise CommandFailed(f"Hudhud answered {response.status}: {text}")
        return json.loads(text)


@contextmanager
def running_demo(tell: Tell, port: int | None = None) -> Iterator[Demo]:
    """Run the demo during the block; `tell` receives progress messages.

    Without a `port` it listens on 3000, or on any free one if that is in use.
    Raises CommandFailed if it cannot be started.
    """
    emulator_process = _emulator_class()
    tell("Starting a local WhatsApp server …")
    with (
        _ending_by_exception(),
        TemporaryDirectory(prefix="hudhud-demo-") as folder,
        emulator_process(Path(folder) / "whatsapp", log=Path(folder) / "whatsapp.log") as emulator,
        _Service(Path(folder), emulator.environment(), _port(port)) as service,
        _undisturbed_end(),
    ):
        tell("Starting Hudhud …")
        address = service.wait_for_address()
        tell("A virtual phone scans the QR code …")
        emulator.add_phone(ACCOUNT)
        emulator.set_every_number_exists(wanted=True)
        emulator.set_receipts("delivered+read")
        _link(service, emulator)
        yield Demo(emulator, address, service)


def self_test(demo: Demo, show: "Callable[[ReceivedMessage], None]") -> None:
    """Send an Arabic and an English code; `show` gets each message.

    Raises CommandFailed unless both arrive with their codes and are read in time.
    """
    missing = {job.phone: job for job in map(demo.ask_for_code, (EGYPTIAN, BRITISH))}
    jobs = list(missing.values())
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while missing:
        _check_time(deadline, f"Nothing arrived at {', '.join(missing)}.")
        for message in demo.new_messages():
            show(message)
            job = missing.pop("+" + message.to_number.removeprefix("+"), None)
            if job is not None and job.code not in message.text:
                raise CommandFailed(f"The message to {job.phone} lacks its code.")
        time.sleep(POLL_SECONDS)
    while any(demo.delivery(job) != "read" for job in jobs):
        _check_time(deadline, "The phones read the messages, but Hudhud received no receipt.")
        time.sleep(POLL_SECONDS)


class _Service:
    """A separate `hudhud serve` with its own settings and folder."""

    def __init__(self, folder: Path, emulator_environment: dict[str, str], port: int) -> None:
        self.api_key = LIVE_MARK + secrets.token_urlsafe(32)
        self.admin_password = make_password()
        self._folder = folder
        self._output = folder / "output.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not _is_setting(name)},
            **emulator_environment,
            "CHANNEL": "linked",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "API_KEY": self.api_key,
            "OTP_LENGTH": str(CHECKED_HERE),
            "ADMIN_USERNAME": ADMIN,
            "ADMIN_PASSWORD": self.admin_password,
            "DATA_DIR": str(folder / "data"),
            "LOG_DIR": str(folder / "logs"),
            "HUDHUD_DIE_WITH_PARENT": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hudhud.cli.demo.launcher", "serve"],
                cwd=self._folder,  # the user's .env is not read there
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches only the demo, which stops the service
            )
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None  # noqa: S101 -- for the type checker
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def wait_for_address(self) -> str:
        """Wait until the log names the service's address, and return it."""
        deadline = time.monotonic() + START_SECONDS
        log = self._folder / "logs" / "combined.log"
        while True:
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
            for line in lines:
                if '"listening"' in line:
                    return str(json.loads(line)["address"])
            self.require_running()
            _check_time(deadline, "Hudhud did not start in time.")
            time.sleep(POLL_SECONDS)

    def require_running(self) -> None:
        """Raise CommandFailed with the last output if the service has ended."""
        if self._process is not None and self._process.poll() is not None:
            printed = self._output.read_text(encoding="utf-8", errors="replace").splitlines()
            raise CommandFailed("Hudhud ended: " + " ".join(printed[-SHOWN_LINES:]))

    def database(self) -> Database:
        """Open the service's database."""
        return Database(f"sqlite:///{self._folder / 'data' / 'hudhud.db'}")


def _emulator_class() -> "type[EmulatorProcess]":
    try:
        from waemu.client import EmulatorProcess  # noqa: PLC0415 -- only the demo needs it
    except ModuleNotFoundError:
        raise CommandFailed(
            "The local WhatsApp server is not installed. Install it and start the demo: make demo"
        ) from None
    return EmulatorProcess


def _link(service: _Service, emulator: "EmulatorProcess") -> None:
    """Scan each new QR code until the sender is connected."""
    deadline = time.monotonic() + LINK_SECONDS
    scanned = None
    with closing(service.database()) as database:
        while True:
            with database.read() as connection:
                record = records.find(connection, SENDER)
            if record is not None and record.state == "connected":
                return
            if record is not None and record.qr not in (None, scanned):
                scanned = record.qr
                emulator.scan(scanned, ACCOUNT)
            service.require_running()
            _check_time(deadline, "The virtual phone could not be linked in time.")
            time.sleep(POLL_SECONDS)


def _port(wanted: int | None) -> int:
    """Return the wanted or usual port, or 0 if that is in use."""
    if wanted is not None:
        return wanted
    try:
        socket.create_server(("127.0.0.1", USUAL_PORT)).close()
    except OSError:
        return 0
    return USUAL_PORT


def _check_time(deadline: float, sentence: str) -> None:
    if time.monotonic() >= deadline:
        raise CommandFailed(sentence)


def _is_setting(name: str) -> bool:
    return name.lower() in Settings.model_fields


@contextmanager
def _ending_by_exception() -> Iterator[None]:
    """Turn termination signals into KeyboardInterrupt, so that the block cleans up."""
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Ignore signals once the block has ended, so that the cleanup completes."""
    try:
        yield
    finally:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
