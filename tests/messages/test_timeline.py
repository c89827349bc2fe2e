"""The timeline of one message as an admin reads it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hudhud.channels.base import Receipt, ReceiptKind
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.messages import queue, receipts, states, timeline
from hudhud.messages.outcomes import Failed, Outcome, Returned, Sent
from hudhud.messages.queue import LEASE_MS, LOST, TOO_OLD
from hudhud.messages.timeline import Step
from hudhud.verification import job_actions, lifecycle
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, VALIDITY_MS, accept, change, stored, submit

A, B = "main@a", "main@b"


def claim(database: Database, *, now: int, sender: str = A) -> None:
    with database.write() as connection:
        assert queue.claim(connection, channel="sandbox", sender=sender, limit=9, now=now)


def record(database: Database, outcome: Outcome, *, now: int, sender: str = A) -> None:
    with database.write() as connection:
        record_outcomes(connection, sender=sender, outcomes=[outcome], now=now)


def receive(database: Database, kind: ReceiptKind, *, at: int) -> None:
    with database.write() as connection:
        receipts.record_receipts(connection, [Receipt("p-1", kind, at)], now=at)


def steps(database: Database, message: int) -> list[Step]:
    with database.read() as connection:
        row = states.find(connection, message)
        assert row is not None
        return timeline.steps_of(connection, row)


def test_waiting_message_has_been_accepted(database: Database) -> None:
    (message,) = submit(database)
    assert steps(database, message) == [Step("accepted", NOW)]


def test_timeline_of_a_read_message(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW + 1)
    expected = [Step("accepted", NOW), Step("sending", NOW + 1, 1, A)]
    assert steps(database, message) == expected
    record(database, Sent(message, "p-1", NOW + 2), now=NOW + 3)
    receive(database, "delivered", at=NOW + 4)
    receive(database, "read", at=NOW + 5)
    expected += [
        Step("sent", NOW + 2, sender=A),
        Step("delivered", NOW + 4, sender=A),
        Step("read", NOW + 5, sender=A),
    ]
    assert steps(database, message) == expected


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(clock=st.lists(st.integers(-60_000, 60_000), min_size=8, max_size=8))
def test_times_never_go_back_however_clocks_are_set(database: Database, clock: list[int]) -> None:
    """The clock is set again before each step: an attempt, a retry, a send and its receipts."""
    times = [NOW + offset for offset in clock]
    (message,) = submit(database)
    for end in (
        Failed(message, other("No account."), times[1]),
        Sent(message, f"p-{message}", times[3]),
    ):
        change(database, message, available_at=0)
        claim(database, now=times.pop(0))
        record(database, end, now=NOW)
        if isinstance(end, Failed):
            failed = stored(database, message)
            with database.write() as connection:
                job_actions.retry(connection, message, who="admin", now=times.pop(0))
    with database.write() as connection:
        of_message = [Receipt(f"p-{message}", "delivered", times[-2])]
        receipts.record_receipts(connection, of_message, now=NOW)
        of_message = [Receipt(f"p-{message}", "read", times[-1])]
        receipts.record_receipts(connection, of_message, now=NOW)
    row = stored(database, message)
    assert failed.created_at <= failed.sending_at <= failed.finished_at
    assert row.status == "read"
    in_order = [row.created_at, row.sending_at, row.sent_at, row.delivered_at, row.read_at]
    assert in_order == sorted(in_order)
    shown = [step.at for step in steps(database, message)]
    assert len(shown) == 8
    assert shown == sorted(shown)


def test_failed_attempts_stay_visible(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW + 1)
    record(
        database, Returned(message, NOW + 10, other("Broken."), spends_attempt=True), now=NOW + 2
    )
    claim(database, now=NOW + 10, sender=B)
    offline = Returned(message, NOW + 20, other("Offline."), spends_attempt=False)
    record(database, offline, now=NOW + 12, sender=B)
    claim(database, now=NOW + 20)
    record(database, Failed(message, other("No account."), NOW + 21), now=NOW + 22)
    assert steps(database, message) == [
        Step("accepted", NOW),
        Step("sending", NOW + 1, 1, A),
        Step("attempt_failed", NOW + 2, 1, A, other("Broken.")),
        Step("sending", NOW + 10, 2, B),
        Step("put_off", NOW + 12, 2, B, other("Offline.")),
        Step("sending", NOW + 20, 2, A),
        Step("failed", NOW + 21, sender=A, error=other("No account.")),
    ]


def test_instant_attempt_is_one_step(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    record(database, Returned(message, NOW, other("Offline."), spends_attempt=False), now=NOW)
    put_off = [
        Step("accepted", NOW),
        Step("sending", NOW, 1, A),
        Step("put_off", NOW, 1, A, other("Offline.")),
    ]
    assert steps(database, message) == put_off
    end = NOW + VALIDITY_MS
    with database.write() as connection:
        queue.expire(connection, now=end)
    assert steps(database, message) == [*put_off, Step("expired", end, error=other("Offline."))]


def test_attempt_of_an_ended_sender_is_marked_as_lost(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    with database.write() as connection:
        queue.reclaim(connection, now=NOW + LEASE_MS)
    assert steps(database, message)[1:] == [
        Step("sending", NOW, 1, A),
        Step("attempt_lost", NOW + LEASE_MS, 1, A, LOST),
    ]
    claim(database, now=NOW + LEASE_MS, sender=B)
    with database.write() as connection:
        queue.reclaim_of(connection, sender=B, now=NOW + LEASE_MS + 1)
    assert steps(database, message)[3:] == [
        Step("sending", NOW + LEASE_MS, 2, B),
        Step("attempt_lost", NOW + LEASE_MS + 1, 2, B, LOST),
    ]


def test_outcome_after_a_lost_lease_adds_no_step(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    with database.write() as connection:
        queue.reclaim(connection, now=NOW + LEASE_MS)
    before = steps(database, message)
    record(
        database, Returned(message, NOW, other("Late."), spends_attempt=True), now=NOW + LEASE_MS
    )
    assert steps(database, message) == before


def test_message_that_expired_in_the_queue_has_no_attempt(database: Database) -> None:
    (message,) = submit(database)
    with database.write() as connection:
        queue.expire(connection, now=NOW + VALIDITY_MS)
    assert steps(database, message) == [
        Step("accepted", NOW),
        Step("expired", NOW + VALIDITY_MS, error=TOO_OLD),
    ]


def test_retry_keeps_earlier_steps(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW + 1)
    record(database, Failed(message, other("No account."), NOW + 2), now=NOW + 2)
    with database.write() as connection:
        assert job_actions.retry(connection, message, who="admin", now=NOW + 5) == "done"
    retried = [
        Step("accepted", NOW),
        Step("sending", NOW + 1, 1, A),
        Step("attempt_failed", NOW + 2, 1, A, other("No account.")),
        Step("retried", NOW + 5, who="admin"),
    ]
    assert steps(database, message) == retried
    claim(database, now=NOW + 6, sender=B)
    record(database, Sent(message, "p-1", NOW + 7), now=NOW + 7, sender=B)
    assert steps(database, message) == [
        *retried,
        Step("sending", NOW + 6, 1, B),
        Step("sent", NOW + 7, sender=B),
    ]


def test_canceled_retry_has_one_cancellation_with_its_actor(
    database: Database,
) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    record(database, Failed(message, other("No account."), NOW), now=NOW)
    with database.write() as connection:
        job_actions.retry(connection, message, who="admin", now=NOW)
        assert job_actions.cancel(connection, message, who="key shop", now=NOW) == "done"
    assert [step.kind for step in steps(database, message)] == [
        "accepted",
        "sending",
        "attempt_failed",
        "retried",
        "canceled",
    ]
    assert steps(database, message)[-1] == Step("canceled", NOW, who="key shop")


def test_attempt_without_an_error_does_not_inherit_the_previous_one(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    record(database, Returned(message, NOW + 1, other("Broken."), spends_attempt=True), now=NOW)
    claim(database, now=NOW + 1)
    record(database, Returned(message, NOW + 2, None, spends_attempt=False), now=NOW + 2)
    assert steps(database, message)[-1] == Step("put_off", NOW + 2, 2, A, None)


def test_message_sent_twice_has_both_steps(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    with database.write() as connection:
        queue.reclaim_of(connection, sender=A, now=NOW)
    claim(database, now=NOW, sender=B)
    record(database, Sent(message, "p-1", NOW), now=NOW, sender=B)
    assert [(step.kind, step.sender) for step in steps(database, message)] == [
        ("accepted", None),
        ("sending", A),
        ("attempt_lost", A),
        ("sending", B),
        ("sent", B),
    ]


def test_steps_belong_to_one_message(database: Database) -> None:
    first, second = submit(database, 2)
    claim(database, now=NOW)
    record(database, Returned(first, NOW, other("Broken."), spends_attempt=True), now=NOW)
    assert [step.kind for step in steps(database, second)] == ["accepted", "sending"]


def test_timeline_without_steps_is_derived_from_the_row(
    database: Database,
) -> None:
    (message,) = submit(database)
    change(database, message, status="sent", sender=A, sending_at=None, sent_at=NOW + 9)
    assert steps(database, message) == [Step("accepted", NOW), Step("sent", NOW + 9, sender=A)]


def test_expiry_of_a_sent_code_is_no_step(database: Database) -> None:
    (accepted,) = accept(database)
    with database.write() as connection:
        lifecycle.expire(connection, now=NOW + VALIDITY_MS)
    assert stored(database, accepted.message_id).status == "queued"
    assert steps(database, accepted.message_id) == [Step("accepted", NOW)]


def test_error_with_characters_that_the_database_refuses_is_a_step(database: Database) -> None:
    (message,) = submit(database)
    claim(database, now=NOW)
    record(database, Returned(message, NOW, other("a\0b\ud800c"), spends_attempt=True), now=NOW)
    assert steps(database, message)[-1].error == other("ab?c")
