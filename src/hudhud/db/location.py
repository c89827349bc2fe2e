"""Choose the database: the address from the settings, or an SQLite file.

The files of other applications are never changed.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import URL, make_url

from hudhud.core.errors import SettingsError

# A database with both tables belongs to Hudhud.
OWN_TABLES = {"alembic_version", "verifications"}
# The schema is at the start of a file.
SEARCHED_BYTES = 1_000_000
CHOOSE = "Name a file that does not exist yet, or unset DB_FILENAME."


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """The settings that locate the database: `url`, else `file`, else `folder`."""

    folder: Path
    file: Path | None = None
    url: str | None = field(default=None, repr=False)


class DatabaseChoice(NamedTuple):
    """The database's SQLAlchemy URL, and an optional notice for the log."""

    url: str
    notice: str | None

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for PostgreSQL."""
        address = make_url(self.url)
        if address.database is None or address.get_backend_name() != "sqlite":
            return None
        return Path(address.database)


def choose_database(place: DatabasePlace) -> DatabaseChoice:
    """Choose the database without creating anything.

    DATABASE_URL takes precedence over DB_FILENAME, and that over the data folder. If the file
    belongs to another application, `hudhud.db` in the same folder is used instead.
    Raises SettingsError if the file cannot be used.
    """
    if place.url is not None:
        return DatabaseChoice(place.url, None)
    if place.file is None:
        return DatabaseChoice(_sqlite_url(place.folder / "hudhud.db"), None)
    return _named_file(place.file)


def database_url(place: DatabasePlace) -> DatabaseChoice:
    """Choose the database; create a missing SQLite file with mode 0600.

    Raises SettingsError if the file cannot be used or created.
    """
    choice = choose_database(place)
    if choice.file is not None:
        named_by = "DATA_DIR" if place.file is None else "DB_FILENAME"
        _make_private_file(choice.file, named_by=named_by)
    return choice


def _named_file(file: Path) -> DatabaseChoice:
    tables = _tables_of_another(file)
    if not tables:
        return DatabaseChoice(_sqlite_url(file), None)
    own = file.with_name("hudhud.db")
    if _tables_of_another(own):
        raise SettingsError(
            f"DB_FILENAME: {own} belongs to another application. Name a file that does not "
            "exist yet, or unset DB_FILENAME."
        )
    return DatabaseChoice(
        _sqlite_url(own),
        f"DB_FILENAME names a database of the earlier application, {file} "
        f"(tables: {', '.join(sorted(tables))}). Hudhud leaves it untouched and uses {own}.",
    )


def _tables_of_another(file: Path) -> set[str]:
    """Return a database's tables, or none if it is new or Hudhud's.

    A killed application leaves side files, which are part of the database. Opening the file would
    then write to it, so a copy is read.
    """
    if not file.exists() or _looks_own(file):
        return set()
    _require_sqlite(file)
    sides = [side for side in map(file.with_name, _side_files(file)) if side.exists()]
    if not sides:
        return _foreign_tables(f"{file.absolute().as_uri()}?mode=ro&immutable=1", file)
    with TemporaryDirectory(prefix="hudhud-") as folder:
        for part in (file, *sides):
            shutil.copyfile(part, Path(folder) / part.name)
        return _foreign_tables((Path(folder) / file.name).as_uri(), file)


def _looks_own(file: Path) -> bool:
    """Return whether the start of the file has Hudhud's tables, however damaged it is."""
    try:
        with file.open("rb") as opened:
            start = opened.read(SEARCHED_BYTES)
    except OSError:
        return False
    return all(f"CREATE TABLE {table}".encode() in start for table in OWN_TABLES)


def _damaged_or_foreign(file: Path, problem: str) -> str:
    return (
        f"DB_FILENAME: {file} cannot be used: {problem}. If it was Hudhud's database, restore a "
        f"backup (docs/operations.md, Restore a backup). If not: {CHOOSE}"
    )


def _side_files(file: Path) -> tuple[str, str]:
    return f"{file.name}-wal", f"{file.name}-journal"


def _foreign_tables(address: str, file: Path) -> set[str]:
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            rows = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            tables = {str(name) for (name,) in rows}
    except sqlite3.OperationalError as error:
        raise SettingsError(f"DB_FILENAME: {file} cannot be read: {error}. {CHOOSE}") from None
    except sqlite3.DatabaseError as error:
        raise SettingsError(_damaged_or_foreign(file, str(error))) from None
    return set() if tables >= OWN_TABLES else tables


def _require_sqlite(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
    except OSError as error:
        raise SettingsError(f"DB_FILENAME: {file} cannot be read: {error.strerror}.") from None
    if start not in {b"", b"SQLite format 3\0"}:
        raise SettingsError(_damaged_or_foreign(file, "file is not a database"))


def _make_private_file(file: Path, *, named_by: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=0o600)
    except OSError as error:
        raise SettingsError(f"{named_by}: {file} cannot be created: {error.strerror}.") from None


def _sqlite_url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()
