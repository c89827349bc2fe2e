"""The start of an endpoint's failures, and its recovery."""

from sqlalchemy import select

from hudhud.core.clock import HOUR_MS, MINUTE_MS
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks import deliveries, endpoint_health
from support.deliveries import arrived, claim, failed, jobs, numbers, record, tell
from support.queued import NOW


def test_start_of_failures_is_kept_until_a_delivery_succeeds(
    database: Database, endpoint: int
) -> None:
    for job in jobs(database, 3):
        tell(database, job)
    first, second, third = claim(database, endpoint)
    assert record(database, failed(first, NOW + 1), now=NOW + 1).failing == [endpoint]
    assert record(database, failed(second, NOW + 1), now=NOW + 2).failing == []
    assert failing_since(database) == NOW + 1
    assert record(database, arrived(third)).recovered == [endpoint]
    assert failing_since(database) is None


def failing_since(database: Database) -> int | None:
    with database.read() as connection:
        return connection.scalar(select(webhook_endpoints.c.failing_since))


def test_repaired_endpoint_gets_pending_retries_at_once(database: Database, endpoint: int) -> None:
    one, other, last = jobs(database, 3)
    for job in (one, one, other, last):
        tell(database, job)
    first, second, third = claim(database, endpoint)
    record(database, failed(first, NOW + HOUR_MS), failed(second, NOW + 2 * HOUR_MS))
    changes = record(database, arrived(third), now=NOW + endpoint_health.REPAIRED_AFTER_MS)
    assert changes.recovered == changes.repaired == [endpoint]
    with database.write() as connection:
        found = deliveries.find_retries(connection, endpoint, now=NOW)
        assert found == [1, 3], "not what only waits behind another"
        assert deliveries.retry_now(connection, found, now=NOW) == 2
        assert deliveries.find_retries(connection, endpoint, now=NOW) == []
    assert numbers(claim(database, endpoint)) == [1, 3]


def test_short_failure_hastens_no_retries(database: Database, endpoint: int) -> None:
    for job in jobs(database, 2):
        tell(database, job)
    first, second = claim(database, endpoint)
    record(database, failed(first, NOW + MINUTE_MS))
    changes = record(database, arrived(second), now=NOW + endpoint_health.REPAIRED_AFTER_MS - 1)
    assert (changes.recovered, changes.repaired) == ([endpoint], [])
