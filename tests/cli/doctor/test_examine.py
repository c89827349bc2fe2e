"""The doctor finds common faults, names the remedy, and changes nothing itself."""

import errno
import os
import resource
import secrets
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, make_url, text, update

from hudhud import app
from hudhud.auth import untrusted_proxy
from hudhud.auth.first_credentials import ensure_credentials
from hudhud.auth.secret_check import check_secret
from hudhud.channels.base import State, StateReport
from hudhud.cli.doctor import environment
from hudhud.cli.doctor.examine import CHECKS, examine, open_installation, run_check
from hudhud.cli.doctor.finding import Finding, Installation
from hudhud.core.clock import HOUR_MS, iso, now_ms
from hudhud.core.settings import load_settings
from hudhud.db import installation, tables
from hudhud.db.engine import Database
from hudhud.db.migrate import OLDEST_VERSION
from hudhud.senders import records
from hudhud.verification.build import secret_of
from hudhud.web.server import pressure
from hudhud.web.server.pressure import Pressure
from support.damage import overwrite
from support.keys import revoke_key
from support.queued import submit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cheap_hashes")]


@contextmanager
def opened() -> Iterator[Installation]:
    """The installation in this folder."""
    installation = open_installation(load_settings())
    try:
        yield installation
    finally:
        if installation.database is not None:
            installation.database.close()


def check(name: str) -> Finding:
    """Run one check of the installation in this folder."""
    with opened() as installation:
        return run_check(name, installation)


@pytest.fixture
def database(
    database_kind: str, migrated_installation: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """The database of an installation that was started once, of each kind."""
    del migrated_installation
    if database_kind == "postgresql":
        monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    started = started_installation()
    yield started
    started.close()


@pytest.fixture
def sqlite_database() -> Iterator[Database]:
    """The same on SQLite only."""
    started = started_installation()
    yield started
    started.close()


def started_installation() -> Database:
    settings = load_settings()
    database = app.open_installation(settings)
    previous = os.umask(0o077)
    ensure_credentials(
        database,
        app.credentials_of(settings),
        lambda _made: None,
        secret=secret_of(settings),
        previous_secret=None,
    )
    os.umask(previous)
    return database


def play_sender(database: Database, state: State) -> None:
    """Act as the supervisor and process of a sender in this state."""
    now = now_ms()
    with database.write() as connection:
        records.register(connection, name="main", channel="linked", now=now)
        records.take_lease(connection, name="main", owner="test", now=now)
        records.beat(connection, name="main", now=now)
        records.report(connection, name="main", new=StateReport(state), now=now)


# ── All checks ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.system_clock
def test_sound_installation_passes_every_check(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "0")
    play_sender(database, "connected")
    findings = dict(examine())
    assert {name: found for name, found in findings.items() if found.outcome != "ok"} == {}
    assert set(findings) == {"settings", *CHECKS}


@pytest.mark.system_clock
def test_before_the_first_start_no_check_fails_or_creates_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "0")
    assert {name for name, found in examine() if found.outcome != "ok"} == set()
    assert list(tmp_path.iterdir()) == []


def test_invalid_settings_are_the_only_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    ((name, found),) = examine()
    assert (name, found.outcome) == ("settings", "fail")
    assert "PORT" in found.sentence


@pytest.mark.system_clock
def test_unreachable_database_stops_no_other_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://hudhud:topsecret@127.0.0.1:1/hudhud")
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    monkeypatch.setenv("PORT", "0")
    findings = dict(examine())
    assert {name for name, found in findings.items() if found.outcome == "fail"} == {"database"}
    assert "\n" not in findings["database"].sentence
    assert "topsecret" not in str(findings)


def test_crashing_check_is_reported_as_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CHECKS, "pace", lambda _installation: 1 / 0)
    found = check("pace")
    assert found.outcome == "fail"
    assert "ZeroDivisionError" in found.sentence


@pytest.mark.usefixtures("sqlite_database")
def test_every_finding_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    monkeypatch.setenv("WHATSAPP_PROXY", "http://127.0.0.1:1")
    (tmp_path / "data" / "secret").chmod(0o644)
    bad = [found for _name, found in examine() if found.outcome != "ok"]
    assert len(bad) >= 3
    assert all(found.remedy for found in bad)


# ── Database ────────────────────────────────────────────────────────────────────────────────────


def test_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hudhud.db").write_text("not a database " * 100)
    found = check("database")
    assert found.outcome == "fail"
    assert "not a database" in found.sentence
    assert "restore a backup" in (found.remedy or "")


def test_damage_inside_the_file_is_reported(sqlite_database: Database) -> None:
    assert check("database").outcome == "ok"
    assert sqlite_database.empty_log()
    sqlite_database.close()
    file = Path(str(sqlite_database.url.database))
    overwrite(file, file.stat().st_size - 4096)
    found = check("database")
    assert found.outcome == "fail"
    assert "is damaged" in found.sentence
    assert "restore a backup" in (found.remedy or "")


def test_damage_stops_no_other_check(sqlite_database: Database) -> None:
    assert sqlite_database.empty_log()
    sqlite_database.close()
    overwrite(Path(str(sqlite_database.url.database)), 100)
    findings = dict(examine())
    assert set(findings) == {"settings", *CHECKS}
    assert "itself broke" not in str(findings)


@pytest.mark.usefixtures("sqlite_database")
def test_full_disk_breaks_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", raise_full)
    with opened() as installation:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            findings = {name: run_check(name, installation) for name in CHECKS}
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert findings["writing"].outcome == "fail"
    assert "itself broke" not in str(findings)
    assert findings["clock"].outcome == "warn"
    assert "No space left" in findings["clock"].sentence


def raise_full(**_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("revision", "oldest", "outcome"),
    [("0000", "0.0.1", "warn"), ("9999", "99.0.0", "fail"), ("9999", "0.0.1", "ok")],
)
def test_tables_of_another_version_are_reported(
    database: Database, revision: str, oldest: str, outcome: str
) -> None:
    with database.write() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        installation.write(connection, OLDEST_VERSION, oldest)
    assert check("tables").outcome == outcome


def test_locked_database_is_reported(sqlite_database: Database) -> None:
    with closing(sqlite3.connect(str(sqlite_database.url.database))) as other:
        other.execute("BEGIN IMMEDIATE")
        found = check("writing")
    assert found.outcome == "fail"
    assert "locked" in found.sentence
    assert check("writing").outcome == "ok"


def test_read_only_database_is_reported(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    started_installation().close()
    address = make_url(postgres_url)
    engine = create_engine(address.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        name = address.database
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    engine.dispose()
    found = check("writing")
    assert found.outcome == "fail"
    assert "read-only" in found.sentence


@pytest.mark.usefixtures("sqlite_database")
def test_network_file_system_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudhud.cli.doctor.database._file_system", lambda _file: "nfs4")
    assert check("database").outcome == "fail"


# ── Secret and credentials ──────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("database")
def test_secret_that_does_not_match_the_database_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = secret_of(load_settings())
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    found = check("secret")
    assert found.outcome == "fail"
    assert "another secret" in found.sentence
    monkeypatch.setenv("SESSION_SECRET_PREVIOUS", right)
    assert check("secret").outcome == "ok", "it is being changed"


@pytest.mark.usefixtures("sqlite_database")
def test_lost_secret_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data" / "secret").unlink()
    found = check("secret")
    assert found.outcome == "fail"
    assert "is missing" in found.sentence
    assert not (tmp_path / "data" / "secret").exists()


@pytest.mark.parametrize("is_left", [False, True])
def test_missing_secret_with_postgresql_is_reported(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, is_left: bool
) -> None:
    """Also where the file is left that an installation on SQLite had: no start would take it."""
    if is_left:
        secret_of(load_settings())
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    found = check("secret")
    assert found.outcome == "fail"
    assert "openssl" in (found.remedy or "")


def test_unneeded_previous_secret_is_reported(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not set" in check("former secret").sentence
    monkeypatch.setenv("SESSION_SECRET_PREVIOUS", secret_of(load_settings()))
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    found = check("former secret")
    assert found.outcome == "warn"
    assert "no longer needed" in found.sentence
    submit(database, now=now_ms())
    found = check("former secret")
    assert found.outcome == "ok"
    assert "is needed until" in found.sentence


@pytest.mark.parametrize("weak", ["a" * 64, "hunter2hunter2hunter2"])
def test_weak_secret_is_reported(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, weak: str
) -> None:
    settings = load_settings()
    with sqlite_database.write() as connection:
        check_secret(connection, weak, secret_of(settings))
    monkeypatch.setenv("SESSION_SECRET", weak)
    found = check("secret")
    assert found.outcome == "warn"
    assert weak not in str(found)


def test_missing_keys_are_reported(database: Database) -> None:
    assert check("credentials").outcome == "ok"
    revoke_key(database, "first")
    found = check("credentials")
    assert found.outcome == "warn"
    assert "API key" in found.sentence


def test_password_of_another_admin_counts_as_missing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    monkeypatch.setenv("ADMIN_USERNAME", "somebody")
    assert "admin password" in check("credentials").sentence


def test_full_server_is_reported_for_a_day(database: Database) -> None:
    assert check("connections").outcome == "ok"
    full = Pressure(now_ms() - HOUR_MS, 3300, 4096)
    with database.write() as connection:
        pressure.remember(connection, full)
    found = check("connections")
    assert found.outcome == "warn"
    assert f"3300 of 4096 connections were open at {iso(full.at)}" in found.sentence
    with database.write() as connection:
        pressure.remember(connection, full._replace(at=now_ms() - 25 * HOUR_MS))
    assert check("connections").outcome == "ok"


def test_untrusted_proxy_is_reported_until_it_is_trusted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check("forwarding").outcome == "ok"
    with database.write() as connection:
        untrusted_proxy.remember(connection, "192.0.2.7", now=now_ms())
    found = check("forwarding")
    assert found.outcome == "warn"
    assert "192.0.2.7" in found.sentence
    assert "TRUSTED_PROXIES" in (found.remedy or "")
    monkeypatch.setenv("TRUSTED_PROXIES", "192.0.2.0/24")
    assert check("forwarding").outcome == "ok"


def test_proxy_last_seen_yesterday_is_not_reported(database: Database) -> None:
    with database.write() as connection:
        long_ago = now_ms() - untrusted_proxy.RECENT_MS
        untrusted_proxy.remember(connection, "192.0.2.7", now=long_ago)
    assert check("forwarding").outcome == "ok"


@pytest.mark.usefixtures("sqlite_database")
def test_leftover_credentials_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data" / "first-credentials.txt").touch(mode=0o600)
    assert check("credentials").outcome == "warn"


# ── Sender ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "outcome", "remedy"),
    [("connected", "ok", ""), ("pairing", "warn", "hudhud pair"), ("restricted", "warn", "")],
)
def test_sender_state_is_reported(
    database: Database, state: State, outcome: str, remedy: str
) -> None:
    play_sender(database, state)
    found = check("sender")
    assert found.outcome == outcome
    assert remedy in (found.remedy or "")


def test_stopped_sender_is_reported(database: Database) -> None:
    play_sender(database, "connected")
    with database.write() as connection:
        connection.execute(update(tables.senders).values(heartbeat_at=0))
    found = check("sender")
    assert found.outcome == "warn"
    assert "hudhud serve" in (found.remedy or "")


# ── Files ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("sqlite_database")
@pytest.mark.parametrize("name", ["data/secret", "data/hudhud.db", "data/session/main.db", ".env"])
def test_readable_file_with_secrets_is_reported(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    assert check("private files").outcome == "ok"
    file.chmod(0o640)
    found = check("private files")
    assert found.outcome == "fail"
    assert name in found.sentence
    assert name in (found.remedy or "")


def test_readable_database_outside_the_data_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_FILENAME", "elsewhere/codes.db")
    started_installation().close()
    (tmp_path / "elsewhere" / "codes.db").chmod(0o644)
    assert "elsewhere/codes.db" in check("private files").sentence


@pytest.mark.usefixtures("sqlite_database")
def test_readable_data_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").chmod(0o755)
    assert check("data folder").outcome == "warn"


@pytest.mark.parametrize(
    ("name", "variable", "outcome"),
    [("data folder", "DATA_DIR", "fail"), ("log folder", "LOG_DIR", "warn")],
)
def test_file_in_place_of_a_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, outcome: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, "file")
    found = check(name)
    assert found.outcome == outcome
    assert "is not a folder" in found.sentence


@pytest.mark.parametrize(
    ("free", "outcome"), [(10**7, "fail"), (5 * 10**8, "warn"), (10**11, "ok")]
)
def test_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch, free: int, outcome: str) -> None:
    usage = type(shutil.disk_usage("."))
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(10**12, 10**12 - free, free))
    assert check("disk space").outcome == outcome


# ── Environment ─────────────────────────────────────────────────────────────────────────────────


def test_unset_clock_is_reported() -> None:
    with opened() as installation:
        found = environment.clock(installation, earliest=environment.LATEST)
    assert found.outcome == "fail"


@pytest.mark.system_clock
def test_jobs_of_the_future_are_reported(database: Database) -> None:
    later = now_ms() + 3_600_000
    with database.write() as connection:
        connection.execute(
            tables.verifications.insert().values(
                id="v_1", phone="+201001234567", status="pending", code_digest=b"", api_key="x",
                created_at=later, expires_at=later,
            )
        )  # fmt: skip
        connection.execute(
            tables.messages.insert().values(
                verification_id="v_1", channel="linked", phone="+201001234567", body="",
                status="queued", available_at=later, expires_at=later, created_at=later,
            )
        )  # fmt: skip
    found = check("clock")
    assert found.outcome == "fail"
    assert "in the future" in found.sentence


@pytest.mark.parametrize(("ahead", "outcome"), [(0.4, "ok"), (-4.0, "warn"), (40.0, "fail")])
def test_clock_that_differs_from_the_databases_is_reported(
    monkeypatch: pytest.MonkeyPatch, ahead: float, outcome: str
) -> None:
    monkeypatch.setattr(environment, "_offset", lambda _installation: (ahead, "database server"))
    assert check("clock").outcome == outcome


class Listener(NamedTuple):
    """A listening socket of another program."""

    host: str
    port: int


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Listener(*server.getsockname())


def test_port_of_another_program_is_reported(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", listener.host)
    monkeypatch.setenv("PORT", str(listener.port))
    with opened() as installation:
        found = environment.port(installation, answer_seconds=0.2)
    assert found.outcome == "fail"
    assert "PORT" in (found.remedy or "")


def test_address_of_another_machine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "203.0.113.1")
    monkeypatch.setenv("PORT", "0")
    assert check("port").outcome == "fail"


def test_listening_proxy_passes_without_showing_its_password(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"socks5://user:topsecret@{listener.host}:{listener.port}"
    monkeypatch.setenv("WHATSAPP_PROXY", address)
    found = check("proxy")
    assert found.outcome == "ok"
    assert "topsecret" not in found.sentence


def test_proxy_that_does_not_listen_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_PROXY", "http://127.0.0.1:1")
    found = check("proxy")
    assert found.outcome == "fail"
    assert "127.0.0.1 port 1" in found.sentence


def test_library_of_another_version_is_reported_and_not_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "_wanted_version", lambda: "9.9.9")
    monkeypatch.setattr(
        environment, "_problem_with_loading", lambda _: pytest.fail("it was loaded")
    )
    found = check("library")
    assert found.outcome == "fail"
    assert "make install" in (found.remedy or "")


def test_library_that_does_not_load_is_reported() -> None:
    with opened() as installation:
        found = environment.library(
            installation, loading="raise ImportError('no such file: neonize.so')"
        )
    assert found.outcome == "fail"
    assert "no such file: neonize.so" in found.sentence


def test_slow_pace_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_MIN_SEND_DELAY_MS", "5000")
    monkeypatch.setenv("WORKER_MAX_SEND_DELAY_MS", "20000")
    assert check("pace").outcome == "warn"
    assert check("leftovers").outcome == "ok", "told once"


def test_weak_values_are_a_warning_without_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("strength").outcome == "ok"
    monkeypatch.setenv("API_KEY", "hunter2-key")
    monkeypatch.setenv("ADMIN_PASSWORD", "hunter2-pw")
    found = check("strength")
    assert found.outcome == "warn"
    assert "API_KEY" in found.sentence
    assert "ADMIN_PASSWORD" in found.sentence
    assert "hunter2" not in str(found)
    assert check("leftovers").outcome == "ok", "told once"


def test_leftovers_of_the_earlier_application_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    session = tmp_path / "data" / "baileys_auth_info"
    session.mkdir(parents=True)
    (session / "creds.json").write_text("{}")
    found = check("leftovers")
    assert found.outcome == "warn"
    assert "NODE_ENV" in found.sentence
    assert "scan the new QR code" in found.sentence


# apprise imports this deprecated module of Python if it exists.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_invalid_alert_targets_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert check("alerts").outcome == "ok"
    monkeypatch.setenv("ALERT_URLS", "json://localhost/hunter2")
    assert check("alerts").outcome == "ok"
    monkeypatch.setenv("ALERT_URLS", "json://localhost nosuch://hunter2")
    found = check("alerts")
    assert found.outcome == "warn"
    assert "nosuch://…" in found.sentence
    assert "hunter2" not in str(found)
    assert "ALERT_URLS" in (found.remedy or "")
