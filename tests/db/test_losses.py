"""Damage, and a removed or replaced file, are distinguished from other errors."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from hudhud.core.database_lost import DatabaseLost
from hudhud.db.engine import Database, may_pass
from hudhud.db.losses import DAMAGED, MOVED
from hudhud.db.quick_check import quick_check
from support.damage import overwrite

only_on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
only_on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def use(database: Database) -> None:
    with database.read() as connection:
        connection.execute(text("SELECT count(*) FROM installation"))


def write(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("DELETE FROM installation WHERE name = 'nothing'"))


def loss_of(database: Database, work: Callable[[Database], None] = use) -> DatabaseLost:
    with pytest.raises(DatabaseLost) as caught:
        work(database)
    assert may_pass(caught.value), "the work is repeated, because an admin mends it"
    return caught.value


def file_of(database: Database) -> Path:
    return Path(str(database.url.database))


PAGE = 4096
# Checking them takes more than the millisecond that the check gets.
MANY_ROWS = """
INSERT INTO large WITH RECURSIVE numbers(number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 300000
) SELECT number, hex(number) || printf('%60d', number) FROM numbers
"""


def losses_of(database: Database) -> list[str]:
    """Return a list that gets the state of each reported loss."""
    told = list[str]()
    database.losses.on_loss = lambda loss: told.append(loss.state)
    return told


@only_on_sqlite
@pytest.mark.parametrize("start", [0, 100], ids=["header", "first page"])
def test_damaged_file_is_told_once_and_refused_until_the_next_start(
    database: Database, start: int
) -> None:
    told, file = losses_of(database), file_of(database)
    sound = file.read_bytes()
    overwrite(file, start)
    for work in (use, write, use):
        loss = loss_of(database, work)
        assert loss.state == DAMAGED
        assert "restore a backup" in str(loss)
        assert str(file) in str(loss)
    assert told == [DAMAGED]
    file.write_bytes(sound)
    assert loss_of(database).state == DAMAGED


@only_on_sqlite
def test_damage_below_the_schema_is_found_by_the_quick_check(database: Database) -> None:
    assert quick_check(database, 20) is None
    database.close()
    file = file_of(database)
    start = file.stat().st_size + 3 * PAGE  # of those of the large table, the check ends with it
    with database.write() as connection:
        connection.execute(text("CREATE TABLE large (number INTEGER PRIMARY KEY, text TEXT)"))
        connection.execute(text(MANY_ROWS))
    database.close()
    overwrite(file, start, PAGE)
    assert quick_check(database, 20) is not None
    # On a busy machine the end may come late.
    assert any(quick_check(database, 0.001) is None for _ in range(100)), "it stops in time"


@only_on_postgresql
@pytest.mark.parametrize("code", ["XX001", "XX002"])
def test_damage_of_the_server_is_told_once_and_refuses_only_what_meets_it(
    database: Database, code: str
) -> None:
    def meet(used: Database) -> None:
        with used.write() as connection:
            raising = f"DO $$ BEGIN RAISE EXCEPTION 'bad page' USING ERRCODE = '{code}'; END $$"
            connection.execute(text(raising))

    told = losses_of(database)
    assert "bad page" in str(loss_of(database, meet))
    assert loss_of(database, meet).state == DAMAGED
    assert told == [DAMAGED]
    use(database)


@only_on_sqlite
@pytest.mark.parametrize("work", [use, write])
@pytest.mark.parametrize("is_connected", [True, False], ids=["pooled", "new connection"])
def test_removed_file_is_noticed_and_not_created(
    database: Database, work: Callable[[Database], None], *, is_connected: bool
) -> None:
    told, file = losses_of(database), file_of(database)
    use(database)
    if not is_connected:
        database.close()
    elsewhere = file.rename(file.with_name("elsewhere.db"))
    assert [loss_of(database, work).state for _ in range(2)] == [MOVED] * 2
    assert not file.exists()
    elsewhere.rename(file)
    work(database)
    assert told == [MOVED]
    file.unlink()
    loss_of(database, work)
    assert told == [MOVED, MOVED]


@only_on_sqlite
def test_replaced_file_is_noticed(database: Database, tmp_path: Path) -> None:
    use(database)
    backup = tmp_path / "backup.db"
    with sqlite3.connect(backup) as copy:
        copy.execute("VACUUM")
    backup.replace(file_of(database))
    assert "start Hudhud again" in str(loss_of(database))


@only_on_sqlite
def test_legitimate_changes_of_the_file_are_not_losses(database: Database, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file_of(database).parent, target_is_directory=True)
    linked = Database(f"sqlite:///{tmp_path / 'link' / file_of(database).name}")
    use(linked)
    write(database)
    assert database.empty_log()
    with sqlite3.connect(file_of(database)) as other:
        other.execute("VACUUM")
    other.close()
    os.utime(file_of(database))
    for used in (database, linked):
        use(used)
        write(used)
    linked.close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_database_in_memory_has_no_file_to_lose(url: str) -> None:
    database = Database(url)
    for _ in range(2):
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    database.close()
