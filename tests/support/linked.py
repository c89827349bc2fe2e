"""A real service linked to the emulated WhatsApp."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from hudhud.core.clock import now_ms
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.senders import commands, records
from hudhud.senders.commands import CommandKind, CommandResult
from support.services import API_KEY, HTTP, Service, ask_for_code, wait_until
from waemu.client import EmulatorProcess
from waemu.records import ReceivedMessage

SENDER = "main"
PATIENCE_SECONDS = 60
# Longer than `Timing.stable` of `linked_sender.py`, so that earlier faults no longer count.
SETTLED_MS = 700
SCRIPTS = Path(__file__).parents[1] / "acceptance"
PLAIN = ("hudhud.cli.demo.launcher", "serve")
IMPATIENT = ("linked_hudhud", "serve")

# Numbers under which WhatsApp has accounts, and those that people use.
FORMER_NUMBERS = [
    pytest.param("+556191234567", "+5561991234567", id="Brazil"),
    pytest.param("+5215512345678", "+525512345678", id="Mexico"),
    pytest.param("+5491112345678", "+541112345678", id="Argentina"),
    pytest.param("+22507123456", "+2250707123456", id="Ivory Coast"),
    pytest.param("+22997123456", "+2290197123456", id="Benin"),
]

_numbers = itertools.count(15_550_000_000)


def new_number() -> str:
    return f"+{next(_numbers)}"


class LinkedService:
    """One `hudhud serve` and the phone that links to it."""

    def __init__(
        self,
        folder: Path,
        emulator: EmulatorProcess,
        command: tuple[str, ...],
        account: str | None = None,
        **changes: str,
    ) -> None:
        self.emulator = emulator
        self.account = account or new_number()
        emulator.add_phone(self.account)
        variables = {
            "WORKER_MIN_SEND_DELAY_MS": "0",
            "WORKER_MAX_SEND_DELAY_MS": "20",
            "BAILEYS_INITIAL_RETRY_DELAY_MS": "200",
            "PYTHONPATH": str(SCRIPTS),
        }
        variables |= emulator.environment() | changes
        folder.mkdir(parents=True, exist_ok=True)
        self.service = Service(folder, command, variables)
        url = changes.get("DATABASE_URL", f"sqlite:///{folder / 'data' / 'hudhud.db'}")
        self._url = url
        self._database: Database | None = None
        self._known_qr: str | None = None

    @property
    def database(self) -> Database:
        """The service's database, once it exists."""
        if self._database is None:
            self._database = Database(self._url)
        return self._database

    def start(self) -> None:
        """Start the service and wait until it answers."""
        self.service.start()

    def clean_up(self) -> None:
        """Stop all remaining processes."""
        self.service.clean_up()
        if self._database is not None:
            self._database.close()

    # Observations

    def sender(self) -> Row[Any]:
        """Return the sender's record."""
        with self.database.read() as connection:
            row = records.find(connection, SENDER)
        assert row is not None
        return row

    def job(self, job_id: int) -> dict[str, Any]:
        """Return a message as the API shows it."""
        answer = HTTP.get(f"{self.service.url}/api/v1/otp/{job_id}", headers={"X-API-KEY": API_KEY})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def body(self, job_id: int) -> str:
        """Return the chosen wording, with {code} in place of the code."""
        with self.database.read() as connection:
            return str(
                connection.scalar(
                    select(tables.messages.c.body).where(tables.messages.c.id == job_id)
                )
            )

    def inbound(self) -> list[Row[Any]]:
        """Return the inbound messages, oldest first."""
        with self.database.read() as connection:
            statement = select(tables.inbound_messages).order_by(tables.inbound_messages.c.id)
            return list(connection.execute(statement))

    def received(self, phone: str) -> list[ReceivedMessage]:
        """Return the messages that a virtual phone received and decrypted."""
        return self.emulator.messages(phone)

    def devices_on_the_phone(self) -> set[str]:
        """Return the addresses of the linked devices that the account's phone lists."""
        account = self.account.removeprefix("+")
        listed = self.emulator.connections(account)
        return {f"{account}:{each.device}@s.whatsapp.net" for each in listed}

    def now(self) -> int:
        """Return a position in the log, for `states` and `wait_for_state`."""
        return self.service.output.stat().st_size

    def states(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the sender's states since a moment, from its log.

        Some states last only milliseconds: the log has them, the database may already have the next
        one.
        """
        with self.service.output.open("rb") as output:
            output.seek(since)
            lines = [line for line in output.read().splitlines() if line.startswith(b"{")]
        parsed = (json.loads(line) for line in lines)
        return [line for line in parsed if line["event"] == "state"]

    # Waiting

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until `condition` holds."""
        wait_until(condition, PATIENCE_SECONDS, what, log=self.service.tail)

    def wait_for_state(self, state: str, since: int = 0) -> str:
        """Wait for a sender's state after a moment; return its sentence."""
        entered: list[str] = []

        def has_entered() -> bool:
            entered.extend(s["detail"] or "" for s in self.states(since) if s["state"] == state)
            return bool(entered)

        self.wait(has_entered, f"the state {state}")
        return entered[0]

    def wait_for_detail(self, words: str) -> Row[Any]:
        """Wait until the sender's sentence has these words; return its record."""
        found: list[Row[Any]] = []

        def is_there() -> bool:
            row = self.sender()
            if words in (row.detail or ""):
                found.append(row)
            return bool(found)

        self.wait(is_there, f"the words {words!r}")
        return found[0]

    def wait_for_qr(self, *, new: bool = False) -> str:
        """Wait for a QR code, optionally for a new one."""
        shown: list[str] = []

        def is_shown() -> bool:
            qr = self.sender().qr
            if qr is not None and not (new and qr == self._known_qr):
                shown.append(qr)
            return bool(shown)

        self.wait(is_shown, "a QR code")
        self._known_qr = shown[0]
        return shown[0]

    def wait_for_delivery(self, job_id: int, *words: str) -> dict[str, Any]:
        """Wait for a message's state; return the message as shown."""
        self.wait(lambda: self.job(job_id)["delivery"] in words, f"job {job_id} to be {words}")
        return self.job(job_id)

    # Actions

    def link(self) -> None:
        """Scan a QR code and wait for the connection."""
        self.emulator.scan(self.wait_for_qr(), self.account)
        self.wait(lambda: self.sender().state == "connected", "the link")

    def make_ready(self) -> None:
        """Reset the sender: linked, connected, without faults."""
        self.emulator.reset_faults()
        self.emulator.set_receipts("delivered+read")

        def is_connected() -> bool:
            row = self.sender()
            if row.state == "pairing" and row.qr is not None and row.qr != self._known_qr:
                self._known_qr = row.qr
                self.emulator.scan(row.qr, self.account)
            return bool(row.state == "connected") and now_ms() - row.state_since > SETTLED_MS

        self.wait(is_connected, "a settled connection")

    def send(self, phone: str) -> dict[str, Any]:
        """Request a code; return the API's answer."""
        return ask_for_code(self.service.url, phone)

    def add_phone(self, number: str | None = None, *aliases: str) -> str:
        """Add a virtual phone, also found under aliases; return its number."""
        number = number or new_number()
        self.emulator.add_phone(number, aliases=aliases)
        return number

    def command(self, kind: CommandKind, argument: str | None = None) -> CommandResult:
        """Send the sender a command and wait for its result."""
        with self.database.write() as connection:
            number = commands.ask(
                connection, sender=SENDER, kind=kind, now=now_ms(), argument=argument
            )
        results: list[CommandResult] = []

        def is_done() -> bool:
            with self.database.read() as connection:
                result = commands.result_of(connection, number)
            if result is not None:
                results.append(result)
            return bool(results)

        self.wait(is_done, f"the command {kind}")
        return results[0]

    def resume(self) -> None:
        """Resume a paused sender."""
        with self.database.write() as connection:
            records.resume(connection, name=SENDER)
            self.database.notify(connection)

    def show_code_since(self, at: int) -> None:
        """Pretend that the sender has shown codes for some time."""
        with self.database.write() as connection:
            connection.execute(
                tables.senders.update()
                .where(tables.senders.c.name == SENDER)
                .values(state_since=at)
            )

    def reload(self) -> None:
        """Reload the sender and wait until its new process reports."""
        asked = now_ms()
        assert self.command("reload").status == "done"
        self.wait(lambda: self.sender().state_since >= asked, "the new process")
