"""The checks of an installation, in the order of the report.

A check changes nothing; one that tests writing removes its row or file again.
"""

from collections.abc import Callable, Iterator

from sqlalchemy.exc import SQLAlchemyError

from hudhud.cli import running_service
from hudhud.cli.doctor import database as stored
from hudhud.cli.doctor import environment, files
from hudhud.cli.doctor.finding import Finding, Installation, fail
from hudhud.cli.running_service import RunningService
from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import SettingsError, StartRefused
from hudhud.core.settings import Settings, load_settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import choose_database
from hudhud.db.migrate import current_revision, fits
from hudhud.verification.build import database_place_of

Check = Callable[[Installation], Finding]

CHECKS: dict[str, Check] = {
    "data folder": files.data_folder,
    "private files": files.private_files,
    "disk space": files.disk_space,
    "log folder": files.log_folder,
    "texts": files.own_texts,
    "database": stored.answers,
    "tables": stored.tables,
    "writing": stored.writing,
    "secret": stored.secret,
    "former secret": stored.former_secret,
    "credentials": stored.credentials,
    "strength": environment.strength,
    "forwarding": stored.forwarding,
    "connections": stored.connections,
    "sender": stored.sender,
    "clock": environment.clock,
    "port": environment.port,
    "proxy": environment.proxy,
    "library": environment.library,
    "pace": environment.pace,
    "alerts": environment.alerts,
    "leftovers": environment.leftovers,
}


def examine() -> Iterator[tuple[str, Finding]]:
    """Yield each check's name and finding as soon as it ends.

    Invalid settings are the only finding, because all other checks depend on the settings.
    """
    try:
        settings = load_settings()
        installation = open_installation(settings)
    except SettingsError as error:
        yield "settings", fail(str(error), "Correct it in .env, config/.env or the environment.")
        return
    yield "settings", environment.settings_read(installation)
    for name in CHECKS:
        yield name, run_check(name, installation)
    if installation.database is not None:
        installation.database.close()


def open_installation(settings: Settings) -> Installation:
    """Open the installation, creating nothing. Raises SettingsError for a wrong file."""
    choice = choose_database(database_place_of(settings))
    problem = stored.reported_by_service(settings.host, settings.port)
    if problem is not None:
        return Installation(settings, database=None, problem=problem)
    if choice.file is not None and not choice.file.exists():
        return Installation(settings, database=None, problem=None)
    try:
        database = open_database(choice.url)
    except (StartRefused, DatabaseLost) as error:
        problem = stored.why_closed(error, is_file=choice.file is not None)
        return Installation(settings, database=None, problem=problem)
    service = _running_service(database)
    used = settings if service is None else service.applied_to(settings)
    return Installation(used, database, problem=None, service=service)


def _running_service(database: Database) -> RunningService | None:
    """Return the service that the checks are about; a broken database has its own check."""
    try:
        is_ready = fits(database, current_revision(database))
        return running_service.find(database) if is_ready else None
    except (SQLAlchemyError, TypeError, ValueError):  # also a record of another version
        return None


def run_check(name: str, installation: Installation) -> Finding:
    """Run one check; an unexpected error is a finding too."""
    try:
        return CHECKS[name](installation)
    except SQLAlchemyError as error:
        return stored.unusable(error)
    except Exception as error:  # the other checks must still run
        return fail(
            f"The check itself broke: {type(error).__name__}: {error}", "Report this as a bug."
        )
