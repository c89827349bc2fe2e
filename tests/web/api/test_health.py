"""/healthz and /readyz."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from hudhud.channels.base import State
from hudhud.core.clock import now_ms
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.migrate import HEAD
from hudhud.senders import records
from hudhud.web.timing import Timing
from support.damage import overwrite
from support.keys import make_key
from support.queued import put_sender
from support.web_server import ServeWeb, WebServer

READY = '{"status":"ready","database":"writable","migrations":"current","senders":[]}'


def ready(server: WebServer, query: str = "") -> tuple[int, dict[str, Any]]:
    response = server.client.get(f"/readyz{query}")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = response.json()
    return response.status_code, body


def test_healthz_answers_only_that_the_process_runs(api: WebServer) -> None:
    response = api.client.get("/healthz", headers={"X-API-KEY": ""})
    assert (response.status_code, response.text) == (200, '{"status":"ok"}')
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_an_installation_without_senders_is_ready(empty_api: WebServer) -> None:
    response = empty_api.client.get("/readyz", headers={"X-API-KEY": ""})
    assert (response.status_code, response.text) == (200, READY)


@pytest.mark.parametrize("query", ["?strict", "?strict=", "?strict=1", "?strict&strict"])
def test_installation_without_senders_is_not_strictly_ready(
    empty_api: WebServer, query: str
) -> None:
    assert ready(empty_api, query)[0] == 503


@pytest.mark.parametrize("state", ["pairing", "logged_out", "reconnecting", "restricted"])
def test_sender_that_cannot_send_fails_only_the_strict_check(
    empty_api: WebServer, state: State
) -> None:
    put_sender(empty_api.database, state=state)
    status, body = ready(empty_api)
    assert status == 200
    assert body["senders"] == [
        {"name": "main", "state": state, "detail": records.usual(state).english(), "running": True}
    ]
    assert ready(empty_api, "?strict") == (503, body | {"status": "not ready"})


def test_a_connected_sender_is_strictly_ready(empty_api: WebServer) -> None:
    put_sender(empty_api.database)
    assert ready(empty_api, "?strict")[0] == 200


def test_strict_check_requires_every_sender_to_be_connected(empty_api: WebServer) -> None:
    put_sender(empty_api.database, "one")
    put_sender(empty_api.database, "two", "reconnecting")
    assert ready(empty_api, "?strict")[0] == 503


def test_sender_without_a_supervisor_is_ignored(empty_api: WebServer) -> None:
    put_sender(empty_api.database, "old", "stopped", now=now_ms() - records.LEASE_MS * 2)
    put_sender(empty_api.database, "new")
    assert ready(empty_api, "?strict")[0] == 200


def test_a_sender_of_a_dead_machine_is_not_connected(empty_api: WebServer) -> None:
    put_sender(empty_api.database, now=now_ms() - records.LEASE_MS * 2)
    status, body = ready(empty_api, "?strict")
    assert status == 503
    assert body["senders"][0]["running"] is False


def test_sender_with_a_hanging_process_is_not_strictly_ready(empty_api: WebServer) -> None:
    put_sender(empty_api.database)
    long_ago = now_ms() - records.LATE_MS
    with empty_api.database.write() as connection:
        connection.execute(update(tables.senders).values(heartbeat_at=long_ago))
    assert ready(empty_api, "?strict")[0] == 503


@pytest.mark.parametrize("state", ["connected", "starting", "reconnecting"])
def test_sandbox_of_test_keys_does_not_affect_readiness(
    serve_web: ServeWeb, database: Database, state: State
) -> None:
    server = serve_web(channel="linked")
    put_sender(database, "main-sandbox", state, channel="sandbox")
    assert ready(server, "?strict")[0] == 503
    put_sender(database, "main", channel="linked")
    status, body = ready(server, "?strict")
    assert status == 200
    assert [one["name"] for one in body["senders"]] == ["main", "main-sandbox"]


def test_unneeded_sandbox_of_test_keys_says_so(serve_web: ServeWeb, database: Database) -> None:
    server = serve_web(channel="linked")
    put_sender(database, "main", channel="linked")
    put_sender(database, "main-sandbox", "stopped", channel="sandbox")
    assert ready(server)[1]["senders"][1]["detail"] == records.NOT_NEEDED.english()
    make_key(database, "trial", is_test=True)
    assert ready(server)[1]["senders"][1]["detail"] == records.usual("stopped").english()


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold SQLite's write lock, as another program."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_locked_database_is_not_ready_but_healthy(
    serve_web: ServeWeb, database: Database, impatient: Database
) -> None:
    server = serve_web(impatient, timing=Timing(probe=0))
    assert ready(server)[0] == 200
    with locked(str(database.url.database)):
        status, body = ready(server)
        assert (status, body["status"]) == (503, "not ready")
        assert (body["database"], body["migrations"]) == ("cannot be written", "current")
        assert server.client.get("/healthz").status_code == 200
    assert ready(server)[0] == 200


def test_a_read_only_database_is_not_ready(
    serve_web: ServeWeb, database: Database, migrated_url: str
) -> None:
    if database.is_sqlite:
        used = Database(f"sqlite:///file:{database.url.database}?mode=ro&uri=true")
    else:
        name = database.url.database
        with database.write() as connection:
            connection.execute(
                text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            )
        used = Database(migrated_url)
    server = serve_web(used)
    status, body = ready(server)
    assert (status, body["status"], body["database"]) == (503, "not ready", "cannot be written")
    assert server.send().status_code == 503


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_full_disk_is_not_ready(serve_web: ServeWeb, database: Database) -> None:
    file = Path(str(database.url.database))
    server = serve_web(timing=Timing(probe=0))
    assert ready(server)[0] == 200
    size = file.with_name(file.name + "-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        status, body = ready(server)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (status, body["database"]) == (503, "cannot be written")
    assert ready(server)[0] == 200


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_damage_and_a_moved_file_are_not_ready(serve_web: ServeWeb, database: Database) -> None:
    file = Path(str(database.url.database))
    server = serve_web(timing=Timing(probe=0))
    assert ready(server)[0] == 200
    elsewhere = file.rename(file.with_name("elsewhere.db"))
    status, body = ready(server)
    assert (status, body["database"]) == (503, "removed or replaced")
    check_refused_without_a_line(server)
    elsewhere.rename(file)
    assert ready(server)[0] == 200
    for part in (file, file.with_name(file.name + "-wal")):
        overwrite(part)
    database.engine.dispose()
    status, body = ready(server)
    assert (status, body["database"]) == (503, "damaged")
    check_refused_without_a_line(server)


OF_PERSON = {"Accept": "text/html", "Cookie": "hudhud_session=any", "X-API-KEY": ""}


def check_refused_without_a_line(server: WebServer) -> None:
    with capture_logs() as logs:
        assert server.send().status_code == 503
        assert server.client.get("/api/v1/otp").status_code == 503
        page = server.client.get("/admin/audit", headers=OF_PERSON)
    assert page.status_code == 503
    assert "The database cannot be used" in page.text
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


def test_a_database_without_tables_is_not_ready(serve_web: ServeWeb, database_url: str) -> None:
    empty = Database(database_url)
    status, body = ready(serve_web(empty))
    assert (status, body["status"]) == (503, "not ready")
    assert body["migrations"] == f"at none, this version needs {HEAD}"


def test_a_database_of_another_version_is_not_ready(
    serve_web: ServeWeb, database: Database
) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    status, body = ready(serve_web())
    assert status == 503
    assert body["migrations"] == f"at 9999, this version needs {HEAD}"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_unreachable_database_server_is_not_ready(serve_web: ServeWeb) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    status, body = ready(serve_web(nowhere))
    assert (status, body["database"], body["migrations"]) == (503, "cannot be read", "unknown")
