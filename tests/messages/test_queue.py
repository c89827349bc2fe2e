"""The queue: claims, leases, reclaim, expiry, records."""

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import select, text

from hudhud.channels.base import UNNAMED
from hudhud.core.clock import now_ms
from hudhud.core.sentences import other, say
from hudhud.db.engine import Database
from hudhud.db.tables import messages
from hudhud.messages import claimable, contacts, counters, queue, statistics, text_store
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Claimed, Failed, Misaddressed, Outcome, Returned, Sent
from hudhud.messages.queue import LEASE_MS, RECLAIM_DELAY_MS
from hudhud.worker.outcomes import record_outcomes
from support.queued import (
    NOW,
    PHONE,
    VALIDITY_MS,
    accept,
    change,
    stored,
    submit,
    verification_of,
)
from support.services import wait_until
from support.verifying import kept_numbers

SECOND = 1000
ALL = 1000


def claim(
    database: Database,
    limit: int = ALL,
    *,
    now: int = NOW,
    sender: str = "a",
    channel: str = "sandbox",
    only_known: bool = False,
) -> list[Claimed]:
    with database.write() as connection:
        return queue.claim(
            connection, channel=channel, sender=sender, limit=limit, now=now, only_known=only_known
        )


def ids(claimed: list[Claimed]) -> list[int]:
    return [message.id for message in claimed]


def has_work(database: Database, *, now: int = NOW, sender: str = "a") -> bool:
    with database.read() as connection:
        return queue.has_work(connection, channel="sandbox", sender=sender, now=now)


def is_waiting(database: Database, channel: str) -> bool:
    with database.read() as connection:
        return queue.is_waiting(connection, channel=channel)


def record(database: Database, *outcomes: Outcome, sender: str = "a") -> None:
    with database.write() as connection:
        record_outcomes(connection, sender=sender, outcomes=outcomes, now=NOW)


def reclaim(database: Database, *, now: int) -> int:
    with database.write() as connection:
        return queue.reclaim(connection, now=now)


def expire(database: Database, *, now: int) -> int:
    with database.write() as connection:
        return queue.expire(connection, now=now)


def test_claim_returns_everything_needed_to_send(database: Database) -> None:
    (accepted,) = accept(database)
    (claimed,) = claim(database)
    body = stored(database, accepted.message_id).body
    expected = (accepted.message_id, accepted.verification_id)
    assert (claimed.id, claimed.verification_id) == expected
    assert (claimed.phone, claimed.body, claimed.request_id) == (PHONE, body, "r")
    assert (claimed.attempts, claimed.expires_at) == (1, NOW + VALIDITY_MS)
    assert claimed.code_sealed is not None


def test_a_claimed_message_is_marked_and_leased(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW + 5)
    row = stored(database, message)
    assert (row.status, row.sender, row.attempts) == ("sending", "a", 1)
    assert (row.sending_at, row.lease_expires_at) == (NOW + 5, NOW + 5 + LEASE_MS)


def test_messages_are_claimed_in_order(database: Database) -> None:
    queued = submit(database, 10)
    assert [ids(claim(database, 3)) for _ in range(4)] == [
        queued[0:3],
        queued[3:6],
        queued[6:9],
        queued[9:],
    ]


def test_longest_waiting_message_is_claimed_first(database: Database) -> None:
    first, second, third = submit(database, 3)
    change(database, first, available_at=NOW + 2)
    change(database, second, available_at=NOW + 1)
    assert [ids(claim(database, 1, now=NOW + 3)) for _ in range(3)] == [[third], [second], [first]]


@pytest.mark.parametrize("limit", [1, 7, 200])
def test_claim_respects_its_limit(database: Database, limit: int) -> None:
    submit(database, 250)
    assert len(claim(database, limit)) == limit


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_claim_respects_its_limit_under_any_postgresql_plan(
    database: Database,
) -> None:
    submit(database, 20)
    with database.write() as connection:
        for way in ("hashagg", "sort", "hashjoin", "mergejoin", "material", "memoize"):
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        assert len(queue.claim(connection, channel="sandbox", sender="a", limit=1, now=NOW)) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_claim_does_not_wait_for_locked_messages(database: Database, impatient: Database) -> None:
    first, second = submit(database, 2)
    with database.write() as holder:
        holder.execute(select(messages.c.id).where(messages.c.id == first).with_for_update())
        assert ids(claim(impatient)) == [second]


def test_a_message_is_claimed_once(database: Database) -> None:
    submit(database, 3)
    assert len(claim(database, sender="a")) == 3
    assert claim(database, sender="b") == []
    assert claim(database, sender="a") == []


def test_eight_simultaneous_claims_share_the_messages(database: Database) -> None:
    queued = submit(database, 240)
    start = threading.Barrier(8)
    taken: dict[str, list[int]] = {f"sender-{number}": [] for number in range(8)}

    def work(name: str) -> None:
        start.wait()
        while claimed := claim(database, 7, sender=name):
            taken[name] += ids(claimed)

    threads = [threading.Thread(target=work, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*taken.values())) == queued
    assert all(stored(database, ids[0]).sender == name for name, ids in taken.items() if ids)


def test_sender_claims_only_for_its_channel(database: Database) -> None:
    (message,) = submit(database, channel="linked")
    assert claim(database, channel="sandbox") == []
    assert ids(claim(database, channel="linked")) == [message]


def test_a_channel_waits_only_for_its_queued_messages(database: Database) -> None:
    assert not is_waiting(database, "linked")
    submit(database, channel="linked")
    assert [is_waiting(database, one) for one in ("linked", "cloud", "sandbox")] == [
        True,
        False,
        False,
    ]
    claim(database, channel="linked")
    assert not is_waiting(database, "linked")


def test_answer_is_claimed_only_by_the_sender_that_was_written_to(
    database: Database,
) -> None:
    (message,) = submit(database)
    change(database, message, only_sender="main")
    for holder in ("other", "other@m", "main2", "mai", "main@m@n"):
        assert not has_work(database, sender=holder)
        assert claim(database, sender=holder) == []
    assert has_work(database, sender="main@machine")
    assert ids(claim(database, sender="main@machine")) == [message]


def test_answer_precedes_all_waiting_messages(database: Database) -> None:
    *waiting, first, second = submit(database, 30)
    for number, message in enumerate((first, second)):
        change(database, message, only_sender="a", available_at=NOW + number)
    assert [ids(claim(database, 1, now=NOW + 2)) for _ in range(3)] == [
        [first],
        [second],
        [waiting[0]],
    ]


def test_retried_answer_also_goes_first(database: Database) -> None:
    *_, answer = submit(database, 30)
    change(database, answer, only_sender="a")
    claim(database, 1)
    record(database, Returned(answer, NOW + SECOND, other("once more"), spends_attempt=True))
    assert answer not in ids(claim(database, 1))
    assert ids(claim(database, 1, now=NOW + SECOND)) == [answer]


def test_a_claim_takes_answers_and_others_up_to_its_limit(database: Database) -> None:
    queued = submit(database, 10)
    answers = queued[7:]
    for message in answers:
        change(database, message, only_sender="a")
    assert ids(claim(database, 5)) == answers + queued[:2]
    assert stored(database, queued[0]).status == "sending"


def test_a_restricted_sender_still_answers(database: Database) -> None:
    submit(database)
    (answer,) = submit(database)
    change(database, answer, only_sender="a")
    assert ids(claim(database, only_known=True)) == [answer]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_search_for_answers_does_not_scan_all_waiting_messages(database: Database) -> None:
    answers = claimable.ANSWERS
    compiled: Any = answers.look.compile(database.engine)
    values = compiled.params | answers.values(channel="sandbox", sender="a@m", now=NOW)
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {compiled}", tuple(values[name] for name in compiled.positiontup)
        )
        assert [row.detail for row in plan] == [
            "SEARCH messages USING INDEX messages_answers (only_sender=? AND available_at<?)"
        ]


def test_message_not_yet_available_is_not_claimed(database: Database) -> None:
    (message,) = submit(database)
    change(database, message, available_at=NOW + SECOND)
    assert claim(database, now=NOW + SECOND - 1) == []
    assert not has_work(database, now=NOW + SECOND - 1)
    assert has_work(database, now=NOW + SECOND)
    assert ids(claim(database, now=NOW + SECOND)) == [message]


def test_an_expired_code_is_never_claimed(database: Database) -> None:
    submit(database)
    for now in (NOW + VALIDITY_MS - LAST_CALL_MS, NOW + VALIDITY_MS, NOW + 10 * VALIDITY_MS):
        assert claim(database, now=now) == []
        assert not has_work(database, now=now)


def test_code_is_claimed_until_the_last_call(database: Database) -> None:
    (message,) = submit(database)
    assert ids(claim(database, now=NOW + VALIDITY_MS - LAST_CALL_MS - 1)) == [message]


def test_a_restricted_sender_claims_only_for_people_who_wrote_first(database: Database) -> None:
    wrote, checked = "+201001234568", "+201001234569"
    submit(database)
    submit(database, phone=checked)
    (message,) = submit(database, phone=wrote)
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=wrote, at=NOW, proves=True)
        contacts.remember_account(connection, phone=checked, account=UNNAMED, now=NOW)
    assert ids(claim(database, only_known=True)) == [message]
    assert claim(database, only_known=True) == []
    assert len(claim(database)) == 2


def test_message_is_reclaimed_only_after_its_lease_expired(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    assert reclaim(database, now=NOW + LEASE_MS - 1) == 0
    assert stored(database, message).status == "sending"
    assert reclaim(database, now=NOW + LEASE_MS) == 1
    row = stored(database, message)
    assert (row.status, row.sender, row.lease_expires_at) == ("queued", None, None)
    assert ids(claim(database, now=NOW + LEASE_MS, sender="b")) == [message]


def test_a_renewed_lease_is_not_reclaimed(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    with database.write() as connection:
        queue.extend(connection, sender="a", now=NOW + 20 * SECOND)
    assert stored(database, message).lease_expires_at == NOW + 20 * SECOND + LEASE_MS
    assert reclaim(database, now=NOW + LEASE_MS) == 0
    assert reclaim(database, now=NOW + 20 * SECOND + LEASE_MS) == 1
    assert stored(database, message).status == "queued"


def test_a_sender_renews_only_what_it_still_holds(database: Database) -> None:
    (message,) = submit(database)
    claim(database, sender="a")
    reclaim(database, now=NOW + LEASE_MS)
    claim(database, now=NOW + LEASE_MS, sender="b")
    with database.write() as connection:
        queue.extend(connection, sender="a", now=NOW + 40 * SECOND)
    assert stored(database, message).lease_expires_at == NOW + 2 * LEASE_MS


def test_a_sent_message_gets_no_lease_again(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Sent(message, "p-1", NOW))
    with database.write() as connection:
        queue.extend(connection, sender="a", now=NOW + SECOND)
    assert stored(database, message).lease_expires_at is None


@pytest.mark.parametrize(
    "outcome",
    [
        Sent(1, "late", NOW),
        Failed(1, other("late"), NOW),
        Returned(1, NOW, other("late"), spends_attempt=True),
    ],
)
def test_a_record_after_a_lost_lease_changes_nothing(database: Database, outcome: Outcome) -> None:
    (message,) = submit(database)
    assert message == 1
    claim(database, sender="a")
    reclaim(database, now=NOW + LEASE_MS)
    before = stored(database, message)
    record(database, outcome, sender="a")
    assert stored(database, message) == before
    claim(database, now=NOW + LEASE_MS, sender="b")
    before = stored(database, message)
    record(database, outcome, sender="a")
    assert stored(database, message) == before


def test_messages_of_an_ended_process_are_reclaimed_at_once(database: Database) -> None:
    first, second = submit(database, 2)
    claim(database, 1, sender="a")
    claim(database, 1, sender="b")
    with database.write() as connection:
        assert queue.reclaim_of(connection, sender="a", now=NOW) == 1
    assert stored(database, first).status == "queued"
    assert stored(database, second).status == "sending"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_messages_are_reclaimed_even_during_a_lease_renewal(
    database: Database,
) -> None:
    (message,) = submit(database)
    claim(database)
    put_back: list[int] = []

    def reclaim_of() -> None:
        with database.write() as connection:
            put_back.append(queue.reclaim_of(connection, sender="a", now=NOW))

    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    def is_blocked() -> bool:
        with database.read() as watching:  # one transaction would always see the same moment
            return bool(watching.scalar(waiting))

    thread = threading.Thread(target=reclaim_of)
    with database.write() as renewing:
        queue.extend(renewing, sender="a", now=NOW)
        thread.start()
        wait_until(lambda: is_blocked() or not thread.is_alive(), 15, "the other one")
    thread.join()
    assert put_back == [1]
    assert stored(database, message).status == "queued"


def test_message_that_kills_its_sender_does_not_block_others(database: Database) -> None:
    (message,) = submit(database)
    now = NOW
    waits = []
    for _ in range(4):
        assert ids(claim(database, now=now)) == [message]
        with database.write() as connection:
            queue.reclaim_of(connection, sender="a", now=now)
        waits.append(stored(database, message).available_at - now)
        now += waits[-1]
    assert waits == [0, RECLAIM_DELAY_MS, 2 * RECLAIM_DELAY_MS, 3 * RECLAIM_DELAY_MS]


def test_expiry_ends_only_unsent_messages(database: Database) -> None:
    old, sending, sent = submit(database, 3)
    (young,) = submit(database, now=NOW + 60 * SECOND)
    change(database, sending, status="sending", sender="a", lease_expires_at=NOW)
    change(database, sent, status="sent")
    end = NOW + VALIDITY_MS
    assert expire(database, now=end) == 1
    row = stored(database, old)
    assert (row.status, row.finished_at) == ("expired", end)
    assert row.error == "The code expired before it could be sent."
    assert [stored(database, one).status for one in (sending, sent, young)] == [
        "sending",
        "sent",
        "queued",
    ]


def test_expired_messages_are_counted(database: Database) -> None:
    submit(database, 2)
    end = NOW + VALIDITY_MS
    assert expire(database, now=end) == 2
    assert kept_numbers(database) == {"expired": 2}
    with database.read() as connection:
        found = statistics.numbers(connection, channel="sandbox", now=end, mean_gap=1.0)
    assert found.hour.happened["expired"] == 2


def test_expired_message_keeps_the_reason_of_its_last_failure(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Returned(message, NOW, other("The sender was offline."), spends_attempt=False))
    expire(database, now=NOW + VALIDITY_MS)
    assert stored(database, message).error == "The sender was offline."


def test_messages_are_either_claimed_or_expired(
    database: Database,
) -> None:
    submit(database, 3)
    for now in range(NOW + VALIDITY_MS - LAST_CALL_MS - 2, NOW + VALIDITY_MS - LAST_CALL_MS + 2):
        claimable = has_work(database, now=now)
        with database.write() as connection:
            expired = queue.expire(connection, now=now) > 0
            connection.rollback()
        assert claimable != expired


def test_a_sent_message_is_recorded(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Sent(message, "p-1", NOW + 7))
    row = stored(database, message)
    assert (row.status, row.provider_message_id, row.sent_at) == ("sent", "p-1", NOW + 7)
    assert (row.lease_expires_at, row.error, row.finished_at) == (None, None, None)


def test_a_failed_message_is_recorded(database: Database) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Failed(message, other("No account."), NOW + 7))
    row = stored(database, message)
    assert (row.status, row.error, row.finished_at) == ("failed", "No account.", NOW + 7)
    assert (row.lease_expires_at, row.error_key) == (None, text_store.key("No account."))


@pytest.mark.parametrize(("spends", "attempts"), [(True, 1), (False, 0)])
def test_returned_message_waits_and_may_spend_an_attempt(
    database: Database, *, spends: bool, attempts: int
) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Returned(message, NOW + 9, other("Later."), spends))
    row = stored(database, message)
    assert (row.status, row.available_at, row.error) == ("queued", NOW + 9, "Later.")
    assert (row.attempts, row.sender, row.lease_expires_at) == (attempts, None, None)


def test_outcomes_of_every_kind_are_recorded_together(database: Database) -> None:
    one, two, three, four = submit(database, 4)
    claim(database)
    outcomes: list[Outcome] = [
        Returned(three, NOW, None, spends_attempt=True),
        Sent(one, "p-1", NOW),
        Failed(two, other("No."), NOW),
        Sent(four, "p-4", NOW),
    ]
    record(database, *outcomes)
    found = [stored(database, message).status for message in (one, two, three, four)]
    assert found == ["sent", "failed", "queued", "sent"]
    assert kept_numbers(database) == {"sent": 2, "failed": 1, "queued": 1}


def test_message_to_the_senders_own_number_fails_outside_the_charts(database: Database) -> None:
    own, other_one = submit(database, 2)
    claim(database)
    now, error = now_ms(), say("job.own_number")
    outcomes = [Misaddressed(own, error, now), Failed(other_one, say("job.no_account"), now)]
    with database.write() as connection:
        record_outcomes(connection, sender="a", outcomes=outcomes, now=now)
        counts = counters.counts(connection)
    assert (stored(database, own).status, stored(database, own).error) == (
        "failed",
        "This is the sender's own number. Send the code to a person's number.",
    )
    assert verification_of(database, own).status == "failed"
    assert (counts["sending"], counts["failed"]) == (0, 2)
    with database.read() as connection:
        numbers = statistics.numbers(connection, channel="sandbox", now=now, mean_gap=1)
    assert numbers.hour.happened["failed"] == 1


def test_recording_no_outcome_is_no_error(database: Database) -> None:
    record(database)


def test_error_is_recorded_without_characters_that_the_database_refuses(
    database: Database,
) -> None:
    (message,) = submit(database)
    claim(database)
    record(database, Failed(message, other("a\0b\ud800c"), NOW))
    assert stored(database, message).error == "ab?c"


def test_returned_message_with_an_erased_code_is_canceled(database: Database) -> None:
    (message,) = submit(database)
    with database.write() as connection:
        connection.execute(text("UPDATE verifications SET code_sealed = NULL"))
    assert claim(database) == []
    row = stored(database, message)
    assert (row.status, row.finished_at) == ("canceled", NOW)
    assert kept_numbers(database) == {"canceled": 1}
