"""What a supervisor keeps in order while it runs: leases, expiry, codes, old messages."""

import sys
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from conftest import settings
from hudhud import audit, inbound, login_limit, queue, senders, sessions, verifications
from hudhud.alerts import Alerts
from hudhud.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import audit as notes
from hudhud.db.tables import inbound_messages
from hudhud.db.tables import login_attempts as attempts
from hudhud.db.tables import senders as senders_table
from hudhud.db.tables import sessions as sessions_table
from hudhud.db.tables import verifications as table
from hudhud.inbound import KEPT_MS, Inbound
from hudhud.supervisor import Supervisor
from support.queued import PHONE, VALIDITY_MS, change, stored, submit
from support.services import wait_until

SECONDS = 15.0
# A sender's process that does nothing until its supervisor ends.
IDLE_PROCESS = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.fixture
def supervised(database: Database) -> Iterator[None]:
    """A supervisor at work."""
    supervisor = Supervisor(
        sender="main",
        channel="sandbox",
        machine="m",
        database=database,
        command=IDLE_PROCESS,
        alerts=Alerts(database, settings()),
    )
    stopping = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stopping,))
    with capture_logs():
        thread.start()
        yield
        stopping.set()
        thread.join()


@pytest.mark.usefixtures("supervised")
def test_a_claim_whose_lease_ran_out_goes_back(database: Database) -> None:
    (message,) = submit(database, now=now_ms())
    with database.write() as connection:
        long_ago = now_ms() - queue.LEASE_MS
        queue.claim(connection, channel="sandbox", sender="gone", limit=1, now=long_ago)
    change(database, message, status="sending", sender="gone", lease_expires_at=now_ms() - 1)
    wait_until(lambda: stored(database, message).status == "queued", SECONDS, "the reclaim")


@pytest.mark.usefixtures("supervised")
def test_a_message_whose_code_expired_is_finished(database: Database) -> None:
    (message,) = submit(database, now=now_ms() - VALIDITY_MS)
    wait_until(lambda: stored(database, message).status == "expired", SECONDS, "the expiry")


def test_codes_are_erased_as_fast_as_they_expire(
    database: Database, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(verifications, "EXPIRED_AT_ONCE", 10)
    submit(database, 45, now=now_ms() - VALIDITY_MS)
    submit(database, 5, now=now_ms())
    request.getfixturevalue("supervised")

    def left() -> int:
        with database.read() as connection:
            sealed = select(func.count()).where(table.c.code_sealed.is_not(None))
            return connection.scalar(sealed) or 0

    wait_until(lambda: left() == 5, SECONDS, "the codes to be erased")


@pytest.mark.usefixtures("supervised")
def test_old_messages_from_people_are_deleted(database: Database) -> None:
    with database.write() as connection:
        old = Inbound("m-1", PHONE, "old", now_ms() - KEPT_MS - 1)
        inbound.keep(connection, sender="main", message=old)

    def kept() -> int:
        with database.read() as connection:
            return connection.scalar(select(func.count()).select_from(inbound_messages)) or 0

    wait_until(lambda: kept() == 0, SECONDS, "the deletion")


@pytest.mark.usefixtures("supervised")
def test_what_is_over_of_sessions_logins_and_audit_is_deleted(database: Database) -> None:
    with database.write() as connection:
        sessions.begin(
            connection,
            username="admin",
            password_mark=b"",
            is_complete=True,
            address="192.0.2.1",
            now=now_ms() - sessions.ABSOLUTE_MS,
        )
        login_limit.reserve(
            database,
            connection,
            address="192.0.2.1",
            username="admin",
            now=now_ms() - login_limit.WINDOW_MS,
        )
        old = now_ms() - audit.KEPT_MS - 1
        audit.note(connection, who="admin", address=None, what="login", now=old)

    def kept() -> int:
        counts = [
            select(func.count()).select_from(one) for one in (sessions_table, attempts, notes)
        ]
        with database.read() as connection:
            return sum(connection.scalar(count) or 0 for count in counts)

    wait_until(lambda: kept() == 0, SECONDS, "the deletion")


@pytest.mark.usefixtures("supervised")
def test_the_lease_is_held_and_renewed(database: Database) -> None:
    def lease() -> int:
        with database.read() as connection:
            row = senders.find(connection, "main")
        return (row and row.lease_expires_at) or 0

    wait_until(lambda: lease() > now_ms(), SECONDS, "the lease")
    with database.write() as connection:
        nearly = now_ms() + 1000
        connection.execute(update(senders_table).values(lease_expires_at=nearly))
    wait_until(lambda: lease() > nearly, SECONDS, "its renewal")
