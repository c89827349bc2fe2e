"""The session store: its location, access rights and linked device."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from hudhud.channels.linked.session_store import SCHEMA, SessionFile, SessionSchema, session_store

DEVICE = "201001234567:3@s.whatsapp.net"
OTHER = "201007654321:1@s.whatsapp.net"
MAKE_TABLE = "CREATE TABLE {}whatsmeow_device (jid TEXT PRIMARY KEY)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "session" / "main.db"


def add_devices(path: Path, *devices: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(MAKE_TABLE.format(""))
        connection.executemany("INSERT INTO whatsmeow_device VALUES (?)", [(d,) for d in devices])
        connection.commit()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_is_in_the_named_folder_of_the_data_folder(tmp_path: Path) -> None:
    store = session_store(data_dir=tmp_path, folder="wa", sender="one", database_url=None)
    store.prepare()
    assert (tmp_path / "wa" / "one.db").exists()


def test_new_file_is_private(path: Path) -> None:
    SessionFile(path).prepare()
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_readable_files_are_made_private(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o755)
    side_file = path.with_name("main.db-wal")
    for each in (path, side_file):
        each.touch(mode=0o644)
        each.chmod(0o644)
    SessionFile(path).prepare()
    assert [mode(each) for each in (path.parent, path, side_file)] == [0o700, 0o600, 0o600]


def test_file_costs_one_flush_per_commit(path: Path) -> None:
    SessionFile(path).prepare()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_library_reads_the_address_as_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "postgres 100%?#"
    address = SessionFile(folder / "main.db").prepare()
    with closing(sqlite3.connect(f"file:{address}?_foreign_keys=on", uri=True)) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert (folder / "main.db").stat().st_size > 0
    assert address.startswith("/")


def test_new_file_holds_no_device(path: Path) -> None:
    store = SessionFile(path)
    assert store.find(None) is None
    store.prepare()
    assert store.find(DEVICE) is None


def test_named_device_is_found(path: Path) -> None:
    store = SessionFile(path)
    store.prepare()
    add_devices(path, DEVICE, OTHER)
    assert store.find(DEVICE) == DEVICE


def test_device_unrecorded_because_of_a_crash_is_found(path: Path) -> None:
    store = SessionFile(path)
    store.prepare()
    add_devices(path, DEVICE)
    assert store.find(None) == DEVICE


def test_forgetting_deletes_the_file_and_its_companions(path: Path) -> None:
    store = SessionFile(path)
    store.prepare()
    path.with_name("main.db-journal").touch()
    store.forget(DEVICE)
    assert list(path.parent.iterdir()) == []


def test_invalid_database_file_raises_oserror(path: Path) -> None:
    store = SessionFile(path)
    store.prepare()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(OSError, match="not a database"):
        store.find(DEVICE)
    with pytest.raises(OSError, match="not a database"):
        store.prepare()


def test_postgresql_store_has_its_own_schema(postgres_url: str) -> None:
    store = session_store(
        data_dir=Path("unused"), folder="unused", sender="one", database_url=postgres_url
    )
    address = make_url(store.prepare())
    assert store.prepare() == address.render_as_string(hide_password=False)
    assert address.drivername == "postgresql"
    assert address.query["search_path"] == SCHEMA
    assert address.query["sslmode"] == "disable"
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone()
    assert row == (SCHEMA,)


def test_driver_specific_parameters_are_removed(postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    url = url.update_query_dict({"application_name": "x", "channel_binding": "prefer"})
    address = make_url(SessionSchema(url.render_as_string(hide_password=False)).prepare())
    assert set(address.query) <= {"host", "port", "search_path", "sslmode"}


def test_explicit_sslmode_is_kept(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"sslmode": "disable"})
    address = SessionSchema(url.render_as_string(hide_password=False)).prepare()
    assert make_url(address).query["sslmode"] == "disable"


def test_schema_returns_and_deletes_only_the_named_device(postgres_url: str) -> None:
    store = SessionSchema(postgres_url)
    store.prepare()
    assert store.find(DEVICE) is None
    with psycopg.connect(postgres_url) as connection:
        connection.execute(MAKE_TABLE.format(f"{SCHEMA}."))
        connection.execute(f"INSERT INTO {SCHEMA}.whatsmeow_device VALUES (%s)", [DEVICE])
        connection.execute(f"INSERT INTO {SCHEMA}.whatsmeow_device VALUES (%s)", [OTHER])
    assert store.find(None) is None
    assert store.find(DEVICE) == DEVICE
    store.forget(DEVICE)
    assert (store.find(DEVICE), store.find(OTHER)) == (None, OTHER)


def test_unreachable_database_raises_oserror(tmp_path: Path) -> None:
    store = SessionSchema(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(OSError, match="connection"):
        store.prepare()
