"""Transactions on the same verification wait for each other without deadlocks.

Only on PostgreSQL: SQLite has one lock, taken at the start. Each test holds a lock that both
transactions need, so that both have begun when it releases them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from hudhud.core.errors import Conflict
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.locks import lock_numbers
from hudhud.messages.outcomes import Failed
from hudhud.verification import job_actions
from hudhud.verification.new_verification import Accepted
from hudhud.verification.resend import Resent
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, PHONE, caller, change
from support.services import wait_until
from support.verifying import accepted, request, resends, start, verification

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

SHOP = caller("shop", "send", "verify", limits="per_number=100/1h")
SECONDS = 10.0
BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads with their own connections."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@contextmanager
def held(database: Database, lock: Callable[[Connection], object]) -> Iterator[None]:
    """Hold a lock until the block ends."""
    with database.write() as connection:
        lock(connection)
        yield


def wait_for_blocked(database: Database, count: int) -> None:
    """Wait until this many transactions wait for locks."""

    def blocked() -> bool:
        with database.read() as connection:
            return bool(connection.scalar(text(BLOCKED)) == count)

    wait_until(blocked, SECONDS, f"{count} blocked transactions")


def test_new_send_and_resend_of_the_same_number_do_not_deadlock(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    one = accepted(database, SHOP)
    change(database, one.message_id, status="sent")
    later = NOW + 30_000

    def resend() -> Resent:
        with database.write() as connection:
            return resends(database).queue(
                connection, one.verification_id, caller=SHOP, request_id="r", now=later
            )

    with held(database, lambda connection: lock_numbers(connection, [PHONE])):
        started = threads.submit(start, database, (SHOP, request()), now=later)
        wait_for_blocked(database, 1)
        resent: Future[Resent] = threads.submit(resend)
        wait_for_blocked(database, 2)
    assert isinstance(started.result()[0], Accepted)
    # The second transaction finds the result of the first.
    with pytest.raises(Conflict, match="ended"):
        resent.result()


def test_verification_stays_pending_if_a_job_is_retried_while_the_last_one_fails(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    one = accepted(database, SHOP)
    change(database, one.message_id, status="sent")
    with database.write() as connection:
        again = resends(database).queue(
            connection, one.verification_id, caller=SHOP, request_id="r", now=NOW + 30_000
        )
    change(database, one.message_id, status="sending", sender="main")
    change(database, again.message_id, status="failed", error="Broken.", finished_at=NOW)

    def fail() -> None:
        with database.write() as connection:
            outcome = Failed(one.message_id, other("No account."), NOW)
            record_outcomes(connection, sender="main", outcomes=[outcome], now=NOW)

    def retry(connection: Connection) -> None:
        answer = job_actions.retry(connection, again.message_id, who="admin", now=NOW)
        assert answer == "done"

    with held(database, retry):
        failed = threads.submit(fail)
        wait_for_blocked(database, 1)
    failed.result()
    assert verification(database, one.verification_id).status == "pending"
