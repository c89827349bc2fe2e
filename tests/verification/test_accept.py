"""New verifications are stored with their messages, or refused."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import QueueUnavailable, SenderRestricted
from hudhud.core.phones import Phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.group_commit import LARGEST_GROUP
from hudhud.messages import contacts, counters
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.verification.new_verification import Accepted, NewVerification, SendRequest
from support.queued import (
    NOW,
    PHONE,
    SECRET,
    VALIDITY_MS,
    Starter,
    accept,
    caller,
    put_sender,
    starter,
    stored,
    verification_of,
)
from support.verifying import OF_ENVIRONMENT, SHOP, request, start, verification

EGYPT = Phone(PHONE, "EG")
# Ten messages wait, one each second; the eleventh waits exactly for its validity.
PACED = {
    "channel": "linked",
    "otp_ttl_seconds": 10,
    "worker_min_send_delay_ms": 900,
    "worker_max_send_delay_ms": 1100,
}
PLACES = 11


def make(start: Starter, count: int = 1) -> list[NewVerification]:
    return [
        start.make(SendRequest(EGYPT), caller=caller(f"k{one}"), request_id="r", now=NOW)
        for one in range(count)
    ]


def write(database: Database, start: Starter, count: int) -> list[Accepted | Exception]:
    with database.write() as connection:
        return start.write(connection, make(start, count))


def count_of(results: Sequence[Accepted | Exception]) -> int:
    return sum(isinstance(result, Accepted) for result in results)


def test_a_verification_and_its_message_are_stored_together(database: Database) -> None:
    (accepted,) = accept(database)
    one = accepted.verification_id
    message = stored(database, accepted.message_id)
    assert (message.verification_id, message.phone, message.status) == (one, PHONE, "queued")
    assert (message.available_at, message.expires_at) == (NOW, NOW + VALIDITY_MS)
    assert message.request_id == "r"
    row = verification_of(database, accepted.message_id)
    assert (row.id, row.phone, row.status, row.api_key) == (one, PHONE, "pending", "k0")
    assert (row.created_at, row.expires_at) == (NOW, NOW + VALIDITY_MS)


def test_code_is_stored_unreadably_for_checking_search_and_sending(database: Database) -> None:
    (accepted,) = accept(database, otp_length=10)
    code = str(accepted.code)
    row = verification_of(database, accepted.message_id)
    cipher = CodeCipher(SECRET)
    assert cipher.matches(row.code_digest, row.id, code)
    assert cipher.index(code) == row.code_index
    assert cipher.codes.open(row.id, row.code_sealed) == code
    message = stored(database, accepted.message_id)
    assert not any(code in str(value) for value in (*row, *message))


def test_group_is_stored_and_answered_in_order(database: Database) -> None:
    start = starter(database)
    group = make(start, 30)
    with database.write() as connection:
        results = start.write(connection, group)
    accepted = [result for result in results if isinstance(result, Accepted)]
    assert [one.verification_id for one in accepted] == [new.id for new in group]
    found = [stored(database, one.message_id).verification_id for one in accepted]
    assert found == [new.id for new in group]


def test_the_largest_group_is_stored_at_once(database: Database) -> None:
    results = write(database, starter(database), LARGEST_GROUP)
    assert count_of(results) == LARGEST_GROUP
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.messages)) == LARGEST_GROUP


def test_of_one_group_only_the_newest_code_for_a_number_stays_pending(database: Database) -> None:
    results = start(
        database, (SHOP, request()), (SHOP, request("+201001234599")), (SHOP, request())
    )
    group = [one for one in results if isinstance(one, Accepted)]
    statuses = [verification(database, one.verification_id).status for one in group]
    assert statuses == ["canceled", "pending", "pending"]
    assert stored(database, group[0].message_id).status == "canceled"
    with database.read() as connection:
        counted = counters.counts(connection)
    assert (counted["queued"], counted["canceled"]) == (2, 1)


def test_ids_are_not_reused_after_deletion(database: Database) -> None:
    before = [one.message_id for one in accept(database, 3)]
    with database.write() as connection:
        connection.execute(tables.messages.delete())
    after = [one.message_id for one in accept(database, 3)]
    assert before + after == sorted({*before, *after})


def test_simultaneous_groups_get_distinct_ids(database: Database) -> None:
    with ThreadPoolExecutor(6) as threads:
        groups = list(threads.map(lambda _: accept(database, 10), range(18)))
    ids = [one.message_id for group in groups for one in group]
    assert len(set(ids)) == 180
    for group in groups:
        assert [one.message_id for one in group] == sorted(one.message_id for one in group)


def test_ids_continue_after_a_failed_group(database: Database) -> None:
    start = starter(database)
    twice = make(start)
    with pytest.raises(IntegrityError), database.write() as connection:
        start.write(connection, twice * 2)
    (accepted,) = accept(database)
    assert stored(database, accepted.message_id).verification_id == accepted.verification_id


def test_an_empty_group_is_no_error(database: Database) -> None:
    assert write(database, starter(database), 0) == []
    assert write(database, starter(database, **PACED), 0) == []


def test_a_message_cannot_be_without_its_verification(database: Database) -> None:
    (accepted,) = accept(database)
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(tables.verifications.delete())
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(update(tables.messages).values(verification_id="v_nothing"))
    assert stored(database, accepted.message_id).verification_id == accepted.verification_id


def test_group_is_accepted_as_far_as_the_queue_has_room(database: Database) -> None:
    results = write(database, starter(database, **PACED), PLACES + 4)
    assert count_of(results) == PLACES
    assert [type(result) for result in results[PLACES:]] == [QueueUnavailable] * 4
    refused = results[-1]
    assert isinstance(refused, QueueUnavailable)
    assert refused.retry_after == 1
    assert count_of(write(database, starter(database, **PACED), 1)) == 0


@pytest.mark.parametrize("senders", [1, 2, 5])
def test_capacity_grows_with_active_senders(database: Database, senders: int) -> None:
    for number in range(senders):
        put_sender(database, f"s{number}", "reconnecting", channel="linked")
    put_sender(database, "another channel", channel="sandbox")
    assert count_of(write(database, starter(database, **PACED), 100)) == 10 * senders + 1


def test_capacity_without_an_active_sender_is_that_of_one(database: Database) -> None:
    put_sender(database, "dead", channel="linked", now=now_ms() - 60_000)
    assert count_of(write(database, starter(database, **PACED), 100)) == PLACES


def test_only_waiting_messages_take_a_place(database: Database) -> None:
    write(database, starter(database, **PACED), PLACES)
    with database.write() as connection:
        for number, status in enumerate(["sending", "sent", "failed", "expired"], start=1):
            connection.execute(
                update(tables.messages).where(tables.messages.c.id == number).values(status=status)
            )
    assert count_of(write(database, starter(database, **PACED), 100)) == 4


def test_messages_of_another_channel_take_no_place(database: Database) -> None:
    write(database, starter(database), 100)
    assert count_of(write(database, starter(database, **PACED), 100)) == PLACES


def test_simultaneous_groups_do_not_exceed_the_capacity(
    database: Database,
) -> None:
    start = threading.Barrier(4)
    counts: list[int] = []

    def work() -> None:
        start.wait()
        counts.append(count_of(write(database, starter(database, **PACED), 5)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 4
    assert sum(counts) == PLACES
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.messages)) == PLACES


def test_older_messages_of_the_environment_key_are_still_sent(database: Database) -> None:
    asked = (OF_ENVIRONMENT, request())
    older, newest = (one for one in start(database, asked, asked) if isinstance(one, Accepted))
    assert stored(database, older.message_id).status == "queued"
    assert stored(database, newest.message_id).status == "queued"
    row = verification(database, older.verification_id)
    assert (row.status, row.reason) == ("canceled", "superseded")
    assert CodeCipher(SECRET).codes.open(row.id, row.code_sealed) == older.code
    assert verification(database, newest.verification_id).status == "pending"


def test_one_of_simultaneous_sends_of_the_environment_key_stays_pending(
    database: Database,
) -> None:
    barrier = threading.Barrier(6)

    def work(_: int) -> None:
        barrier.wait()
        start(database, (OF_ENVIRONMENT, request()))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    pending = select(func.count()).where(tables.verifications.c.status == "pending")
    with database.read() as connection:
        assert connection.scalar(pending) == 1
        assert connection.scalar(select(func.count()).select_from(tables.messages)) == 6


def test_code_whose_validity_is_shorter_than_the_queue_is_refused(database: Database) -> None:
    start = starter(database, **(PACED | {"otp_ttl_seconds": 300}))
    short, long = (
        start.make(
            SendRequest(EGYPT, ttl_seconds=seconds),
            caller=caller(f"of {seconds} s"),
            request_id="r",
            now=now_ms(),
        )
        for seconds in (60, 300)
    )
    with database.write() as connection:
        start.write(connection, make(start, 100))
        refused, accepted = start.write(connection, [short, long])
    assert isinstance(refused, QueueUnavailable)
    assert isinstance(accepted, Accepted)


def restrict(database: Database, until: int) -> None:
    """Restrict the only sender until then."""
    put_sender(database, "main", "restricted", channel="linked", until=until, now=NOW)


def test_strangers_are_refused_if_all_senders_are_restricted_until_after_the_codes_end(
    database: Database,
) -> None:
    known = "+201000000001"
    restrict(database, NOW + VALIDITY_MS)
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=known, at=NOW - 1, proves=True)
    asked = [
        (caller("a"), request()),
        (caller("b"), request(known)),
        (caller("c"), request(ttl_seconds=900)),
        (caller("d", is_test=True), request()),
        (caller("e", limits="per_number=1/1h"), request()),
    ]
    linked = starter(database, lambda: NOW, channel="linked")
    refused, *others, limited = start(database, *asked, starter=linked)
    assert [type(result) for result in others] == [Accepted] * 3
    assert isinstance(refused, SenderRestricted)
    assert (refused.retry_after, refused.until) == (300, NOW + VALIDITY_MS)
    assert refused.reaches_known
    assert isinstance(limited, SenderRestricted)
    restrict(database, NOW + 1)
    accepted, again = start(database, asked[-1], asked[-1], starter=linked)
    assert isinstance(accepted, Accepted), "a refusal must not count towards limits"
    assert not isinstance(again, Accepted)


def test_code_is_accepted_if_it_can_be_sent_after_the_restriction(database: Database) -> None:
    linked = starter(database, lambda: NOW, channel="linked")
    ends = NOW + VALIDITY_MS
    for until, kind in [
        (ends - LAST_CALL_MS, SenderRestricted),
        (ends - LAST_CALL_MS - 1, Accepted),
    ]:
        restrict(database, until)
        (result,) = start(database, (caller(f"until {until}"), request()), starter=linked)
        assert isinstance(result, kind)


def test_refused_stranger_takes_no_place_in_the_queue(database: Database) -> None:
    restrict(database, NOW + VALIDITY_MS)
    with database.write() as connection:
        contacts.remember_wrote(connection, phone="+201000000001", at=NOW - 1, proves=True)
    paced = starter(database, lambda: NOW, **PACED)
    strangers = [(caller(f"s{one}"), request()) for one in range(PLACES)]
    known = [(caller(f"k{one}"), request("+201000000001")) for one in range(PLACES + 1)]
    results = start(database, *strangers, *known, starter=paced)
    assert [type(result) for result in results[:PLACES]] == [SenderRestricted] * PLACES
    assert count_of(results) == PLACES
    assert type(results[-1]) is QueueUnavailable
