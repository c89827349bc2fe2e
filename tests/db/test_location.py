"""The choice of the database; another application's database is never touched."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from conftest import settings
from hudhud.cli.startup_notices import notices
from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import SettingsError
from hudhud.db.engine import Database, open_database
from hudhud.db.location import DatabasePlace, choose_database, database_url
from hudhud.db.migrate import migrate
from support.damage import overwrite


def place(
    file: Path | None = None, *, folder: Path = Path("data"), url: str | None = None
) -> DatabasePlace:
    """What is said of the place, as far as it is."""
    return DatabasePlace(folder, file, url)


def earlier_database(file: Path, journal: str = "delete") -> None:
    """Create a database as the earlier application leaves it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE otp_jobs (id INTEGER PRIMARY KEY, phone TEXT)")
        connection.execute("CREATE TABLE service_status (name TEXT)")
        connection.execute("INSERT INTO otp_jobs (phone) VALUES ('+201001234567')")
        connection.commit()


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and modification time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def file_of(url: str) -> Path:
    """Return the file of an SQLite address."""
    return Path(str(make_url(url).database))


def closing_database(url: str) -> closing[Database]:
    """A database that is closed at the end of the block."""
    return closing(open_database(url))


def test_postgresql_address_precedes_a_file_name() -> None:
    address = "postgresql://u:p@localhost/x"
    chosen = database_url(place(url=address, file=Path("a/b.db")))
    assert chosen.url == address
    assert chosen.notice is None
    assert not Path("a").exists()


def test_choosing_creates_no_file() -> None:
    choose_database(place(Path("new/app_data.db")))
    notices({}, settings(db_filename=Path("new/app_data.db")))
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("chosen", "file"),
    [
        (place(), "data/hudhud.db"),
        (place(folder=Path("elsewhere/deep")), "elsewhere/deep/hudhud.db"),
        (place(Path("new/app_data.db")), "new/app_data.db"),
        (place(Path("odd ?#%41 name/ü.db")), "odd ?#%41 name/ü.db"),
    ],
)
def test_new_database_is_private(chosen: DatabasePlace, file: str) -> None:
    url, notice = database_url(chosen)
    assert notice is None
    assert file_of(url) == Path(file)
    assert Path(file).stat().st_mode & 0o777 == 0o600
    assert Path(file).parent.stat().st_mode & 0o077 == 0
    open_database(url).close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_database_of_the_earlier_application_is_left_untouched(journal: str) -> None:
    earlier_database(Path("database/app_data.db"), journal)
    before = contents(Path("database"))
    chosen = place(Path("./database/app_data.db"))
    url, notice = database_url(chosen)
    assert file_of(url) == Path("database/hudhud.db")
    assert notice is not None
    assert "database/app_data.db" in notice
    assert "otp_jobs" in notice
    assert notices({}, settings(db_filename=chosen.file)) == [notice]
    with closing_database(url) as database:
        migrate(database)
    after = contents(Path("database"))
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == {"database/hudhud.db"}


def test_the_choice_stays_the_same_at_the_next_start() -> None:
    earlier_database(Path("database/app_data.db"))
    chosen = place(Path("database/app_data.db"))
    first = database_url(chosen)
    with closing_database(first.url) as database:
        migrate(database)
    assert database_url(chosen) == first


def test_an_own_database_under_the_earlier_name_is_used() -> None:
    chosen = place(Path("database/app_data.db"))
    first = database_url(chosen)
    assert first.notice is None
    with closing_database(first.url) as database:
        migrate(database)
        assert database_url(chosen) == first, "while it is open"
    assert database_url(chosen) == first


def test_own_database_is_used_after_a_kill() -> None:
    """Its tables may still be only in the write-ahead log."""
    chosen = place(Path("killed.db"))
    first = database_url(chosen)
    with closing_database(first.url) as database:
        migrate(database)
        main = Path("killed.db").read_bytes()
        log = Path("killed.db-wal").read_bytes()
    Path("killed.db").write_bytes(main)
    Path("killed.db-wal").write_bytes(log)
    assert database_url(chosen) == first
    with closing_database(first.url) as database:
        assert migrate(database) is False


def not_sqlite(file: Path) -> None:
    file.write_text("id,phone\n1,+201001234567\n" * 100, encoding="utf-8")


@pytest.mark.parametrize("make", [not_sqlite, Path.mkdir])
def test_file_of_another_format_is_refused_in_one_line(make: Callable[[Path], None]) -> None:
    make(Path("list.csv"))
    with pytest.raises(SettingsError, match=r"^DB_FILENAME: list\.csv .*\.$"):
        database_url(place(Path("list.csv")))


def test_damaged_own_file_is_never_left_for_another() -> None:
    """Where its tables can still be seen, opening it reports the damage."""
    named = place(Path("hudhud.db"))
    with closing_database(database_url(named).url) as database:
        migrate(database)
        assert database.empty_log()
    with Path("hudhud.db").open("r+b") as opened:
        opened.write(b"\xa5" * 16)  # the header
    with pytest.raises(DatabaseLost, match="restore a backup"):
        open_database(database_url(named).url)
    overwrite(Path("hudhud.db"))
    with pytest.raises(SettingsError, match=r"If it was Hudhud's database, restore a backup"):
        database_url(named)


def test_earlier_database_named_hudhud_db_is_refused() -> None:
    earlier_database(Path("database/hudhud.db"))
    before = contents(Path("database"))
    with pytest.raises(SettingsError, match=r"DB_FILENAME: .*belongs to another application"):
        database_url(place(Path("database/hudhud.db")))
    assert contents(Path("database")) == before


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("DB_FILENAME", place(Path("file/x.db"))), ("DATA_DIR", place(folder=Path("file")))],
)
def test_unusable_folder_is_refused_with_the_name_of_its_setting(
    name: str, chosen: DatabasePlace
) -> None:
    Path("file").touch()
    with pytest.raises(SettingsError, match=f"^{name}: "):
        database_url(chosen)


def test_database_of_a_killed_application_is_recognised_by_its_write_ahead_log(
    tmp_path: Path,
) -> None:
    file = tmp_path / "app_data.db"
    code = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE otp_jobs (id INTEGER)")
connection.commit()
os._exit(0)  # as if killed: the table is still in the log alone
"""
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    parts = {part: part.read_bytes() for part in tmp_path.iterdir()}
    assert len(parts) > 1
    choice = database_url(place(file))
    assert choice.file == tmp_path / "hudhud.db"
    assert "otp_jobs" in (choice.notice or "")
    assert {part: part.read_bytes() for part in parts} == parts
