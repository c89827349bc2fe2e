"""Shared by commands: the installation, progress, arguments, warnings."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from hudhud.core.errors import BadRequest, CommandFailed
from hudhud.core.phones import Phone, parse_known_phone, parse_phone
from hudhud.core.settings import Settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import choose_database
from hudhud.db.migrate import HEAD, current_revision, fits
from hudhud.verification.build import database_place_of


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show `text` with a spinner on a terminal while the block runs.

    The block must not print. It gets a function that changes the text.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _text: None
        return
    spinner = Spinner("dots", text)
    with Live(
        spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ):
        yield lambda text: spinner.update(text=text)


@contextmanager
def existing_installation(settings: Settings) -> Iterator[Database]:
    """Yield the database of an existing installation, without creating or migrating it.

    Raises CommandFailed if there is none or it has another version, and StartRefused if it does not
    answer.
    """
    choice = choose_database(database_place_of(settings))
    if choice.file is not None and not choice.file.exists():
        raise CommandFailed(f"There is no database {choice.file} yet. Start with: hudhud serve")
    with progress("Opening the database …"):
        database = open_database(choice.url)
    with closing(database):
        _require_tables(database)
        yield database


def _require_tables(database: Database) -> None:
    revision = current_revision(database)
    if revision is None:
        raise CommandFailed("The database is empty. Start with: hudhud serve")
    if not fits(database, revision):
        raise CommandFailed(
            f"The database is at revision {revision}, this Hudhud needs {HEAD}. "
            "To upgrade an older database, run: hudhud migrate"
        )


def phone_from(text: str) -> Phone:
    """Parse a phone number argument. Raises BadRequest."""
    return _phone(text, parse_phone)


def known_phone_from(text: str) -> Phone:
    """Parse a number that may be stored, even if a send to it is refused now.

    Raises BadRequest.
    """
    return _phone(text, parse_known_phone)


def _phone(text: str, parse: Callable[[str], Phone | None]) -> Phone:
    phone = parse(text)
    if phone is None:
        raise BadRequest(
            f"{text} is not a phone number. Write it with + and country code, like +201001234567."
        )
    return phone


def warn(sentence: str) -> None:
    """Print a sentence on stderr, apart from the command's output."""
    typer.echo(sentence, err=True)
