"""Deliveries: claimed once, in order, retried by the schedule, replayed, listed."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from hudhud.core.crypto import Cipher, SealingError
from hudhud.core.errors import BadRequest, Conflict
from hudhud.core.sentences import other, say
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_deliveries, webhook_endpoints
from hudhud.webhooks import deliveries, delivery_log, endpoint_health, endpoints, events
from hudhud.webhooks.deliveries import LEASE_MS
from hudhud.webhooks.delivery_states import (
    Claimed,
    Delivered,
    NextDue,
    NotDelivered,
    Outcome,
    Released,
)
from hudhud.webhooks.endpoint_health import EndpointChanges
from support.queued import NOW, submit, verification_of
from support.receivers import CIPHER, add_endpoint, stored_deliveries

URL = "https://shop.example/hudhud"
MINUTE = 60_000


@pytest.fixture
def endpoint(database: Database) -> int:
    """An endpoint that wants everything."""
    return add_endpoint(database, URL).id


def tell(database: Database, subject: int, *, now: int = NOW) -> None:
    """An event of the message `subject`."""
    with database.write() as connection:
        events.messages_changed(connection, "message.sent", [subject], now=now)


def jobs(database: Database, count: int) -> list[int]:
    """Messages whose own beginning is no event, each of another verification."""
    with database.write() as connection:
        connection.execute(update(webhook_endpoints).values(disabled_at=NOW))
    numbers = submit(database, count)
    with database.write() as connection:
        connection.execute(update(webhook_endpoints).values(disabled_at=None))
    return numbers


def claim(database: Database, endpoint: int, most: int = 9, *, now: int = NOW) -> list[Claimed]:
    with database.write() as connection:
        return deliveries.claim(connection, spare={endpoint: most}, now=now)


def record(database: Database, *outcomes: Outcome, now: int = NOW) -> EndpointChanges:
    with database.write() as connection:
        return deliveries.record(connection, outcomes, now=now)


def arrived(claimed: Claimed, now: int = NOW) -> Delivered:
    return Delivered(claimed, 204, now)


def failed(claimed: Claimed, retry_at: int | None) -> NotDelivered:
    return NotDelivered(claimed, 500, say("webhook.refused", status=500), retry_at, NOW)


def numbers(claimed: Sequence[Claimed]) -> list[int]:
    return [one.id for one in claimed]


def due_at(database: Database) -> list[NextDue]:
    with database.read() as connection:
        return deliveries.next_due(connection)


def states(database: Database) -> list[tuple[str, int]]:
    return [(row.status, row.attempts) for row in stored_deliveries(database)]


def test_what_is_due_is_claimed_once_with_all_that_is_needed(
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


def test_no_more_are_claimed_than_there_is_room_for(database: Database, endpoint: int) -> None:
    for job in jobs(database, 5):
        tell(database, job)
    assert len(claim(database, endpoint, 3)) == 3
    assert len(claim(database, endpoint, 3)) == 2


def test_one_that_nobody_recorded_is_claimed_again_with_the_same_id(
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


def test_events_of_one_verification_go_one_after_the_other(
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
    record(database, failed(second[0], NOW + MINUTE), arrived(first[1]))
    assert claim(database, endpoint, now=NOW + MINUTE - 1) == []
    again = claim(database, endpoint, now=NOW + MINUTE)
    assert numbers(again) == [2]
    record(database, failed(again[0], None))
    assert numbers(claim(database, endpoint)) == [3]
    assert states(database) == [("delivered", 1), ("failed", 2), ("pending", 0), ("delivered", 1)]


def test_what_waits_behind_another_is_not_looked_at_again_and_again(
    database: Database, endpoint: int
) -> None:
    one, other = jobs(database, 2)
    for _ in range(3 * deliveries.LOOKED_AT):
        tell(database, one)
    tell(database, other)
    first, last = claim(database, endpoint)
    assert (first.id, last.subject) == (1, verification_of(database, other).id)
    record(database, failed(first, NOW + 60 * MINUTE), arrived(last))
    claim(database, endpoint, now=NOW + LEASE_MS)
    assert due_at(database) == [NextDue(endpoint, NOW + 60 * MINUTE, is_failing=False)]


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


def test_what_was_given_back_may_be_taken_at_once(database: Database, endpoint: int) -> None:
    tell(database, *jobs(database, 1))
    (claimed,) = claim(database, endpoint)
    record(database, Released(claimed, NOW))
    assert numbers(claim(database, endpoint)) == [claimed.id]
    assert states(database) == [("pending", 0)]


def test_the_former_secret_signs_until_its_time_is_over(database: Database, endpoint: int) -> None:
    tell(database, *jobs(database, 1))
    with database.write() as connection:
        endpoints.rotate(connection, CIPHER, endpoint, now=NOW, overlap_ms=2 * LEASE_MS)
    assert [len(one.secrets_sealed) for one in claim(database, endpoint)] == [2]
    later = claim(database, endpoint, now=NOW + 2 * LEASE_MS)
    assert [len(one.secrets_sealed) for one in later] == [1]


def test_since_when_an_endpoint_fails_is_kept_until_one_arrives(
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


def test_what_failed_since_a_time_is_replayed_a_few_at_a_time(
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


def test_what_waits_for_a_working_endpoint_is_not_purged(database: Database, endpoint: int) -> None:
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


def test_secrets_are_stored_sealed_and_sealed_anew_after_a_change_of_secret(
    database: Database,
) -> None:
    added = add_endpoint(database, URL)
    with database.write() as connection:
        rotated = endpoints.rotate(connection, CIPHER, added.id, now=NOW)
    assert rotated is not None
    assert added.secret.startswith("whsec_")
    assert rotated.secret != added.secret
    following = Cipher(endpoints.PURPOSE, "another secret", "a secret of the tests")
    with database.write() as connection:
        assert endpoints.reseal(connection, CIPHER) == 0
        assert endpoints.reseal(connection, following) == 2
        assert endpoints.reseal(connection, following) == 0
        row = connection.execute(select(webhook_endpoints)).one()
    alone = Cipher(endpoints.PURPOSE, "another secret")
    assert alone.open(URL, row.secret_sealed) == rotated.secret
    assert alone.open(URL, row.previous_secret_sealed) == added.secret
    with pytest.raises(SealingError):
        alone.open("https://elsewhere.example/", row.secret_sealed)


def test_a_secret_that_no_secret_opens_keeps_no_other_from_being_sealed_anew(
    database: Database,
) -> None:
    lost, kept = add_endpoint(database, URL), add_endpoint(database, URL)
    following = Cipher(endpoints.PURPOSE, "another secret", "a secret of the tests")
    foreign = Cipher(endpoints.PURPOSE, "a third secret").seal(URL, "x")
    with database.write() as connection, capture_logs() as logs:
        of_lost = update(webhook_endpoints).where(webhook_endpoints.c.id == lost.id)
        connection.execute(of_lost.values(secret_sealed=foreign))
        assert endpoints.reseal(connection, following) == 1
        rows = connection.execute(select(webhook_endpoints).order_by(webhook_endpoints.c.id)).all()
    assert rows[0].secret_sealed == foreign
    assert Cipher(endpoints.PURPOSE, "another secret").open(URL, rows[1].secret_sealed)
    assert [line["endpoint"] for line in logs] == [lost.id] != [kept.id]


def test_a_rotation_is_refused_while_the_secret_before_signs(database: Database) -> None:
    added = add_endpoint(database, URL)

    def rotate(now: int, overlap_ms: int = 1000) -> str | None:
        with database.write() as connection:
            signed = endpoints.rotate(connection, CIPHER, added.id, now=now, overlap_ms=overlap_ms)
        return None if signed is None else signed.secret

    second = rotate(NOW)
    with pytest.raises(Conflict, match="signs too until 2026-11-24T01:31:19"):
        rotate(NOW + 999)
    assert signing(database) == [second, added.secret]
    third = rotate(NOW + 1000)
    assert signing(database) == [third, second]
    leaked = rotate(NOW + 1001, 0)
    assert signing(database) == [leaked], "after a leak every former one ends"


def test_a_secret_that_signs_no_more_is_erased(database: Database) -> None:
    added = add_endpoint(database, URL)
    with database.write() as connection:
        endpoints.rotate(connection, CIPHER, added.id, now=NOW, overlap_ms=1000)
        endpoints.erase_former_secrets(connection, now=NOW + 999)
    assert len(signing(database)) == 2
    with database.write() as connection:
        endpoints.erase_former_secrets(connection, now=NOW + 1000)
    assert len(signing(database)) == 1


def signing(database: Database) -> list[str]:
    """The secrets that the only endpoint has, the present one first."""
    with database.read() as connection:
        row = connection.execute(select(webhook_endpoints)).one()
    sealed = (row.secret_sealed, row.previous_secret_sealed)
    return [CIPHER.open(URL, one) for one in sealed if one is not None]


def test_what_waited_longer_than_all_attempts_take_is_given_up(
    database: Database, endpoint: int
) -> None:
    one, other = jobs(database, 2)
    tell(database, one)
    tell(database, other)
    tell(database, one, now=NOW + 1)
    (first, second) = claim(database, endpoint)
    record(database, failed(first, NOW + 60 * MINUTE))
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


def test_a_replay_and_an_enabled_endpoint_have_their_time_anew(
    database: Database, endpoint: int
) -> None:
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


def test_a_claim_looks_at_a_bounded_number_of_those_that_wait(
    database: Database, endpoint: int
) -> None:
    most = deliveries.LOOKED_AT * deliveries.MOST_LOOKS
    (job,) = jobs(database, 1)
    for _ in range(most + 10):
        tell(database, job)
    (first,) = claim(database, endpoint)
    assert first.id == 1
    with database.read() as connection:
        put_off = select(func.count()).where(webhook_deliveries.c.next_at > NOW)
        assert connection.scalar(put_off) == most


def test_a_delivery_names_the_one_behind_which_it_waits(database: Database, endpoint: int) -> None:
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


def test_a_repaired_endpoint_gets_at_once_what_waits_for_a_retry(
    database: Database, endpoint: int
) -> None:
    one, other, last = jobs(database, 3)
    for job in (one, one, other, last):
        tell(database, job)
    first, second, third = claim(database, endpoint)
    hour = 60 * MINUTE
    record(database, failed(first, NOW + hour), failed(second, NOW + 2 * hour))
    changes = record(database, arrived(third), now=NOW + endpoint_health.REPAIRED_AFTER_MS)
    assert changes.recovered == changes.repaired == [endpoint]
    with database.write() as connection:
        found = deliveries.find_retries(connection, endpoint, now=NOW)
        assert found == [1, 3], "not what only waits behind another"
        assert deliveries.retry_now(connection, found, now=NOW) == 2
        assert deliveries.find_retries(connection, endpoint, now=NOW) == []
    assert numbers(claim(database, endpoint)) == [1, 3]


def test_an_endpoint_that_failed_for_a_moment_hastens_nothing(
    database: Database, endpoint: int
) -> None:
    for job in jobs(database, 2):
        tell(database, job)
    first, second = claim(database, endpoint)
    record(database, failed(first, NOW + MINUTE))
    changes = record(database, arrived(second), now=NOW + endpoint_health.REPAIRED_AFTER_MS - 1)
    assert (changes.recovered, changes.repaired) == ([endpoint], [])


def test_an_unknown_endpoint_has_no_secret_to_rotate(database: Database) -> None:
    with database.write() as connection:
        assert endpoints.rotate(connection, CIPHER, 7, now=NOW) is None
        with pytest.raises(BadRequest):
            endpoints.rotate(connection, CIPHER, 7, now=NOW, overlap_ms=-1)


@pytest.mark.parametrize(
    ("kinds", "owner", "stored"),
    [
        ((), None, 13),
        ((), "shop", 9),
        (("message.read", "message.sent", "message.read"), None, 2),
        (("message.read", "sender.connected"), "shop", 1),
    ],
)
def test_an_endpoint_wants_what_it_is_told_of(
    database: Database, kinds: Sequence[str], owner: str | None, stored: int
) -> None:
    added = add_endpoint(database, URL, kinds, owner)
    with database.read() as connection:
        (row,) = endpoints.list_endpoints(connection)
    assert (row.id, row.url, row.api_key) == (added.id, URL, owner)
    assert len(row.kinds.split()) == stored


@pytest.mark.parametrize(
    ("kinds", "owner"), [(("message.lost",), None), (("sender.connected",), "shop")]
)
def test_events_that_nobody_can_want_are_refused(
    database: Database, kinds: Sequence[str], owner: str | None
) -> None:
    with pytest.raises(BadRequest):
        add_endpoint(database, URL, kinds, owner)
