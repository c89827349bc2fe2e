"""Deliveries: claimed once, in order, retried by schedule, replayed, listed."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select, update

from hudhud.core.clock import HOUR_MS, MINUTE_MS
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_deliveries, webhook_endpoints
from hudhud.webhooks import deliveries, delivery_log, endpoints, events
from hudhud.webhooks.deliveries import LEASE_MS
from hudhud.webhooks.delivery_states import NextDue, Released
from support.deliveries import (
    URL,
    arrived,
    claim,
    due_at,
    failed,
    jobs,
    numbers,
    record,
    states,
    tell,
)
from support.queued import NOW, verification_of
from support.receivers import CIPHER, add_endpoint, stored_deliveries


def test_due_delivery_is_claimed_once_with_all_needed_data(
    database: Database, endpoint: int
) -> None:
    (job,) = jobs(database, 1)
    tell(database, job)
    (claimed,) = claim(database, endpoint)
    assert claim(database, endpoint) == []
    (row,) = stored_deliveries(database)
    assert (claimed.url, claimed.attempts, claimed.event_id) == (URL, 0, row.event)
    assert claimed.lease == NOW + LEASE_MS
    assert len(claimed.secrets_sealed) == 1
    assert claimed.body.startswith(
        '{"type":"message.sent","timestamp":"2026-11-24T01:31:18.036Z",'
        f'"sequence":{row.event_id},"data":{{"jobId":{job},'
    )


def test_claim_respects_its_limit(database: Database, endpoint: int) -> None:
    for job in jobs(database, 5):
        tell(database, job)
    assert len(claim(database, endpoint, 3)) == 3
    assert len(claim(database, endpoint, 3)) == 2


def test_unrecorded_delivery_is_claimed_again_with_the_same_id(
    database: Database, endpoint: int
) -> None:
    tell(database, *jobs(database, 1))
    (first,) = claim(database, endpoint)
    assert claim(database, endpoint, now=NOW + LEASE_MS - 1) == []
    (second,) = claim(database, endpoint, now=NOW + LEASE_MS)
    assert (second.event_id, second.body) == (first.event_id, first.body)
    record(database, arrived(first))
    assert states(database) == [("pending", 0)]
    record(database, arrived(second))
    assert states(database) == [("delivered", 1)]


def test_events_of_one_verification_are_delivered_in_sequence(
    database: Database, endpoint: int
) -> None:
    one, other = jobs(database, 2)
    for job in (one, one, one, other):
        tell(database, job)
    first = claim(database, endpoint)
    assert numbers(first) == [1, 4]
    record(database, arrived(first[0]))
    second = claim(database, endpoint)
    assert numbers(second) == [2]
    record(database, failed(second[0], NOW + MINUTE_MS), arrived(first[1]))
    assert claim(database, endpoint, now=NOW + MINUTE_MS - 1) == []
    again = claim(database, endpoint, now=NOW + MINUTE_MS)
    assert numbers(again) == [2]
    record(database, failed(again[0], None))
    assert numbers(claim(database, endpoint)) == [3]
    assert states(database) == [("delivered", 1), ("failed", 2), ("pending", 0), ("delivered", 1)]


def test_blocked_deliveries_are_not_scanned_repeatedly(database: Database, endpoint: int) -> None:
    one, other = jobs(database, 2)
    for _ in range(3 * deliveries.LOOKED_AT):
        tell(database, one)
    tell(database, other)
    first, last = claim(database, endpoint)
    assert (first.id, last.subject) == (1, verification_of(database, other).id)
    record(database, failed(first, NOW + HOUR_MS), arrived(last))
    claim(database, endpoint, now=NOW + LEASE_MS)
    assert due_at(database) == [NextDue(endpoint, NOW + HOUR_MS, is_failing=False)]


def test_endpoints_do_not_wait_for_each_other(database: Database, endpoint: int) -> None:
    other = add_endpoint(database, URL).id
    (job,) = jobs(database, 1)
    tell(database, job)
    tell(database, job)
    with database.write() as connection:
        both = deliveries.claim(connection, spare={endpoint: 4, other: 4}, now=NOW)
    assert [(one.endpoint_id, one.event_id) for one in both] == [
        (endpoint, both[0].event_id),
        (other, both[0].event_id),
    ]


def test_several_machines_claim_each_delivery_once(database: Database, endpoint: int) -> None:
    for job in jobs(database, 40):
        tell(database, job)

    def take(_: int) -> list[int]:
        taken = []
        while claimed := claim(database, endpoint, 3):
            taken += numbers(claimed)
        return taken

    with ThreadPoolExecutor(4) as machines:
        taken = [one for found in machines.map(take, range(4)) for one in found]
    taken += numbers(claim(database, endpoint, 40))
    assert sorted(taken) == list(range(1, 41))


def test_released_delivery_can_be_claimed_at_once(database: Database, endpoint: int) -> None:
    tell(database, *jobs(database, 1))
    (claimed,) = claim(database, endpoint)
    record(database, Released(claimed, NOW))
    assert stored_deliveries(database)[0].lease_expires_at is None
    assert numbers(claim(database, endpoint)) == [claimed.id]
    assert states(database) == [("pending", 0)]


def test_former_secret_signs_until_its_overlap_ends(database: Database, endpoint: int) -> None:
    tell(database, *jobs(database, 1))
    with database.write() as connection:
        endpoints.rotate(connection, CIPHER, endpoint, now=NOW, overlap_ms=2 * LEASE_MS)
    assert [len(one.secrets_sealed) for one in claim(database, endpoint)] == [2]
    later = claim(database, endpoint, now=NOW + 2 * LEASE_MS)
    assert [len(one.secrets_sealed) for one in later] == [1]


def test_pending_delivery_of_a_working_endpoint_is_not_purged(
    database: Database, endpoint: int
) -> None:
    add_endpoint(database, URL)
    tell(database, *jobs(database, 1))
    with database.write() as connection:
        assert events.find_old(connection, NOW + 1) == []
        endpoints.disable(connection, endpoint, reason=other("r"), now=NOW)
        assert events.find_old(connection, NOW + 1) == []
        connection.execute(update(webhook_endpoints).values(disabled_at=NOW))
        found = events.find_old(connection, NOW + 1)
        connection.execute(update(webhook_endpoints).values(disabled_at=None))
        assert events.delete_old(connection, found) == 0, "it waits again"
        connection.execute(update(webhook_endpoints).values(disabled_at=NOW))
        assert events.delete_old(connection, found) == 1
    assert stored_deliveries(database) == []


def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled(
    database: Database, endpoint: int
) -> None:
    (job,) = jobs(database, 1)
    tell(database, job)
    with database.write() as connection:
        assert endpoints.disable(connection, endpoint, reason=other("It said so."), now=NOW)
        assert not endpoints.disable(connection, endpoint, reason=other("Again."), now=NOW + 1)
    tell(database, job)
    assert due_at(database) == []
    with database.write() as connection:
        found = endpoints.find(connection, endpoint)
        assert found is not None
        assert (found.disabled_at, found.disabled_reason) == (NOW, "It said so.")
        assert endpoints.enable(connection, endpoint, now=NOW) == URL
        assert endpoints.enable(connection, endpoint, now=NOW) is None
    assert due_at(database) == [NextDue(endpoint, NOW, is_failing=False)]


def test_a_removed_endpoint_gets_nothing_more(database: Database, endpoint: int) -> None:
    (job,) = jobs(database, 1)
    tell(database, job)
    with database.write() as connection:
        assert endpoints.remove(connection, endpoint) == URL
        assert endpoints.remove(connection, endpoint) is None
    assert due_at(database) == []
    assert claim(database, endpoint) == []


def test_delivery_older_than_all_attempts_is_dropped(database: Database, endpoint: int) -> None:
    one, other = jobs(database, 2)
    tell(database, one)
    tell(database, other)
    tell(database, one, now=NOW + 1)
    (first, second) = claim(database, endpoint)
    record(database, failed(first, NOW + HOUR_MS))
    later = NOW + LEASE_MS
    assert overdue(database, NOW) == []
    found = overdue(database, NOW + 1)
    assert found == [1, 2]
    with database.write() as connection:
        assert deliveries.give_up(connection, found, now=NOW) == 1, "one is on its way"
        assert deliveries.give_up(connection, [2], now=later) == 1
    rows = stored_deliveries(database)
    assert [row.status for row in rows] == ["failed", "failed", "pending"]
    assert [row.last_error for row in rows[:2]] == [
        "The receiver answered 500.",
        deliveries.TOO_OLD.english(),
    ]
    assert numbers(claim(database, endpoint)) == [3], "it waits behind nothing any more"
    assert second.id == 2


def test_attempted_delivery_is_dropped_after_its_lease(database: Database, endpoint: int) -> None:
    tell(database, *jobs(database, 1))
    claim(database, endpoint)
    with database.write() as connection:
        assert deliveries.give_up(connection, [1], now=NOW + LEASE_MS - 1) == 0
        assert deliveries.give_up(connection, [1], now=NOW + LEASE_MS + 1) == 1


def test_delivery_waiting_for_a_retry_can_be_made_due(database: Database, endpoint: int) -> None:
    for job in jobs(database, 3):
        tell(database, job)
    waits, attempted, delivered = claim(database, endpoint)
    later = NOW + 5
    record(database, failed(waits, NOW + HOUR_MS), failed(attempted, later), arrived(delivered))
    claim(database, endpoint, now=later)
    with database.write() as connection:
        assert deliveries.find_retries(connection, endpoint, now=later) == [waits.id]
        assert deliveries.retry_now(connection, [1, 2, 3], now=later) == 1
    assert numbers(claim(database, endpoint, now=later)) == [waits.id]


def test_retry_time_is_kept_when_a_replayed_delivery_arrives(
    database: Database, endpoint: int
) -> None:
    (job,) = jobs(database, 1)
    tell(database, job)
    tell(database, job)
    (first,) = claim(database, endpoint)
    record(database, failed(first, None))
    (second,) = claim(database, endpoint)
    record(database, failed(second, NOW + HOUR_MS))
    with database.write() as connection:
        assert delivery_log.replay(connection, first.id, now=NOW)
    (again,) = claim(database, endpoint)
    record(database, arrived(again))
    assert due_at(database) == [NextDue(endpoint, NOW + HOUR_MS, is_failing=False)]


def test_replay_and_enabling_restart_the_time_limit(database: Database, endpoint: int) -> None:
    for job in jobs(database, 2):
        tell(database, job)
    (first, _) = claim(database, endpoint)
    record(database, failed(first, None))
    with database.write() as connection:
        assert delivery_log.replay(connection, first.id, now=NOW + 5)
    assert overdue(database, NOW + 5) == [2]
    with database.write() as connection:
        endpoints.disable(connection, endpoint, reason=other("r"), now=NOW)
    assert overdue(database, NOW + 9) == []
    with database.write() as connection:
        endpoints.enable(connection, endpoint, now=NOW + 9)
    assert overdue(database, NOW + 9) == []
    assert overdue(database, NOW + 10) == [1, 2]


def overdue(database: Database, before: int) -> list[int]:
    with database.read() as connection:
        return list(deliveries.find_overdue(connection, before))


def test_cost_of_a_claim_is_bounded(database: Database, endpoint: int) -> None:
    most = deliveries.LOOKED_AT * deliveries.MOST_LOOKS
    (job,) = jobs(database, 1)
    for _ in range(most + 10):
        tell(database, job)
    (first,) = claim(database, endpoint)
    assert first.id == 1
    with database.read() as connection:
        put_off = select(func.count()).where(webhook_deliveries.c.next_at > NOW)
        assert connection.scalar(put_off) == most
