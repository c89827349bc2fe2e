"""The checks of an installation, in the order of the report.

A check changes nothing; one that tests writing removes its row or file again.
"""

from collections.abc import Callable, Iterator

from hudhud.cli.doctor import database, environment, files
from hudhud.cli.doctor.finding import Finding, Installation, fail
from hudhud.core.errors import SettingsError, StartRefused
from hudhud.core.settings import Settings, load_settings
from hudhud.db.engine import open_database
from hudhud.db.location import choose_database
from hudhud.verification.build import database_place_of

Check = Callable[[Installation], Finding]

CHECKS: dict[str, Check] = {
    "data folder": files.data_folder,
    "private files": files.private_files,
    "disk space": files.disk_space,
    "log folder": files.log_folder,
    "texts": files.own_texts,
    "database": database.answers,
    "tables": database.tables,
    "writing": database.writing,
    "secret": database.secret,
    "former secret": database.former_secret,
    "credentials": database.credentials,
    "forwarding": database.forwarding,
    "sender": database.sender,
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
    yield "settings", environment.settings_read()
    for name in CHECKS:
        yield name, run_check(name, installation)
    if installation.database is not None:
        installation.database.close()


def open_installation(settings: Settings) -> Installation:
    """Open the installation, creating nothing. Raises SettingsError for a wrong file."""
    choice = choose_database(database_place_of(settings))
    if choice.file is not None and not choice.file.exists():
        return Installation(settings, database=None, problem=None)
    try:
        return Installation(settings, open_database(choice.url), problem=None)
    except StartRefused as error:
        return Installation(settings, database=None, problem=" ".join(str(error).split()))


def run_check(name: str, installation: Installation) -> Finding:
    """Run one check; an unexpected error is a finding too."""
    try:
        return CHECKS[name](installation)
    except Exception as error:  # the other checks must still run
        return fail(
            f"The check itself broke: {type(error).__name__}: {error}", "Report this as a bug."
        )
