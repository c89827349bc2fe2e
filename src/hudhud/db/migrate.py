"""Migrate the database; Alembic is imported only when needed."""

import re
import time
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from hudhud import __version__
from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import StartRefused
from hudhud.db import installation
from hudhud.db.engine import Database, may_pass
from hudhud.db.locks import lock_migrations

MIGRATIONS = Path(__file__).parent / "migrations"
# The newest revision in migrations/versions; a test compares them.
HEAD = "0012"
# A row of `installation`: the oldest Hudhud version that works with the current tables.
OLDEST_VERSION = "oldest_version"
# About 90 seconds on PostgreSQL, where each attempt also waits for table locks.
ATTEMPTS = 600
PAUSE_SECONDS = 0.05


def current_revision(database: Database) -> str | None:
    """Return the database's revision, or None if it is empty."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])


def fits(database: Database, revision: str | None) -> bool:
    """Return whether this version works with tables at this revision."""
    if revision is None or revision < HEAD:
        return False
    return revision == HEAD or _is_allowed(oldest_version(database))


def oldest_version(database: Database) -> str | None:
    """Return the oldest version that works with the current tables."""
    with database.read() as connection:
        return installation.read(connection, OLDEST_VERSION)


def migrate(database: Database, *, attempts: int = ATTEMPTS) -> bool:
    """Upgrade the database to `HEAD` in one transaction; return whether it changed.

    On PostgreSQL it makes up to `attempts` while others use the tables. A database that a newer
    Hudhud has migrated is left unchanged.
    Raises StartRefused if this version is too old for it, or if its tables stay locked.
    """
    found = current_revision(database)
    if found is None or found < HEAD:
        _upgrade(database, attempts)
        return True
    if not fits(database, found):
        raise StartRefused(
            f"The database is at revision {found}, newer than this Hudhud knows ({HEAD}), and "
            f"needs version {oldest_version(database) or 'unknown'} or newer; this is "
            f"{__version__}. Start the newer version, or restore the backup from before its update."
        )
    return False


def _is_allowed(oldest: str | None) -> bool:
    return oldest is not None and _numbers(oldest) <= _numbers(__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _upgrade(database: Database, attempts: int) -> None:
    """Upgrade; on PostgreSQL retry from the start if a table is locked.

    Waiting for it would block users of the tables that are already locked.
    """
    if database.is_sqlite:
        _upgrade_at_once(database)
        return
    for _ in range(attempts):
        try:
            _upgrade_at_once(database)
        except SQLAlchemyError as error:
            if isinstance(error, DatabaseLost) or not may_pass(error):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
    raise StartRefused(
        "The database cannot be migrated because its tables are in use, perhaps by a backup. "
        "Start again when that has finished."
    )


def _upgrade_at_once(database: Database) -> None:
    from alembic import command  # noqa: PLC0415 -- saves 0.2 s if up to date
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.write() as connection:
        lock_migrations(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
