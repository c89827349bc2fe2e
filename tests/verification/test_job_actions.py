"""Job actions of admins: retry, retry all and cancel."""

import threading
from collections.abc import Callable
from functools import partial

from sqlalchemy import func, select

from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import message_counts, message_steps, messages
from hudhud.messages import contacts, listing, queue, statistics
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Failed
from hudhud.verification import job_actions, lifecycle
from hudhud.verification.job_actions import JobActionResult
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, PHONE, VALIDITY_MS, change, stored, submit, verification_of
from support.stored_jobs import StoredJob, put_jobs

LATEST = NOW + VALIDITY_MS - LAST_CALL_MS - 1


def fail(database: Database, count: int = 1) -> list[int]:
    """Queue messages and let a sender fail to send them."""
    numbers = submit(database, count)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main@m", limit=count, now=NOW)
        outcomes = [Failed(number, other("No account."), NOW) for number in numbers]
        record_outcomes(connection, sender="main@m", outcomes=outcomes, now=NOW)
    return numbers


def retry(database: Database, number: int, *, now: int = NOW) -> JobActionResult:
    with database.write() as connection:
        return job_actions.retry(connection, number, who="admin", now=now)


def retry_all(
    database: Database,
    *,
    now: int = NOW,
    most: int | None = None,
    at_once: int = job_actions.AT_ONCE,
) -> int:
    with database.write() as connection:
        return job_actions.retry_all(connection, who="admin", now=now, most=most, at_once=at_once)


def cancel(database: Database, number: int, *, now: int = NOW) -> JobActionResult:
    with database.write() as connection:
        return job_actions.cancel(connection, number, who="admin", now=now)


def retryable(database: Database, *, now: int = NOW) -> int:
    with database.read() as connection:
        return job_actions.count_retryable(connection, now=now)


def counts(database: Database) -> dict[str, int]:
    """Return the counters, after comparing them with the messages."""
    with database.read() as connection:
        kept = select(message_counts.c.status, func.sum(message_counts.c.count))
        rows = connection.execute(kept.group_by(message_counts.c.status))
        found = {status: int(count) for status, count in rows if count}
        true = select(messages.c.status, func.count()).group_by(messages.c.status)
        assert found == {row[0]: row[1] for row in connection.execute(true)}
    return found


def steps(database: Database, number: int) -> list[str]:
    with database.read() as connection:
        kinds = select(message_steps.c.kind).where(message_steps.c.message_id == number)
        return list(connection.scalars(kinds.order_by(message_steps.c.id)))


def test_retried_job_is_queued_like_a_new_one(database: Database) -> None:
    (number,) = fail(database)
    before = stored(database, number)
    assert retry(database, number, now=NOW + 9) == "done"
    row = stored(database, number)
    assert (row.status, row.attempts, row.available_at) == ("queued", 0, NOW + 9)
    assert (row.sender, row.error, row.error_key, row.finished_at) == (None,) * 4
    assert (row.expires_at, row.created_at) == (before.expires_at, before.created_at)
    assert steps(database, number) == ["attempt_failed", "retried"]
    assert counts(database) == {"queued": 1}
    with database.write() as connection:
        (claimed,) = queue.claim(
            connection, channel="sandbox", sender="main@m", limit=1, now=NOW + 9
        )
    assert (claimed.id, claimed.attempts) == (number, 1)
    assert claimed.code_sealed is not None


def test_a_job_is_retried_once(database: Database) -> None:
    (number,) = fail(database)
    assert [retry(database, number), retry(database, number)] == ["done", "not_failed"]
    assert steps(database, number) == ["attempt_failed", "retried"]


def test_job_that_cannot_be_retried_is_unchanged_and_gives_the_reason(database: Database) -> None:
    refused = {
        "not_failed": StoredJob(status="sent"),
        "canceled": StoredJob(status="canceled"),
        "expired": StoredJob(status="expired"),
        "erased": StoredJob(status="failed", code=None),
    }
    for answer, job in refused.items():
        (number,) = put_jobs(database, job)
        before = stored(database, number)
        assert retry(database, number) == answer
        assert stored(database, number) == before
        assert steps(database, number) == []
    assert retry(database, 999_999) == "unknown"
    assert counts(database) == {"sent": 1, "canceled": 1, "expired": 1, "failed": 1}


def test_job_can_be_retried_while_its_code_is_valid(database: Database) -> None:
    first, second = fail(database, 2)
    assert retry(database, first, now=LATEST) == "done"
    assert retry(database, second, now=LATEST + 1) == "expired"


def test_expired_and_erased_code_is_not_sent_again(database: Database) -> None:
    (number,) = fail(database)
    with database.write() as connection:
        lifecycle.expire(connection, now=NOW + VALIDITY_MS)
    assert retry(database, number) == "erased"


def test_message_without_a_code_can_be_retried(database: Database) -> None:
    (number,) = fail(database)
    change(database, number, verification_id=None, body="Confirmed.")
    assert retryable(database) == 1
    assert retry(database, number) == "done"
    assert stored(database, number).status == "queued"


def test_all_valid_failed_jobs_are_retried_together(database: Database) -> None:
    valid = fail(database, 3)
    put_jobs(
        database,
        StoredJob(status="failed", code=None),
        StoredJob(status="failed", created_at=NOW - VALIDITY_MS),
        StoredJob(status="expired"),
        StoredJob(status="canceled"),
        StoredJob(status="sent"),
    )
    assert retryable(database) == 3
    assert retry_all(database) == 3
    assert [stored(database, number).status for number in valid] == ["queued"] * 3
    assert all(steps(database, number) == ["attempt_failed", "retried"] for number in valid)
    expected = {"queued": 3, "failed": 2, "expired": 1, "canceled": 1, "sent": 1}
    assert counts(database) == expected
    assert (retryable(database), retry_all(database)) == (0, 0)
    assert counts(database) == expected


def test_retry_all_respects_the_capacity_of_the_queue(database: Database) -> None:
    numbers = fail(database, 6)
    assert retryable(database) == 6
    assert retry_all(database, most=5, at_once=2) == 5
    assert [stored(database, number).status for number in numbers] == ["failed", *["queued"] * 5]
    assert retry_all(database, most=0) == 0


def test_retried_job_no_longer_counts_as_failed(database: Database) -> None:
    fail(database, 3)
    with database.read() as connection:
        before = statistics.numbers(
            connection, channel="sandbox", now=NOW, mean_gap=0
        ).hour.happened["failed"]
    retry_all(database)
    with database.read() as connection:
        after = statistics.numbers(
            connection, channel="sandbox", now=NOW, mean_gap=0
        ).hour.happened["failed"]
    assert (before, after) == (3, 0)


def test_retry_all_without_failed_jobs_does_nothing(database: Database) -> None:
    assert (retryable(database), retry_all(database)) == (0, 0)
    assert counts(database) == {}


def test_a_canceled_job_is_never_sent_and_its_code_is_erased(database: Database) -> None:
    number, other = submit(database, 2)
    assert cancel(database, number, now=NOW + 4) == "done"
    row = stored(database, number)
    assert (row.status, row.finished_at) == ("canceled", NOW + 4)
    verification = verification_of(database, number)
    assert (verification.status, verification.code_sealed) == ("canceled", None)
    assert verification.code_index is None
    assert verification_of(database, other).code_sealed is not None
    assert steps(database, number) == ["canceled"]
    assert counts(database) == {"queued": 1, "canceled": 1}
    with database.write() as connection:
        claimed = queue.claim(connection, channel="sandbox", sender="a", limit=9, now=NOW)
    assert [message.id for message in claimed] == [other]


def test_cancellation_is_counted(database: Database) -> None:
    (number,) = put_jobs(database, StoredJob())
    cancel(database, number)
    cancel(database, number)
    with database.read() as connection:
        numbers = statistics.numbers(connection, channel="sandbox", now=NOW, mean_gap=1.0)
    assert numbers.hour.happened["canceled"] == numbers.day.happened["canceled"] == 1
    assert sum(numbers.hour.happened.values()) == 1


def test_only_a_waiting_job_is_canceled(database: Database) -> None:
    for status in ("sending", "sent", "delivered", "read", "failed", "expired", "canceled"):
        (number,) = put_jobs(database, StoredJob(status=status))
        before = stored(database, number)
        assert cancel(database, number) == "not_queued"
        assert stored(database, number) == before
        assert verification_of(database, number).code_sealed is not None
    assert cancel(database, 999_999) == "unknown"


def test_ended_verification_keeps_its_state(database: Database) -> None:
    (number,) = submit(database)
    with database.write() as connection:
        lifecycle.expire(connection, now=NOW + VALIDITY_MS)
    assert cancel(database, number) == "done"
    assert verification_of(database, number).status == "expired"


def test_canceled_job_cannot_be_retried(database: Database) -> None:
    (number,) = submit(database)
    cancel(database, number)
    assert retry(database, number) == "canceled"
    with database.read() as connection:
        job = listing.find(connection, number, now=NOW)
    assert job is not None
    assert job.refusal == "canceled"


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run all simultaneously and return their results."""
    start = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        start.wait()
        results[number] = work()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_retry_checks_the_number_again(database: Database) -> None:
    (number,) = fail(database)
    with database.write() as connection:
        contacts.remember_account(connection, phone=PHONE, account=None, now=NOW)
    assert retry(database, number) == "done"
    with database.read() as connection:
        assert contacts.known_account(connection, phone=PHONE, now=NOW) is None


def test_only_one_of_simultaneous_retries_succeeds(database: Database) -> None:
    (number,) = fail(database)
    answers = at_once(*[lambda: retry(database, number)] * 4)
    assert sorted(answers, key=str) == ["done", *["not_failed"] * 3]
    assert steps(database, number) == ["attempt_failed", "retried"]
    assert counts(database) == {"queued": 1}


def test_job_is_either_canceled_or_claimed(database: Database) -> None:
    def claim() -> int:
        with database.write() as connection:
            return len(queue.claim(connection, channel="sandbox", sender="a", limit=1, now=NOW))

    for _ in range(5):
        (number,) = submit(database)
        answer, claimed = at_once(partial(cancel, database, number), claim)
        assert (answer, claimed) in (("done", 0), ("not_queued", 1))
    assert sum(counts(database).values()) == 5


def test_simultaneous_retries_of_all_retry_each_job_once(database: Database) -> None:
    numbers = fail(database, 20)
    retried = at_once(*[lambda: retry_all(database)] * 3)
    assert sum(int(str(count)) for count in retried) == 20
    assert all(steps(database, number) == ["attempt_failed", "retried"] for number in numbers)
    assert counts(database) == {"queued": 20}
