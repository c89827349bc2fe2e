"""The delivery log: read page by page, and replayed."""

from typing import Any

from sqlalchemy import update

from hudhud.db.engine import Database
from hudhud.db.tables import webhook_deliveries
from hudhud.webhooks import delivery_log
from support.deliveries import URL, arrived, claim, failed, jobs, record, states, tell
from support.queued import NOW
from support.receivers import add_endpoint, stored_deliveries


def test_a_failed_delivery_is_replayed_with_fresh_attempts(
    database: Database, endpoint: int
) -> None:
    tell(database, *jobs(database, 1))
    (claimed,) = claim(database, endpoint)
    assert not replay(database, claimed.id), "it is on its way"
    record(database, failed(claimed, None))
    assert states(database) == [("failed", 1)]
    assert replay(database, claimed.id)
    assert states(database) == [("pending", 0)]
    (again,) = claim(database, endpoint)
    assert (again.event_id, again.body) == (claimed.event_id, claimed.body)
    assert not replay(database, 999)


def replay(database: Database, delivery: int) -> bool:
    with database.write() as connection:
        return delivery_log.replay(connection, delivery, now=NOW)


def test_deliveries_failed_since_a_time_are_replayed_in_batches(
    database: Database, endpoint: int
) -> None:
    other = add_endpoint(database, URL).id
    for number, job in enumerate(jobs(database, 5)):
        tell(database, job, now=NOW + number)
    with database.write() as connection:
        connection.execute(update(webhook_deliveries).values(status="failed", attempts=10))
        asked = {"endpoint_id": endpoint, "since": NOW + 2, "limit": 2, "now": NOW}
        counts = [delivery_log.replay_failed(connection, **asked) for _ in range(2)]
    assert counts == [2, 1]
    rows = stored_deliveries(database)
    again = [row for row in rows if row.status == "pending"]
    assert [row.created_at for row in again] == [NOW + 2, NOW + 3, NOW + 4]
    assert {row.endpoint_id for row in again} == {endpoint} != {other}


def test_the_log_is_read_page_by_page(database: Database, endpoint: int) -> None:
    add_endpoint(database, URL)
    for job in jobs(database, 7):
        tell(database, job)
    with database.write() as connection:
        even = webhook_deliveries.c.id % 4 == 1
        connection.execute(update(webhook_deliveries).where(even).values(status="failed"))
    seen = read_log(database, endpoint_id=endpoint)
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 7
    assert read_log(database) == list(range(14, 0, -1))
    assert read_log(database, endpoint_id=endpoint, status="failed") == [13, 9, 5, 1]
    with database.read() as connection:
        assert delivery_log.count(connection, endpoint_id=endpoint, status="failed") == 4
        assert delivery_log.count(connection, endpoint_id=endpoint, status="delivered") == 0


def read_log(database: Database, **chosen: Any) -> list[int]:
    found: list[int] = []
    while True:
        before = found[-1] if found else None
        with database.read() as connection:
            rows = delivery_log.page(connection, before=before, limit=3, **chosen)
        if not rows:
            return found
        found += [row.id for row in rows]


def test_delivery_names_the_one_ahead_of_it(database: Database, endpoint: int) -> None:
    one, other = jobs(database, 2)
    for job in (one, one, other, one):
        tell(database, job)
    with database.read() as connection:
        shown = {row.id: row.behind for row in delivery_log.page(connection, limit=9)}
        assert delivery_log.behind(connection, 4) == 1
    assert shown == {1: None, 2: 1, 3: None, 4: 1}
    (first, _) = claim(database, endpoint)
    record(database, arrived(first))
    with database.read() as connection:
        assert delivery_log.behind(connection, 4) == 2
        assert delivery_log.behind(connection, 1) is None
