"""503 while the database cannot store, 500 for unexpected errors."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest
from sqlalchemy import event, func, select, text, update
from structlog.testing import capture_logs

from conftest import MigratedDatabase
from hudhud.core.clock import now_ms
from hudhud.db import tables
from hudhud.db.engine import Database
from support.queued import put_sender
from support.services import wait_until
from support.web_server import SEND, ServeWeb, WebServer

UNAVAILABLE = (
    '{"message":"Service temporarily unavailable due to a queueing issue. '
    'Please try again shortly."}'
)
UNEXPECTED = '{"message":"Internal Server Error while processing OTP request."}'
only_on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
only_on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def check_unavailable(response: httpx.Response) -> int:
    """Check the 503 answer and return its seconds to retry."""
    assert (response.status_code, response.text) == (503, UNAVAILABLE)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    seconds = int(response.headers["retry-after"])
    assert seconds > 0
    return seconds


def check_unexpected(response: httpx.Response) -> None:
    assert (response.status_code, response.text) == (500, UNEXPECTED)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Hold the lock that every writer needs, on another connection."""
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE"))
        yield


def test_requests_are_refused_while_the_database_is_locked(
    database: Database, impatient: Database, serve_web: ServeWeb
) -> None:
    server = serve_web(impatient)
    assert server.send().status_code == 202
    with locked(database):
        check_unavailable(server.send())
        check_unavailable(server.send())
    assert server.send().status_code == 202


def test_refused_request_leaves_no_rows(
    database: Database, impatient: Database, serve_web: ServeWeb
) -> None:
    server = serve_web(impatient)
    with locked(database):
        check_unavailable(server.send())
    assert server.send().status_code == 202
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.messages)) == 1


def test_short_lock_only_delays_a_request(database: Database, serve_web: ServeWeb) -> None:
    server = serve_web()
    statuses: list[int] = []
    with locked(database):
        thread = threading.Thread(target=lambda: statuses.append(server.send().status_code))
        thread.start()
        assert server.client.get("/healthz").status_code == 200
        assert statuses == []
    thread.join()
    assert statuses == [202]


@only_on_sqlite
def test_requests_are_refused_while_the_disk_is_full(
    serve_web: ServeWeb, database: Database
) -> None:
    used = Database(database.url.render_as_string(hide_password=False))
    limits = ["PRAGMA max_page_count = 1"]  # SQLite uses the current size if that is larger

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(limits[0])

    event.listen(used.engine, "checkout", limit)
    server = serve_web(used)
    # A single refusal may have another reason on a busy machine.
    wait_until(
        lambda: all(server.send().status_code != 202 for _ in range(3)), 60, "the file to be full"
    )
    check_unavailable(server.send())
    assert server.client.get("/healthz").status_code == 200
    limits[0] = "PRAGMA max_page_count = 100000"
    assert server.send().status_code == 202


@only_on_postgresql
def test_requests_are_refused_while_postgresql_is_unreachable(
    serve_web: ServeWeb, database: Database, migrated_database: MigratedDatabase
) -> None:
    server = serve_web()
    job = server.send().json()["jobId"]
    name = database.url.database
    with migrated_database("postgresql") as elsewhere:
        other = Database(elsewhere)
        admin = other.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        admin.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        check_unavailable(server.send())
        check_unavailable(server.client.get(f"/api/v1/otp/{job}"))
        assert server.client.get("/readyz").status_code == 503
        assert server.client.get("/healthz").status_code == 200
        admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        admin.close()
        other.close()
    assert server.send().status_code == 202
    assert server.client.get(f"/api/v1/otp/{job}").status_code == 200


def fill(server: WebServer) -> int:
    """Request codes until the queue is full; return the number accepted."""
    for accepted in range(100):
        response = server.send()
        if response.status_code != 202:
            check_unavailable(response)
            return accepted
    raise AssertionError("the queue is never full")


def paced(serve_web: ServeWeb) -> WebServer:
    """Simulate a linked device with room for 10 s of messages."""
    return serve_web(
        channel="linked",
        otp_ttl_seconds=10,
        worker_min_send_delay_ms=900,
        worker_max_send_delay_ms=1100,
    )


def put_senders(database: Database, count: int) -> None:
    for number in range(count):
        put_sender(database, f"sender-{number}", channel="linked")


def test_code_that_cannot_arrive_in_time_is_refused_with_retry_after(
    serve_web: ServeWeb,
) -> None:
    server = paced(serve_web)
    # The eleventh waits exactly for its validity, not longer.
    assert fill(server) == 11
    assert check_unavailable(server.send()) == 1


def test_unpaired_installation_accepts_codes(serve_web: ServeWeb) -> None:
    assert serve_web(channel="linked").send().status_code == 202


def test_several_senders_increase_the_capacity(serve_web: ServeWeb, database: Database) -> None:
    put_senders(database, 3)
    assert fill(paced(serve_web)) == 31


def test_sender_without_a_lease_adds_no_capacity(serve_web: ServeWeb, database: Database) -> None:
    put_senders(database, 3)
    with database.write() as connection:
        gone = tables.senders.c.name != "sender-0"
        connection.execute(update(tables.senders).where(gone).values(lease_expires_at=now_ms()))
    assert fill(paced(serve_web)) == 11


def test_freed_place_is_given_to_the_next_request(serve_web: ServeWeb, database: Database) -> None:
    server = paced(serve_web)
    fill(server)
    with database.write() as connection:
        connection.execute(
            update(tables.messages).where(tables.messages.c.id == 1).values(status="sent")
        )
    assert server.send().status_code == 202
    check_unavailable(server.send())


def test_the_sandbox_has_no_pace_and_is_never_full(serve_web: ServeWeb) -> None:
    server = serve_web(otp_ttl_seconds=5, worker_min_send_delay_ms=60_000)
    assert [server.send().status_code for _ in range(20)] == [202] * 20


def test_defect_is_500_with_details_only_in_the_log(
    serve_web: ServeWeb, database: Database
) -> None:
    server = serve_web()
    with database.write() as connection:
        connection.execute(text("DROP TABLE messages"))
    send = partial(server.send, "+201001234567")
    for ask in (send, partial(server.client.get, "/api/v1/otp/1")):
        with capture_logs() as lines:
            check_unexpected(ask())
        (line,) = [line for line in lines if line["log_level"] == "error"]
        assert "messages" in str(line["exc_info"])
    assert server.client.get("/healthz").status_code == 200


def test_defect_does_not_affect_later_requests(serve_web: ServeWeb, database: Database) -> None:
    server = serve_web()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE verifications RENAME TO elsewhere"))
    with capture_logs():
        check_unexpected(server.send())
    with database.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO verifications"))
    assert server.send().status_code == 202


def test_id_of_a_failed_request_is_in_the_answer_and_the_log(
    database: Database, impatient: Database, serve_web: ServeWeb
) -> None:
    server = serve_web(impatient)
    ask = partial(server.client.post, SEND, json={"phoneNumber": "+201001234567"})
    with capture_logs() as lines, locked(database):
        refused = ask(headers={"X-Request-ID": "order-1"})
    assert (refused.status_code, refused.headers["x-request-id"]) == (503, "order-1")
    with database.write() as connection:
        connection.execute(text("DROP TABLE messages"))
    with capture_logs() as more_lines:
        failed = ask(headers={"X-Request-ID": "order-2"})
    assert (failed.status_code, failed.headers["x-request-id"]) == (500, "order-2")
    ids = {line.get("request_id") for line in [*lines, *more_lines]}
    assert {"order-1", "order-2"} <= ids
