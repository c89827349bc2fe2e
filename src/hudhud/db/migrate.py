"""Bring the database to this version's tables; Alembic is loaded only where it is needed."""

import re
import time
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from hudhud import __version__
from hudhud.core.errors import StartRefused
from hudhud.db import installation
from hudhud.db.engine import Database, may_pass
from hudhud.db.locks import lock_migrations

MIGRATIONS = Path(__file__).parent / "migrations"
# The newest revision in migrations/versions; a test holds the two together.
HEAD = "0005"
# A row of `installation`: the oldest version that may run with the tables.
OLDEST_VERSION = "oldest_version"
# About a minute and a half on PostgreSQL, where each waits for a lock on a table itself.
ATTEMPTS = 600
PAUSE_SECONDS = 0.05


def current_revision(database: Database) -> str | None:
    """Return the revision the database is at, or None for an empty one."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])


def fits(database: Database, revision: str | None) -> bool:
    """Tell whether this version works with tables at this revision, its own or a newer one."""
    if revision is None or revision < HEAD:
        return False
    return revision == HEAD or _is_allowed(oldest_version(database))


def oldest_version(database: Database) -> str | None:
    """Return the oldest version that may run, as the last migration named it."""
    with database.read() as connection:
        return installation.read(connection, OLDEST_VERSION)


def migrate(database: Database, *, attempts: int = ATTEMPTS) -> bool:
    """Upgrade the database to `HEAD` in one transaction; return whether anything was done.

    On PostgreSQL it makes `attempts` while others use the tables. A database that a newer Hudhud
    has migrated is left as it is.
    Raises StartRefused where this version is too old for it, or another program holds its tables.
    """
    found = current_revision(database)
    if found is None or found < HEAD:
        _upgrade(database, attempts)
        return True
    if not fits(database, found):
        raise StartRefused(
            f"The database is at revision {found}, newer than this Hudhud knows ({HEAD}), and is "
            f"for version {oldest_version(database) or 'unknown'} or newer; this is {__version__}. "
            "Start the newer version again, or restore the backup taken before it."
        )
    return False


def _is_allowed(oldest: str | None) -> bool:
    return oldest is not None and _numbers(oldest) <= _numbers(__version__)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, by which versions are ordered."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _upgrade(database: Database, attempts: int) -> None:
    """Upgrade; on PostgreSQL begin again where the lock of a table is not to be had at once.

    To wait for it would hold up whoever uses the tables that are locked already.
    """
    if database.is_sqlite:
        _upgrade_at_once(database)
        return
    for _ in range(attempts):
        try:
            _upgrade_at_once(database)
        except SQLAlchemyError as error:
            if not may_pass(error):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
    raise StartRefused(
        "The tables of the database are in use, by a backup perhaps, and cannot be changed. "
        "Start again when it has ended."
    )


def _upgrade_at_once(database: Database) -> None:
    from alembic import command  # noqa: PLC0415 -- 0.2 s that an up-to-date start saves
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.write() as connection:
        lock_migrations(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
