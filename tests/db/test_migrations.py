"""Migrations bring any database to exactly the tables that the code defines."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, inspect, select, text

from conftest import MigratedDatabase
from hudhud.auth import api_keys
from hudhud.core.errors import StartRefused
from hudhud.core.rates import LimitKind, Rates, write_own_limits
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from hudhud.db.migrate import (
    HEAD,
    MIGRATIONS,
    OLDEST_VERSION,
    current_revision,
    fits,
    migrate,
    oldest_version,
)
from hudhud.db.tables import installation, messages, metadata
from hudhud.maintenance.alerts.state import AlertState, read_all
from hudhud.messages import listing, statistics, text_store, timeline
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter, SearchLimits
from hudhud.messages.states import STATUSES
from hudhud.senders import overview
from support.queued import NOW, accept, stored, submit
from support.stored_jobs import CIPHER

pytestmark = pytest.mark.slow

REVISIONS = sorted((MIGRATIONS / "versions").glob("0*.py"))
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
    """An empty database of each kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


def set_revision(database: Database, revision: str) -> None:
    with database.write() as connection:
        statement = text("UPDATE alembic_version SET version_num = :revision")
        connection.execute(statement, {"revision": revision})


# SQLAlchemy cannot describe the tables and indexes of the phone index.
PHONE_INDEX = re.compile("message_phones|messages_phone_pieces")


def is_a_table_of_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind not in {"table", "index"} or PHONE_INDEX.search(name or "") is None


def test_head_constant_names_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_revision_numbers_increase() -> None:
    numbers = [f"{number:04d}" for number in range(1, len(REVISIONS) + 1)]
    assert [file.name[:4] for file in REVISIONS] == numbers


@pytest.mark.parametrize("file", REVISIONS, ids=lambda file: file.stem)
def test_revisions_import_nothing_of_the_application(file: Path) -> None:
    assert "hudhud" not in re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE)


def test_empty_database_is_migrated_once(empty: Database) -> None:
    assert current_revision(empty) is None
    assert migrate(empty)
    assert current_revision(empty) == HEAD
    assert not migrate(empty)


def test_migrated_tables_match_the_code(database: Database) -> None:
    with database.read() as connection:
        options = {"compare_type": True, "include_name": is_a_table_of_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def definitions(connection: Connection) -> set[str]:
    """Return the database's own description of indexes, constraints and columns."""
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


def test_migrated_tables_equal_directly_created_ones(empty: Database, database: Database) -> None:
    with empty.write() as connection:
        metadata.create_all(connection)
    with empty.read() as made, database.read() as migrated:
        assert definitions(made) == {
            one for one in definitions(migrated) if PHONE_INDEX.search(one) is None
        }


def name_oldest_version(database: Database, version: str | None) -> None:
    with database.write() as connection:
        connection.execute(delete(installation).where(installation.c.name == OLDEST_VERSION))
        if version is not None:
            row = {"name": OLDEST_VERSION, "value": version}
            connection.execute(installation.insert(), row)


@pytest.mark.parametrize("oldest", ["0.1.1", "0.10.0", "1.0", None])
def test_database_for_newer_versions_is_refused_and_unchanged(
    database: Database, monkeypatch: pytest.MonkeyPatch, oldest: str | None
) -> None:
    monkeypatch.setattr("hudhud.db.migrate.__version__", "0.1.0")
    set_revision(database, "0999")
    name_oldest_version(database, oldest)
    said = f"revision 0999, newer than .* knows .{HEAD}.* version {oldest or 'unknown'} or newer"
    with pytest.raises(StartRefused, match=f"{said}; this is 0.1.0"):
        migrate(database)
    assert current_revision(database) == "0999"
    assert not fits(database, "0999")


@pytest.mark.parametrize("oldest", ["0.1.0", "0.1", "0.0.9"])
def test_supported_older_version_starts_and_leaves_a_newer_database_unchanged(
    database: Database, monkeypatch: pytest.MonkeyPatch, oldest: str
) -> None:
    monkeypatch.setattr("hudhud.db.migrate.__version__", "0.1.0")
    set_revision(database, "0999")
    name_oldest_version(database, oldest)
    assert not migrate(database)
    assert current_revision(database) == "0999"
    assert fits(database, "0999")


def test_newest_revision_names_the_oldest_supported_version(empty: Database) -> None:
    migrate(empty)
    named = oldest_version(empty)
    assert named is not None
    assert fits(empty, "0999")
    assert not fits(empty, "0001")
    assert not fits(empty, None)


def test_revision_that_adds_codes_changes_no_row(grown: Database) -> None:
    upgrade_to(grown, "0003")
    with grown.read() as connection:
        before = connection.execute(text("SELECT * FROM messages ORDER BY id")).mappings().all()
    migrate(grown)
    with grown.read() as connection:
        after = connection.execute(select(messages).order_by(messages.c.id)).mappings().all()
    for old, new in zip(before, after, strict=True):
        assert {name: new[name] for name in old} == dict(old)
        assert {new[name] for name in set(new) - set(old)} == {None}


def test_failed_migration_leaves_no_changes(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE messages (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        migrate(empty)
    with empty.read() as connection:
        assert inspect(connection).get_table_names() == ["messages"]
    assert current_revision(empty) is None


def test_data_survives_another_start(database: Database) -> None:
    (accepted,) = accept(database)
    assert not migrate(database)
    assert stored(database, accepted.message_id).status == "queued"


def test_simultaneous_migrations_run_once(database_url: str) -> None:
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


def test_migration_waiting_for_a_reader_blocks_no_others(grown: Database) -> None:
    upgrade_to(grown, "0003")
    with ThreadPoolExecutor(1) as threads:
        with grown.read() as backup:
            backup.execute(text("SELECT * FROM senders")).all()
            migrating = threads.submit(migrate, grown)
            for _ in range(20):
                with grown.read() as connection:
                    connection.execute(text("SELECT count(*) FROM messages")).one()
                time.sleep(0.02)
        assert migrating.result(60)
    assert current_revision(grown) == HEAD


@pytest.mark.parametrize("database_kind", ["postgresql"])  # SQLite's readers stop no writer
def test_migration_that_cannot_lock_its_tables_says_so(grown: Database) -> None:
    upgrade_to(grown, "0003")
    with grown.read() as backup:
        backup.execute(text("SELECT * FROM senders")).all()
        with pytest.raises(StartRefused, match="perhaps by a backup"):
            migrate(grown, attempts=2)
    assert current_revision(grown) == "0003"


BODIES = ("Your Acme code:\n\n{code}\n\nNever share it.", "{code}\n\nis your code")
ERRORS = (None, "No account.", None, 'It said "no"', None, "No account.", None, None)
SENT_AT = NOW + 7


def upgrade_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def insert(connection: Connection, table: str, row: dict[str, object]) -> None:
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"), row)


@pytest.fixture
def grown(empty: Database) -> Database:
    """A used database of the first version."""
    upgrade_to(empty, "0001")
    with empty.write() as connection:
        insert(
            connection,
            "api_keys",
            {"name": "shop", "prefix": "abc", "digest": b"d", "created_at": NOW},
        )
        insert(
            connection,
            "senders",
            {
                "name": "main",
                "channel": "linked",
                "state": "connected",
                "state_since": NOW,
                "failed_reconnects": 0,
                "next_send_at": 0,
            },
        )
        for number, status in enumerate(STATUSES):
            _insert_message(connection, number, status)
    return empty


def _insert_message(connection: Connection, number: int, status: str) -> None:
    phone = f"+2010012345{number:02}"
    insert(
        connection,
        "verifications",
        {
            "id": f"v{number}",
            "phone": phone,
            "status": "pending",
            "code_digest": b"",
            "code_index": CIPHER.index(f"471{number}"),
            "code_sealed": CIPHER.codes.seal(f"v{number}", f"471{number}"),
            "api_key": "k",
            "created_at": NOW,
            "expires_at": NOW + 1,
        },
    )
    insert(
        connection,
        "messages",
        {
            "verification_id": f"v{number}",
            "channel": "sandbox",
            "phone": phone,
            "body": BODIES[number % 2],
            "status": status,
            "attempts": 1,
            "available_at": NOW,
            "expires_at": NOW + 1,
            "error": ERRORS[number],
            "created_at": NOW,
            "sent_at": SENT_AT if status == "sent" else None,
        },
    )


def searched(database: Database, search: str, limits: SearchLimits) -> list[int]:
    chosen = JobFilter(search=search)
    with database.read() as connection:
        page, _ = listing.page(connection, CIPHER, chosen, PageCursor(20), now=NOW, limits=limits)
    return [job.id for job in page.jobs]


def test_messages_of_the_first_version_are_counted(grown: Database) -> None:
    assert migrate(grown)
    with grown.read() as connection:
        numbers = statistics.numbers(connection, channel="linked", now=NOW, mean_gap=1.0)
    assert numbers.counts == dict.fromkeys(STATUSES, 1)
    submit(grown, 2)
    with grown.read() as connection:
        assert statistics.numbers(connection, channel="linked", now=NOW, mean_gap=1.0).pending == 3


@pytest.mark.parametrize("scanned", [1, 2000])
def test_the_messages_of_the_first_version_are_found(grown: Database, scanned: int) -> None:
    limits = SearchLimits(scanned=scanned)
    migrate(grown)
    everything = list(range(8, 0, -1))
    assert searched(grown, "20100123450", limits) == everything
    assert searched(grown, "+201001234503", limits) == [4]
    assert searched(grown, "acme", limits) == everything[1::2]
    assert searched(grown, "••••", limits) == everything
    assert searched(grown, "no account", limits) == [6, 2]
    assert searched(grown, 'said "NO"', limits) == [4]
    assert searched(grown, "4715", limits) == [6]
    (number,) = submit(grown, phone="+491701234567")
    assert searched(grown, "4917012", limits) == [number]


def test_texts_of_the_first_version_are_stored_once(grown: Database) -> None:
    migrate(grown)
    with grown.read() as connection:
        kept = connection.execute(text("SELECT key, text FROM texts")).all()
        rows = connection.execute(select(messages)).all()
    wanted = {text_store.key(one): one.replace("{code}", text_store.MASK) for one in BODIES}
    wanted |= {text_store.key(one): one for one in ERRORS if one}
    assert {row.key: row.text for row in kept} == wanted
    for row in rows:
        assert row.body_key == text_store.key(row.body)
        assert row.error_key == (text_store.key(row.error) if row.error else None)


def test_jobs_of_the_first_version_are_shown(grown: Database) -> None:
    migrate(grown)
    with grown.read() as connection:
        (card,) = overview.cards(connection, now=NOW)
        sent = connection.execute(select(messages).where(messages.c.status == "sent")).one()
        steps = timeline.steps_of(connection, sent)
        (key,) = api_keys.list_keys(connection)
    assert (card.state, card.is_paused, card.uptime_share) == ("stopped", False, None)
    assert [(step.kind, step.at) for step in steps] == [("accepted", NOW), ("sent", SENT_AT)]
    assert (key.name, key.scopes) == ("shop", "send read sandbox")


def test_keys_of_the_first_version_stay_without_limits(grown: Database) -> None:
    migrate(grown)
    # The limit of wrong codes came later and applies to them.
    none: dict[LimitKind, Rates] = {"per_number": (), "per_prefix": ()}
    with grown.write() as connection:
        (key,) = api_keys.list_keys(connection)
        assert key.limits == write_own_limits(none)
        lock(connection, Lock.API_KEYS)
        new = api_keys.rotate(connection, key.owner, now=NOW)
        assert new is not None
        assert api_keys.stored(connection, new.key).limits == key.limits


@pytest.mark.parametrize(
    ("column", "state"),
    [
        (None, None),
        ("logged_out", ("logged_out", None, 0, 0)),
        ("- logged_out 2 1763868678036", (None, "logged_out", 2, 1763868678036)),
        ("restricted connected 1 1763868678036", ("restricted", "connected", 1, 1763868678036)),
    ],
)
def test_what_people_were_told_before_is_kept(
    grown: Database, column: str | None, state: tuple[str | None, str | None, int, int] | None
) -> None:
    upgrade_to(grown, "0004")
    with grown.write() as connection:
        connection.execute(text("UPDATE senders SET alerted_state = :column"), {"column": column})
    migrate(grown)
    with grown.read() as connection:
        states = read_all(connection)
        assert connection.scalar(text("SELECT alerted_state FROM senders")) == column
    assert states == ({} if state is None else {"sender main": AlertState(*state)})


@pytest.mark.parametrize("kept", [5, 0])
def test_job_ids_of_the_first_version_are_not_reused(grown: Database, kept: int) -> None:
    given = len(STATUSES)
    with grown.write() as connection:
        connection.execute(text("DELETE FROM messages WHERE id > :kept"), {"kept": kept})
    migrate(grown)
    assert submit(grown) == [given + 1]


def test_job_ids_start_at_one_without_messages(empty: Database) -> None:
    upgrade_to(empty, "0002")
    migrate(empty)
    assert submit(empty) == [1]


def test_migrated_schema_equals_a_new_one(grown: Database, database: Database) -> None:
    migrate(grown)
    with grown.read() as one, database.read() as other:
        assert definitions(one) == definitions(other)
