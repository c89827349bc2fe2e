"""The database: guarantees of transactions, and differences between SQLite and PostgreSQL."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from hudhud.core.database_lost import DatabaseLost
from hudhud.core.errors import StartRefused
from hudhud.db import dialects
from hudhud.db.engine import Database, is_full, may_pass, open_database
from hudhud.db.migrate import OLDEST_VERSION
from hudhud.db.tables import contacts, inbound_messages, installation

only_on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
only_on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

IS_OF_TESTS = installation.c.name != OLDEST_VERSION  # written by the migrations


def put(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(insert(installation).values(name=name, value="x"))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.scalars(select(installation.c.name).where(IS_OF_TESTS)))


def run(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def error_of(database: Database, *statements: str) -> SQLAlchemyError:
    """Return the database's error for refused statements."""
    with pytest.raises(SQLAlchemyError) as caught:
        run(database, *statements)
    return caught.value


def test_committed_transaction_is_visible_to_others(
    database: Database, impatient: Database
) -> None:
    put(database, "one")
    assert names(impatient) == ["one"]


def test_failed_transaction_leaves_no_changes(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(installation).values(name="one", value="x"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(database) == []


def test_writes_of_a_read_transaction_are_discarded(database: Database) -> None:
    with database.read() as connection:
        connection.execute(insert(installation).values(name="one", value="x"))
    assert names(database) == []


@only_on_sqlite
def test_sqlite_flushes_each_commit_and_enforces_foreign_keys(database: Database) -> None:
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": dialects.BUSY_TIMEOUT_MS,
    }


@only_on_sqlite
def test_commits_are_flushed_at_checkpoints_if_asked(database: Database) -> None:
    names(database)  # opens a connection
    database.flush_at_checkpoints()
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


@only_on_postgresql
def test_postgresql_flushes_each_commit_and_waits_for_a_lock_as_long_as_sqlite(
    database: Database,
) -> None:
    with database.write() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
        assert connection.scalar(text("SHOW lock_timeout")) == "3s"


@only_on_sqlite
def test_sqlite_takes_the_write_lock_at_the_start(database: Database, impatient: Database) -> None:
    with database.write(), pytest.raises(OperationalError, match="locked"), impatient.write():
        raise AssertionError("two writers at once")
    put(impatient, "one")


@only_on_sqlite
def test_writer_does_not_block_a_reader(database: Database, impatient: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(installation).values(name="one", value="x"))
        assert names(impatient) == []
    assert names(impatient) == ["one"]


def test_row_ids_increase_and_are_never_reused(database: Database) -> None:
    row = {"sender": "s", "phone": "p", "text": "t", "received_at": 1}

    def add(name: str) -> int:
        with database.write() as connection:
            statement = insert(inbound_messages).returning(inbound_messages.c.id)
            values = row | {"provider_message_id": name}
            return int(connection.scalars(statement, values).one())

    first, second = add("a"), add("b")
    with database.write() as connection:
        connection.execute(inbound_messages.delete())
    assert first < second < add("c")


def test_lock_timeout_is_transient(database: Database, impatient: Database) -> None:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("LOCK TABLE installation IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(SQLAlchemyError) as caught:
            put(impatient, "one")
    assert may_pass(caught.value)


def test_defect_is_not_transient(database: Database) -> None:
    put(database, "one")
    for statement in (
        "SELECT * FROM nothing",
        "SELECT nothing FROM installation",
        "NO SQL AT ALL",
        "INSERT INTO installation (name, value) VALUES ('one', 'x')",
        "INSERT INTO installation (name) VALUES ('two')",
    ):
        assert not may_pass(error_of(database, statement)), statement
    assert not may_pass(ResourceClosedError("a defect of ours"))


def test_read_only_database_is_transient(database: Database) -> None:
    if database.is_sqlite:
        used = Database(f"sqlite:///file:{database.url.database}?mode=ro&uri=true")
        error = error_of(used, "DELETE FROM installation")
        used.close()
    else:
        error = error_of(database, "SET TRANSACTION READ ONLY", "DELETE FROM installation")
    assert may_pass(error)


@only_on_sqlite
def test_full_disk_is_transient(database: Database) -> None:
    large = "INSERT INTO installation VALUES ('n', zeroblob(1000000))"
    error = error_of(database, "PRAGMA max_page_count = 1", large)
    assert is_full(error)
    assert may_pass(error)


@only_on_postgresql
def test_full_disk_of_the_server_is_recognised(database: Database) -> None:
    error = error_of(database, "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$")
    assert is_full(error)
    assert may_pass(error)
    assert not is_full(error_of(database, "SELECT * FROM nothing"))


@only_on_sqlite
def test_start_without_space_for_the_shared_memory_names_the_full_disk(database: Database) -> None:
    file = Path(str(database.url.database))
    database.close()
    opening = f"from hudhud.db.engine import open_database; open_database({str(database.url)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", opening],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"The database {file} cannot be opened: its disk is full" in ended.stderr


def test_unreachable_server_is_transient() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(OperationalError) as caught:
        put(nowhere, "one")
    assert may_pass(caught.value)
    nowhere.close()


@only_on_postgresql
def test_lost_connection_is_transient_and_the_next_one_works(database: Database) -> None:
    assert may_pass(error_of(database, "SELECT pg_terminate_backend(pg_backend_pid())"))
    put(database, "one")


@only_on_postgresql
def test_pooled_connection_lost_while_idle_is_replaced(
    database: Database, migrated_url: str
) -> None:
    put(database, "one")
    with psycopg.connect(migrated_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    put(database, "two")
    assert names(database) == ["one", "two"]


def test_exhausted_pool_is_transient() -> None:
    pool = create_engine(
        "sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with pool.connect(), pytest.raises(SQLAlchemyError) as caught:
        pool.connect()
    assert may_pass(caught.value)
    pool.dispose()


def test_errors_do_not_repeat_the_values(database: Database) -> None:
    put(database, "one")
    again = insert(installation).values(name="one", value="+201001234567")
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        connection.execute(again)
    assert "1001234567" not in str(caught.value)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(words=st.text(st.characters(), max_size=20))
def test_any_text_can_be_stored(database: Database, words: str) -> None:
    insertable = contacts.insert().returning(contacts.c.phone)
    with database.write() as connection:
        connection.execute(contacts.delete())
        stored = connection.scalars(insertable, {"phone": words}).one()
    expected = words.replace("\0", "")
    assert stored == "".join("?" if "\ud800" <= one <= "\udfff" else one for one in expected)


def test_error_of_an_unreachable_database_hides_its_password(tmp_path: Path) -> None:
    with pytest.raises(StartRefused) as refused:
        open_database("postgresql://me:secret-word@127.0.0.1:1/nothing")
    assert "secret-word" not in str(refused.value)
    assert "127.0.0.1:1/nothing" in str(refused.value)
    with pytest.raises(StartRefused, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path}/no/such/folder/hudhud.db")
    (tmp_path / "no.db").write_text("this is no database, but a text that is long enough" * 100)
    with pytest.raises(DatabaseLost, match=r"no\.db is damaged .* restore a backup"):
        open_database(f"sqlite:///{tmp_path}/no.db")


@pytest.mark.parametrize("name", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_common_form_of_a_postgresql_address_is_accepted(name: str) -> None:
    database = Database(f"{name}://me:a%40b@127.0.0.1:1/hudhud?sslmode=require")
    assert database.url.drivername == "postgresql+psycopg"
    assert database.libpq_url() == "postgresql://me:a%40b@127.0.0.1:1/hudhud?sslmode=require"
    database.close()


def test_python_reports_sqlite_error_codes() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute("NO SQL")
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_ERROR
