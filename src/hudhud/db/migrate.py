"""Bring the database to this version's tables; Alembic is loaded only where it is needed."""

from pathlib import Path

from sqlalchemy import inspect, text

from hudhud.db.engine import Database
from hudhud.errors import StartRefused

MIGRATIONS = Path(__file__).parent / "migrations"
# The newest revision in migrations/versions; a test holds the two together.
HEAD = "0003"


def current_revision(database: Database) -> str | None:
    """Return the revision the database is at, or None for an empty one."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])


def migrate(database: Database) -> bool:
    """Upgrade the database to `HEAD` in one transaction; return whether anything was done.

    Raises StartRefused where a newer Hudhud has already migrated it.
    """
    found = current_revision(database)
    if found == HEAD:
        return False
    if found is not None and found > HEAD:
        raise StartRefused(
            f"The database is at revision {found}, newer than this Hudhud knows ({HEAD}). "
            "Start the newer version again, or restore the backup taken before it."
        )
    _upgrade(database)
    return True


def _upgrade(database: Database) -> None:
    from alembic import command  # noqa: PLC0415 -- 0.2 s that an up-to-date start saves
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.write() as connection:
        database.lock_for_migrations(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
