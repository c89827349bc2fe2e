"""Transactions that change the same verification wait for each other, but never in a circle.

On PostgreSQL alone: SQLite has one lock, which is taken at the start. Each test holds a lock that
both transactions come to, so that both have begun when it lets them go on.
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
from hudhud.worker.worker import record_outcomes
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
    """Threads with connections of their own."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@contextmanager
def held(database: Database, lock: Callable[[Connection], object]) -> Iterator[None]:
    """Hold a lock until the block ends."""
    with database.write() as connection:
        lock(connection)
        yield


def wait_for_blocked(database: Database, count: int) -> None:
    """Wait until as many transactions wait for locks."""

    def blocked() -> bool:
        with database.read() as connection:
            return bool(connection.scalar(text(BLOCKED)) == count)

    wait_until(blocked, SECONDS, f"{count} blocked transactions")


def test_a_new_send_and_a_resend_of_the_same_number_do_not_block_each_other(
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
    # Whoever comes second finds what the first one did.
    with pytest.raises(Conflict, match="ended"):
        resent.result()


def test_a_verification_whose_last_message_fails_goes_on_if_another_is_retried_meanwhile(
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
