"""A service whose sender is a linked device of the emulated WhatsApp, as real processes."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
# Longer than `Timing.stable` of `linked_sender.py`: what went wrong before counts no more.
SETTLED_MS = 700
SCRIPTS = Path(__file__).parents[1] / "acceptance"
PLAIN = ("hudhud.cli.demo.launcher", "serve")
IMPATIENT = ("linked_hudhud", "serve")

_numbers = itertools.count(15_550_000_000)


def new_number() -> str:
    """A number that no phone has yet."""
    return f"+{next(_numbers)}"


class LinkedService:
    """One `hudhud serve` and the phone that links to it."""

    def __init__(
        self, folder: Path, emulator: EmulatorProcess, command: tuple[str, ...], **changes: str
    ) -> None:
        self.emulator = emulator
        self.account = new_number()
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
        """The service's database, once it has made it."""
        if self._database is None:
            self._database = Database(self._url)
        return self._database

    def start(self) -> None:
        """Start the service and wait until it answers."""
        self.service.start()

    def clean_up(self) -> None:
        """Stop whatever is left."""
        self.service.clean_up()
        if self._database is not None:
            self._database.close()

    # What is to be seen.

    def sender(self) -> Row[Any]:
        """The sender's record."""
        with self.database.read() as connection:
            row = records.find(connection, SENDER)
        assert row is not None
        return row

    def job(self, job_id: int) -> dict[str, Any]:
        """What the API says of a message."""
        answer = HTTP.get(f"{self.service.url}/api/v1/otp/{job_id}", headers={"X-API-KEY": API_KEY})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def body(self, job_id: int) -> str:
        """The wording that was chosen, with {code} in the code's place."""
        with self.database.read() as connection:
            return str(
                connection.scalar(
                    select(tables.messages.c.body).where(tables.messages.c.id == job_id)
                )
            )

    def inbound(self) -> list[Row[Any]]:
        """The messages that people wrote, oldest first."""
        with self.database.read() as connection:
            statement = select(tables.inbound_messages).order_by(tables.inbound_messages.c.id)
            return list(connection.execute(statement))

    def received(self, phone: str) -> list[ReceivedMessage]:
        """What a virtual phone received and decrypted."""
        return self.emulator.messages(phone)

    def devices_on_the_phone(self) -> set[str]:
        """The addresses of the devices that the account's phone lists as linked."""
        account = self.account.removeprefix("+")
        listed = self.emulator.connections(account)
        return {f"{account}:{each.device}@s.whatsapp.net" for each in listed}

    def now(self) -> int:
        """A moment in the log, for `states` and `wait_for_state`."""
        return self.service.output.stat().st_size

    def states(self, since: int = 0) -> list[dict[str, Any]]:
        """The states that the sender went through since a moment, as its log tells them.

        Some last for milliseconds only: the log has them, the database may have the next one.
        """
        with self.service.output.open("rb") as output:
            output.seek(since)
            lines = [line for line in output.read().splitlines() if line.startswith(b"{")]
        parsed = (json.loads(line) for line in lines)
        return [line for line in parsed if line["event"] == "state"]

    # What is to be waited for.

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until `condition` holds."""
        wait_until(condition, PATIENCE_SECONDS, what, log=self.service.tail)

    def wait_for_state(self, state: str, since: int = 0) -> str:
        """Wait until the sender entered a state after a moment; return its sentence."""
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
        """Wait for a QR code, where that is asked one that was not returned before."""
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
        """Wait until the message is one of these, and return what the API says of it."""
        self.wait(lambda: self.job(job_id)["delivery"] in words, f"job {job_id} to be {words}")
        return self.job(job_id)

    # What is to be done.

    def link(self) -> None:
        """Scan a QR code and wait for the connection."""
        self.emulator.scan(self.wait_for_qr(), self.account)
        self.wait(lambda: self.sender().state == "connected", "the link")

    def make_ready(self) -> None:
        """Bring the sender back to where every test begins: linked, connected, no faults."""
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
        """Ask for a code; return the API's answer."""
        return ask_for_code(self.service.url, phone)

    def add_phone(self) -> str:
        """A new virtual phone's number."""
        number = new_number()
        self.emulator.add_phone(number)
        return number

    def command(self, kind: CommandKind, argument: str | None = None) -> CommandResult:
        """Ask the sender to do something and wait for what comes of it."""
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
        """Let the sending go on where somebody paused it."""
        with self.database.write() as connection:
            records.resume(connection, name=SENDER)
            self.database.notify(connection)

    def show_code_since(self, at: int) -> None:
        """Let the sender have shown codes since a moment in the past."""
        with self.database.write() as connection:
            connection.execute(
                tables.senders.update()
                .where(tables.senders.c.name == SENDER)
                .values(state_since=at)
            )

    def reload(self) -> None:
        """Ask for a new process of the sender and wait until it reports."""
        asked = now_ms()
        assert self.command("reload").status == "done"
        self.wait(lambda: self.sender().state_since >= asked, "the new process")
