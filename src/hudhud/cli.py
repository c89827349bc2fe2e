"""The command line: `hudhud --help`."""

import os
import sys
from collections.abc import Sequence

import structlog
import typer

from hudhud import app, legacy, logs
from hudhud.credentials import announce, ensure_credentials
from hudhud.db.engine import Database
from hudhud.db.migrate import current_revision
from hudhud.errors import HudhudError
from hudhud.settings import Settings, load_settings, read_environment

WORKER = (sys.executable, "-m", "hudhud.sender_process")
GREETING = """
Hudhud listens on {address}    admin: {admin}    API: {address}/api/docs

Send the first code:

  curl -X POST {address}/api/v1/otp/send \\
    -H 'X-API-KEY: YOUR_KEY' -H 'Content-Type: application/json' \\
    -d '{{"phoneNumber": "+201001234567"}}'
"""

cli = typer.Typer(
    name="hudhud",
    help="Self-hosted phone verification over WhatsApp.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
log = structlog.get_logger(__name__)


def main(worker_command: Sequence[str] = WORKER) -> None:
    """Run the command line; `worker_command` starts a sender's process."""
    os.umask(0o077)  # all that Hudhud writes may hold secrets
    try:
        cli(obj=worker_command)
    except HudhudError as error:
        typer.echo(f"hudhud: {error}", err=True)
        raise SystemExit(2) from None


@cli.command()
def serve(context: typer.Context) -> None:
    """Serve the API and run this machine's sender, until Ctrl-C."""
    from hudhud import serve as service  # noqa: PLC0415 -- other commands need not wait for it

    settings, database = _start("serve")
    service.serve(settings, database, context.obj, lambda port: _greet(settings, port))


@cli.command()
def worker(context: typer.Context) -> None:
    """Run this machine's sender beside a `serve` on another machine (needs PostgreSQL)."""
    from hudhud import serve as service  # noqa: PLC0415

    settings, database = _start("worker")
    service.work(settings, database, context.obj)


@cli.command()
def migrate() -> None:
    """Bring the database to this version's tables; `serve` does it by itself."""
    settings = load_settings()
    database = app.open_installation(settings)
    typer.echo(f"The database is at revision {current_revision(database)}.")


def _start(process: str) -> tuple[Settings, Database]:
    """Read the settings, log what they leave to say, open the database, make credentials."""
    settings = load_settings()
    logs.configure(settings, process=process)
    for notice in legacy.notices(read_environment(), settings):
        log.warning(notice)
    database = app.open_installation(settings)
    ensure_credentials(database, settings, lambda made: announce(made, settings))
    return settings, database


def _greet(settings: Settings, port: int) -> None:
    """Tell a newcomer where Hudhud listens and how to send the first code."""
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    address = f"http://{host}:{port}"
    log.info("listening", address=address, channel=settings.channel)
    if sys.stdout.isatty():
        typer.echo(GREETING.format(address=address, admin=settings.admin_username))
