"""The housekeeping of a running service: leases, expiry, codes, old messages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from conftest import settings
from hudhud import app
from hudhud.app import kept_days_of
from hudhud.auth import audit_log, login_attempts, sessions
from hudhud.auth.login_origins import origin_of_address
from hudhud.channels.base import Inbound
from hudhud.core.clock import DAY_MS, now_ms
from hudhud.db import phone_index, tables
from hudhud.db.engine import Database
from hudhud.db.rewriting import Rewriting
from hudhud.maintenance.alerts.send import Alerts
from hudhud.maintenance.housekeeping import Housekeeping
from hudhud.maintenance.retention import Retention
from hudhud.messages import contacts, queue
from hudhud.messages.contacts import INBOUND_KEPT_MS
from support.queued import PHONE, VALIDITY_MS, change, stored, submit
from support.services import wait_until
from support.stored_jobs import StoredJob, put_jobs

pytestmark = pytest.mark.slow

SECONDS = 15.0


@pytest.fixture
def kept_in_order(database: Database) -> Iterator[None]:
    """A running housekeeping."""
    with keeping_order(app.build_housekeeping(settings(), database)):
        yield


@contextmanager
def keeping_order(housekeeping: Housekeeping) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=housekeeping.run, args=(stopping,))
    with capture_logs():
        thread.start()
        yield
        stopping.set()
        thread.join()


@pytest.mark.usefixtures("kept_in_order")
def test_message_with_an_expired_lease_is_reclaimed(database: Database) -> None:
    (message,) = submit(database, now=now_ms())
    with database.write() as connection:
        long_ago = now_ms() - queue.LEASE_MS
        queue.claim(connection, channel="sandbox", sender="gone", limit=1, now=long_ago)
    change(database, message, status="sending", sender="gone", lease_expires_at=now_ms() - 1)
    wait_until(lambda: stored(database, message).status == "queued", SECONDS, "the reclaim")


@pytest.mark.usefixtures("kept_in_order")
def test_a_message_whose_code_expired_is_finished(database: Database) -> None:
    (message,) = submit(database, now=now_ms() - VALIDITY_MS)
    wait_until(lambda: stored(database, message).status == "expired", SECONDS, "the expiry")


@pytest.mark.usefixtures("kept_in_order")
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_phones_of_new_messages_are_indexed(database: Database) -> None:
    submit(database, phone_index.INDEXED_AT_ONCE + 1, now=now_ms())

    def is_indexed() -> bool:
        with database.read() as connection:
            return not phone_index.has_new(connection)

    wait_until(is_indexed, SECONDS, "the index")


def test_codes_are_erased_when_they_expire(database: Database) -> None:
    submit(database, 45, now=now_ms() - VALIDITY_MS)
    submit(database, 5, now=now_ms())
    housekeeping = Housekeeping(
        database=database,
        guard="off",
        alerts=Alerts(database, [], most_reconnects=5),
        retention=Retention(database, kept_days_of(settings())),
        rewriting=Rewriting(database),
        most_erased=10,
    )

    def left() -> int:
        with database.read() as connection:
            sealed = select(func.count()).where(tables.verifications.c.code_sealed.is_not(None))
            return connection.scalar(sealed) or 0

    with keeping_order(housekeeping):
        wait_until(lambda: left() == 5, SECONDS, "the codes to be erased")


def test_old_jobs_are_deleted_and_waiting_ones_kept(
    database: Database, request: pytest.FixtureRequest
) -> None:
    old = now_ms() - settings().retention_messages_days * DAY_MS - 1
    put_jobs(database, *[StoredJob(status="read", created_at=old)] * 60)
    (young,) = submit(database, now=now_ms())
    request.getfixturevalue("kept_in_order")

    def kept() -> list[int]:
        with database.read() as connection:
            return list(connection.scalars(select(tables.messages.c.id)))

    wait_until(lambda: kept() == [young], SECONDS, "the deletion")
    assert stored(database, young).status == "queued"


@pytest.mark.usefixtures("kept_in_order")
def test_old_inbound_messages_are_deleted(database: Database) -> None:
    with database.write() as connection:
        old = Inbound("m-1", PHONE, "old", now_ms() - INBOUND_KEPT_MS - 1)
        contacts.keep_inbound(connection, sender="main", message=old)

    def kept() -> int:
        with database.read() as connection:
            return connection.scalar(select(func.count()).select_from(tables.inbound_messages)) or 0

    wait_until(lambda: kept() == 0, SECONDS, "the deletion")


@pytest.mark.usefixtures("kept_in_order")
def test_expired_sessions_logins_and_audit_entries_are_deleted(database: Database) -> None:
    with database.write() as connection:
        sessions.begin(
            connection,
            username="admin",
            password_mark=b"",
            is_complete=True,
            address="192.0.2.1",
            now=now_ms() - sessions.ABSOLUTE_MS,
        )
        login_attempts.reserve(
            connection,
            origin=origin_of_address("192.0.2.1"),
            username="admin",
            now=now_ms() - login_attempts.WINDOW_MS,
        )
        old = now_ms() - settings().retention_audit_days * DAY_MS - 1
        audit_log.note(connection, who="admin", address=None, what="login", now=old)

    def kept() -> int:
        counts = [
            select(func.count()).select_from(one)
            for one in (tables.sessions, tables.login_attempts, tables.audit)
        ]
        with database.read() as connection:
            return sum(connection.scalar(count) or 0 for count in counts)

    wait_until(lambda: kept() == 0, SECONDS, "the deletion")
