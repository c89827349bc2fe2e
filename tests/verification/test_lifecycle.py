"""Ends of verifications, and expiry."""

from typing import get_args

import pytest
from sqlalchemy import func, select, update

from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import statistics
from hudhud.verification import lifecycle
from hudhud.verification.lifecycle import Ended, Status
from hudhud.verification.new_verification import Accepted
from support.queued import NOW, VALIDITY_MS, accept, caller, change, stored, verification_of
from support.receivers import add_endpoint
from support.verifying import accepted, kept_numbers, verification


def expire(database: Database, *, now: int, most: int = lifecycle.EXPIRED_AT_ONCE) -> int:
    with database.write() as connection:
        return lifecycle.expire(connection, now=now, most=most)


def approve(database: Database, one: Accepted, *, now: int = NOW) -> Ended:
    with database.write() as connection:
        return lifecycle.approve(connection, one.verification_id, now=now)


def fail(database: Database, one: Accepted) -> None:
    """Fail a message, and so its verification."""
    change(database, one.message_id, status="failed")
    with database.write() as connection:
        lifecycle.fail(connection, [one.message_id], now=NOW)


def status(database: Database, one: Accepted) -> Status:
    found: Status = verification(database, one.verification_id).status
    return found


def approvals(database: Database) -> int:
    """Return the approvals that are counted for the countries."""
    with database.read() as connection:
        return connection.scalar(select(func.sum(tables.conversions.c.approved))) or 0


def test_all_statuses_are_listed() -> None:
    assert get_args(Status) == lifecycle.STATUSES


def test_approval_of_a_live_key_is_counted_for_the_country(database: Database) -> None:
    approve(database, accepted(database, caller("hh_test_abc")))
    assert approvals(database) == 0
    approve(database, accepted(database, caller("hh_live_abc")))
    assert approvals(database) == 1


def test_silently_superseded_verification_keeps_its_code_and_message(database: Database) -> None:
    add_endpoint(database, "https://shop.example/hudhud", ["verification.canceled"])
    (one,) = accept(database)
    with database.write() as connection:
        lifecycle.supersede_silently(connection, [one.verification_id], now=NOW)
        kinds = connection.scalars(select(tables.events.c.kind)).all()
    row = verification(database, one.verification_id)
    assert (row.status, row.reason, row.ended_at) == ("canceled", "superseded", NOW)
    assert row.code_sealed is not None
    assert kept_numbers(database) == {"queued": 1}
    assert kinds == ["verification.canceled"]


def test_verification_ends_once(database: Database) -> None:
    (one,) = accept(database)
    assert approve(database, one) == Ended([one.verification_id], canceled=1)
    assert approve(database, one) == Ended(ids=(), canceled=0)
    with database.write() as connection:
        again = lifecycle.exhaust_attempts(connection, one.verification_id, now=NOW)
    assert again == Ended(ids=(), canceled=0)
    assert status(database, one) == "approved"


def test_end_is_not_dated_before_the_beginning(database: Database) -> None:
    first, second = accept(database, 2)
    approve(database, first, now=NOW - 60_000)
    with database.write() as connection:
        canceled = [second.verification_id]
        lifecycle.cancel(connection, canceled, reason="caller", now=NOW - 60_000)
    assert [verification(database, one.verification_id).ended_at for one in (first, second)] == [
        NOW,
        NOW,
    ]
    assert stored(database, second.message_id).finished_at == NOW


def test_canceled_messages_are_counted(database: Database) -> None:
    (one,) = accept(database)
    ended = approve(database, one)
    with database.write() as connection:
        ended.count(connection, now=NOW)
        found = statistics.numbers(connection, channel="sandbox", now=NOW, mean_gap=1.0)
    assert found.hour.happened["canceled"] == 1
    assert kept_numbers(database) == {"canceled": 1}


def test_verification_is_approved_until_it_expires(database: Database) -> None:
    late, in_time = accept(database, 2)
    assert approve(database, late, now=NOW + VALIDITY_MS).ids == ()
    assert approve(database, in_time, now=NOW + VALIDITY_MS - 1).ids == [in_time.verification_id]
    assert [status(database, one) for one in (late, in_time)] == ["pending", "approved"]


@pytest.mark.parametrize(
    ("of_other", "expected"),
    [
        ("queued", "pending"),
        ("sending", "pending"),
        ("sent", "pending"),
        ("delivered", "pending"),
        ("read", "pending"),
        ("failed", "failed"),
        ("expired", "failed"),
        ("canceled", "failed"),
    ],
)
def test_verification_fails_unless_another_message_may_arrive(
    database: Database, of_other: str, expected: Status
) -> None:
    one, other = accept(database, 2)
    change(database, other.message_id, verification_id=one.verification_id, status=of_other)
    fail(database, one)
    assert status(database, one) == expected


def test_failed_message_fails_no_other_verification(database: Database) -> None:
    one, other = accept(database, 2)
    change(database, other.message_id, status="expired")
    fail(database, one)
    assert [status(database, each) for each in (one, other)] == ["failed", "pending"]


def test_failed_message_leaves_an_ended_verification(database: Database) -> None:
    (one,) = accept(database)
    approve(database, one)
    fail(database, one)
    assert status(database, one) == "approved"


def test_only_the_given_failed_verifications_are_reopened(database: Database) -> None:
    one, other, approved = accept(database, 3)
    fail(database, one)
    fail(database, other)
    approve(database, approved)
    with database.write() as connection:
        lifecycle.reopen(connection, [one.verification_id, approved.verification_id])
    found = [status(database, each) for each in (one, other, approved)]
    assert found == ["pending", "failed", "approved"]
    assert verification(database, one.verification_id).ended_at is None


def test_expired_verification_ends_and_its_code_is_erased(database: Database) -> None:
    (accepted,) = accept(database)
    assert expire(database, now=NOW + VALIDITY_MS - 1) == 0
    assert verification_of(database, accepted.message_id).code_sealed is not None
    assert expire(database, now=NOW + VALIDITY_MS) == 1
    row = verification_of(database, accepted.message_id)
    assert (row.status, row.code_index, row.code_sealed) == ("expired", None, None)
    assert expire(database, now=NOW + VALIDITY_MS) == 0


def test_ended_verification_keeps_its_state_and_loses_its_code(
    database: Database,
) -> None:
    (accepted,) = accept(database)
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(status="failed"))
    expire(database, now=NOW + VALIDITY_MS)
    row = verification_of(database, accepted.message_id)
    assert (row.status, row.code_index, row.code_sealed) == ("failed", None, None)


def test_many_expired_verifications_are_ended_in_batches(database: Database) -> None:
    accept(database, 16)
    assert [expire(database, now=NOW + VALIDITY_MS, most=7) for _ in range(4)] == [7, 7, 2, 0]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_expiry_does_not_wait_for_locked_verifications(
    database: Database, impatient: Database
) -> None:
    one, other = accept(database, 2)
    with database.write() as holder:
        lifecycle.lock(holder, [one.verification_id])
        assert expire(impatient, now=NOW + VALIDITY_MS) == 1
    assert [status(database, each) for each in (one, other)] == ["pending", "expired"]
