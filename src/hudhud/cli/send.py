"""`hudhud send`: send one code, as a request to the API would."""

import secrets
import time
from contextlib import closing
from typing import Annotated

import typer

from hudhud import app
from hudhud.auth.caller import COMMAND_LINE, Caller
from hudhud.auth.secret_check import check_secret
from hudhud.cli.durations import METAVAR, Duration, duration
from hudhud.cli.terminal import existing_installation, phone_from, progress, warn
from hudhud.core.clock import MINUTE_MS, iso, now_ms
from hudhud.core.errors import CommandFailed
from hudhud.core.phones import Phone
from hudhud.core.settings import Settings, load_settings
from hudhud.core.stored_sentences import in_english
from hudhud.db.engine import Database
from hudhud.messages import states
from hudhud.senders.carriers import carriers
from hudhud.verification.build import (
    build_code_cipher,
    build_countries,
    build_templates,
    secret_of,
)
from hudhud.verification.new_verification import Accepted, SendRequest

# The limits of callers do not apply to an operator's tests.
CALLER = Caller(COMMAND_LINE, COMMAND_LINE, frozenset({"send"}), limits="per_number=0 per_prefix=0")
USUAL_TIMEOUT = Duration(MINUTE_MS)
POLL_SECONDS = 0.5
ARRIVED = (states.DELIVERED, states.READ)
ENDED_BADLY = (states.FAILED, states.EXPIRED, states.CANCELED)


def send(
    phone: Annotated[
        str, typer.Argument(metavar="PHONE", help="The number, with + and country code.")
    ],
    *,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the message until it arrives.")
    ] = True,
    timeout: Annotated[
        Duration,
        typer.Option(parser=duration, metavar=METAVAR, help="How long to follow the message."),
    ] = USUAL_TIMEOUT,
    show_code: Annotated[bool, typer.Option("--show-code", help="Print the code too.")] = False,
) -> None:
    """Send a code to a phone number and follow its delivery.

    The message is queued like one that the API accepts. It waits until `hudhud serve` or `hudhud
    worker` runs.
    """
    number = phone_from(phone)
    settings = load_settings()
    with existing_installation(settings) as database:
        accepted = _accept(settings, database, number)
        valid_until = iso(accepted.expires_at)
        typer.echo(f"Job {accepted.message_id} is queued; its code is valid until {valid_until}.")
        if show_code:
            typer.echo(f"Code: {accepted.code}")
        _warn_without_sender(database, settings.channel)
        if wait:
            _follow(database, accepted.message_id, timeout)


def _accept(settings: Settings, database: Database, phone: Phone) -> Accepted:
    key = secret_of(settings)
    cipher = build_code_cipher(settings)
    starter = app.build_starter(settings, cipher, build_templates(settings))
    countries = build_countries(settings, database)
    acceptor = app.build_acceptor(settings, database, cipher, countries)
    request_id = secrets.token_hex(8)
    new = starter.make(SendRequest(phone), caller=CALLER, request_id=request_id, now=now_ms())
    with database.write() as connection:
        check_secret(connection, key, settings.session_secret_previous)
        (result,) = acceptor.write(connection, [new])
    if isinstance(result, Exception):
        raise result
    return result


def _warn_without_sender(database: Database, channel: str) -> None:
    with database.read() as connection:
        found = carriers(connection, channel=channel, now=now_ms())
    if found.alive == 0:
        warn("No sender is running. Start `hudhud serve` or `hudhud worker` to send the message.")


def _follow(database: Database, job: int, patience: Duration) -> None:
    """Print each new state of the message until it arrives. Raises CommandFailed."""
    deadline = time.monotonic() + patience.seconds
    told = states.QUEUED
    with closing(database.doorbell()) as doorbell:
        while time.monotonic() < deadline and told not in ARRIVED + ENDED_BADLY:
            with progress(f"Job {job}: {told} …"):
                status, error = _state(database, job)
                while status == told and (left := deadline - time.monotonic()) > 0:
                    doorbell.wait(min(POLL_SECONDS, left))
                    status, error = _state(database, job)
            if status != told:
                typer.echo(f"Job {job}: {status}" + (f". {error}" if error else ""))
                told = status
    _judge(job, told, patience)


def _state(database: Database, job: int) -> tuple[str, str | None]:
    with database.read() as connection:
        row = states.find(connection, job)
    if row is None:
        raise CommandFailed(f"Job {job} was deleted.")
    return row.status, in_english(row, "error")


def _judge(job: int, status: str, patience: Duration) -> None:
    if status in ARRIVED:
        return
    if status == states.SENT:
        warn(
            f"Sent, but not delivered within {patience}: the phone may be off. WhatsApp delivers "
            "the message later."
        )
        return
    if status in ENDED_BADLY:
        raise CommandFailed(f"Job {job} was not sent.")
    raise CommandFailed(f"Job {job} is still {status} after {patience}. See: hudhud status")
