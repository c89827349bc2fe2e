"""Migrations bring any database to exactly the tables that the code knows."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from conftest import MigratedDatabase
from hudhud.db import fragments
from hudhud.db.engine import Database
from hudhud.db.migrate import HEAD, MIGRATIONS, current_revision, migrate
from hudhud.db.tables import metadata
from hudhud.errors import StartRefused
from support.queued import accept, stored

MIGRATOR = """
import sys
from hudhud.db.engine import Database
from hudhud.db.migrate import migrate

print("ready", flush=True)
sys.stdin.readline()
database = Database(sys.argv[1])
migrate(database)
database.close()
"""


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database of each kind without anything in it."""
    opened = Database(database_url)
    yield opened
    opened.close()


def set_revision(database: Database, revision: str) -> None:
    with database.write() as connection:
        statement = text("UPDATE alembic_version SET version_num = :revision")
        connection.execute(statement, {"revision": revision})


def is_a_table_of_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The search for fragments has tables and indexes that SQLAlchemy cannot describe."""
    is_of_the_search = kind in {"table", "index"} and "message_phones" in (name or "")
    return not is_of_the_search and name != "messages_phone_pieces"


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_revisions_are_numbered_so_that_a_newer_one_is_greater() -> None:
    files = sorted(Path(MIGRATIONS / "versions").glob("0*.py"))
    assert [file.name[:4] for file in files] == [f"{n:04d}" for n in range(1, len(files) + 1)]


def test_an_empty_database_is_migrated_and_then_left_alone(empty: Database) -> None:
    assert current_revision(empty) is None
    assert migrate(empty)
    assert current_revision(empty) == HEAD
    assert not migrate(empty)


def test_migrated_tables_are_those_of_the_code(database: Database) -> None:
    with database.read() as connection:
        options = {"compare_type": True, "include_name": is_a_table_of_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def definitions(connection: Connection) -> set[str]:
    """What the database itself says of its indexes, constraints and columns."""
    if connection.dialect.name == "postgresql":
        statements = [
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)"
            " FROM information_schema.columns WHERE table_schema = 'public'",
        ]
    else:
        statements = [
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type = 'index'",
            "SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c.'notnull' || ' ' || c.pk "
            "FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
            "SELECT m.name || ' ' || (m.sql LIKE '%AUTOINCREMENT%') FROM sqlite_master m",
            "SELECT m.name || ' ' || f.'table' || ' ' || f.'from' || ' ' || f.'to' "
            "FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
        ]
    found = {
        re.sub(r"\s+", " ", str(row[0]))
        for statement in statements
        for row in connection.execute(text(statement))
    }
    return {one for one in found if "alembic_version" not in one}


def test_migrated_tables_are_the_same_as_those_made_at_once(
    empty: Database, database: Database
) -> None:
    with empty.write() as connection:
        metadata.create_all(connection)
        fragments.create(connection)
    with empty.read() as made, database.read() as migrated:
        assert definitions(made) == definitions(migrated)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    set_revision(database, "0999")
    with pytest.raises(StartRefused, match=f"revision 0999, newer than .* knows .{HEAD}"):
        migrate(database)
    assert current_revision(database) == "0999"


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE messages (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        migrate(empty)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["messages"]
    assert current_revision(empty) is None


def test_what_is_stored_survives_another_start(database: Database) -> None:
    (accepted,) = accept(database)
    assert not migrate(database)
    assert stored(database, accepted.message_id).status == "queued"


def test_processes_that_migrate_at_once_do_it_once(database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATOR, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    database = Database(database_url)
    assert current_revision(database) == HEAD
    database.close()


def test_a_copied_database_is_complete(migrated_database: MigratedDatabase) -> None:
    with migrated_database("sqlite") as url:
        database = Database(url)
        assert current_revision(database) == HEAD
        database.close()
