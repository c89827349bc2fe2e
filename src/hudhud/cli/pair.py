"""`hudhud pair`: link WhatsApp to the sender of the settings."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Row

from hudhud.channels import registry
from hudhud.cli.durations import METAVAR, Duration, duration
from hudhud.cli.pairing_qr import QrDisplay, drawing, width_of
from hudhud.cli.terminal import existing_installation, phone_from, progress, warn
from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.core.errors import CommandFailed, SettingsError
from hudhud.core.phones import mask_phone
from hudhud.core.settings import load_settings
from hudhud.db.engine import Database
from hudhud.senders import commands, records
from hudhud.senders.commands import CommandResult

USUAL_TIMEOUT = Duration(5 * MINUTE_MS)
POLL_SECONDS = 0.5
ANSWER_SECONDS = 60.0
# A process that starts, or restarts after a logout, needs a few seconds.
START_SECONDS = 20.0
RESTART_SECONDS = 5.0
# States that pairing does not end.
NOT_FOR_PAIRING = ("outdated", "replaced", "restricted")


def pair(
    phone: Annotated[
        str | None,
        typer.Option(
            metavar="PHONE",
            help="Show a code to type on this number's phone, instead of the QR code.",
        ),
    ] = None,
    timeout: Annotated[
        Duration,
        typer.Option(parser=duration, metavar=METAVAR, help="How long to wait for the phone."),
    ] = USUAL_TIMEOUT,
) -> None:
    """Link a WhatsApp account by QR code or typed code.

    Requires a running `hudhud serve` or `hudhud worker`, for example in another terminal.
    """
    settings = load_settings()
    if not registry.channel_type(settings.channel).needs_pairing:
        others = " or ".join(f"CHANNEL={name}" for name in registry.pairable())
        raise SettingsError(f"CHANNEL={settings.channel} needs no phone. Set {others} to link one.")
    number = None if phone is None else phone_from(phone).number
    with existing_installation(settings) as database:
        watched = _Watched(database, settings.sender_name, timeout)
        record = watched.wait_for_process()
        if record.state == "connected":
            typer.echo(f"WhatsApp is already linked and connected{_as(record)}.")
            return
        if number is None:
            record = _show_qr(settings.data_dir, watched)
        else:
            record = _show_code(database, settings.sender_name, number, watched)
        typer.echo(f"Connected to WhatsApp{_as(record)}.")


class _Watched:
    """The sender's record, polled for a limited time."""

    def __init__(self, database: Database, sender: str, patience: Duration) -> None:
        self._database = database
        self._sender = sender
        self._patience = patience

    def wait_for_process(self) -> Row[Any]:
        """Wait until a process runs the sender, and return its record.

        Raises CommandFailed if none does within `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        with progress(f"Waiting for the sender {self._sender} …"):
            while not records.is_running(record := self._read(), now=now_ms()):
                if time.monotonic() >= deadline:
                    raise CommandFailed(f"The sender {self._sender} did not start; see its log.")
                time.sleep(POLL_SECONDS)
        return record

    def offer(self, *, after: int | None = None) -> int | None:
        """Return when the pairing offer began; None without one later than `after`.

        An offer that expires is followed by another, in a new process.
        """
        asked = time.monotonic()
        while (record := self._read()).state == "starting" or record.state_since == after:
            patience = START_SECONDS if record.state == "starting" else RESTART_SECONDS
            if time.monotonic() >= asked + patience:
                return None
            time.sleep(POLL_SECONDS)
        return int(record.state_since)

    def until_connected(self, on_change: Callable[[Row[Any]], None]) -> Row[Any]:
        """Pass each changed record to `on_change`; return the first connected one.

        Raises CommandFailed if pairing cannot help, or on timeout.
        """
        deadline = time.monotonic() + self._patience.seconds
        seen = None
        with closing(self._database.doorbell()) as doorbell:
            while (record := self._read()).state != "connected":
                if record.state in NOT_FOR_PAIRING:
                    raise CommandFailed(records.detail_of(record))
                if time.monotonic() >= deadline:
                    raise CommandFailed(
                        f"No phone was linked within {self._patience}. Run the command again "
                        "for a new code."
                    )
                state = (
                    record.state,
                    record.state_since,
                    records.detail_of(record),
                    record.qr,
                )
                if state != seen:
                    on_change(record)
                    seen = state
                doorbell.wait(POLL_SECONDS)
        return record

    def _read(self) -> Row[Any]:
        with self._database.read() as connection:
            record = records.find(connection, self._sender)
        if record is None or (record.lease_expires_at or 0) <= now_ms():
            raise CommandFailed(
                f"No sender named {self._sender} is running. Start it with `hudhud serve` (or "
                "`hudhud worker`), which shows the QR code too."
            )
        return record


def _show_qr(folder: Path, watched: _Watched) -> Row[Any]:
    display = QrDisplay(folder)
    reported: list[Path] = []

    def show(record: Row[Any]) -> None:
        if record.qr is None:
            display.clear()
            warn(records.detail_of(record).english())
            return
        file = display.show(record.qr)
        if file is not None and file not in reported:
            reported.append(file)
            columns = width_of(drawing(record.qr))
            warn(f"The QR code needs a terminal with {columns} columns; it was written to {file}")

    try:
        return watched.until_connected(show)
    finally:
        display.clear()


def _show_code(database: Database, sender: str, number: str, watched: _Watched) -> Row[Any]:
    with progress("Asking WhatsApp for a code …"):
        offer = watched.offer()
        result = _ask_for_code(database, sender, number)
        # An offer that is about to expire is renewed first; then ask again.
        if result.status == commands.FAILED and (renewed := watched.offer(after=offer)):
            offer = renewed
            result = _ask_for_code(database, sender, number)
    if result.status == commands.FAILED or not result.pair_code:
        raise CommandFailed(result.sentence or "WhatsApp returned no code. Try again.")
    code = result.pair_code.replace("-", "")
    typer.echo(f"\n    {code[:4]}-{code[4:]}\n")
    warn(
        f"On the phone with {number}: open WhatsApp, tap Linked devices, Link a device, Link with "
        "phone number instead, and type this code."
    )

    def refuse_void_code(record: Row[Any]) -> None:
        if record.state == "starting" or (record.qr and record.state_since != offer):
            raise CommandFailed(
                "The code was not typed in time. Run the command again for a new one."
            )

    with progress("Waiting for the phone …"):
        return watched.until_connected(refuse_void_code)


def _ask_for_code(database: Database, sender: str, number: str) -> CommandResult:
    with database.write() as connection:
        command = commands.ask(
            connection, sender=sender, kind="pair_phone", now=now_ms(), argument=number
        )
        database.notify(connection)
    return _wait_for_result(database, command)


def _wait_for_result(database: Database, command: int) -> CommandResult:
    deadline = time.monotonic() + ANSWER_SECONDS
    with closing(database.doorbell()) as doorbell:
        while time.monotonic() < deadline:
            with database.read() as connection:
                result = commands.result_of(connection, command)
            if result is not None:
                return result
            doorbell.wait(POLL_SECONDS)
    raise CommandFailed(f"The sender did not answer within {ANSWER_SECONDS:.0f} s; see its log.")


def _as(record: Row[Any]) -> str:
    return "" if record.phone is None else f" as {mask_phone(record.phone)}"
