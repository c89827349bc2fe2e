"""The command line, with one module per command or group.

Exit codes: 0 success, 1 failure, 2 wrong use or settings, 130 Ctrl-C.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from hudhud import __version__
from hudhud.cli.commands import CommandGroup
from hudhud.cli.help import PROGRAM, CommandTyper
from hudhud.core.errors import BadRequest, HudhudError, QueueUnavailable, SettingsError
from hudhud.worker.program import Program

ABOUT = """Verify phone numbers over WhatsApp, on your own machine.

Start with `hudhud demo` to try it without a phone, or with `hudhud serve` to run it."""
WORKER = Program((sys.executable, "-m", "hudhud.worker.process"))
FAILED = 1
WRONG_USE = 2

cli = CommandTyper(ABOUT, group=CommandGroup)


def main(worker: Program = WORKER) -> None:
    """Run the command line; `worker` is the program of a sender's process."""
    os.umask(0o077)  # every file of Hudhud may hold secrets
    try:
        cli(prog_name=PROGRAM, obj=worker)
    except (SettingsError, BadRequest) as error:
        _end(*str(error).splitlines(), exit_code=WRONG_USE)
    except QueueUnavailable as error:
        _end(f"Not accepted: {error}. Try again in {error.retry_after} s.", exit_code=FAILED)
    except HudhudError as error:
        _end(str(error), exit_code=FAILED)
    except Exception as error:
        if not _is_of_database(error):
            raise
        _end(f"The database cannot be used: {error.__cause__ or error}", exit_code=FAILED)


def _is_of_database(error: Exception) -> bool:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 -- `--help` needs no database

    return isinstance(error, SQLAlchemyError)


def _end(*sentences: str, exit_code: int) -> NoReturn:
    for sentence in sentences:
        typer.echo(f"hudhud: {' '.join(sentence.split())}", err=True)
    raise SystemExit(exit_code)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- typer passes it by position
    if wanted:
        typer.echo(f"hudhud {__version__}")
        raise typer.Exit


@cli.callback()
def hudhud(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options of `hudhud` itself."""
