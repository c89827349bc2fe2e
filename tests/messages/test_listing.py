"""Jobs as an admin sees them: details, actions, pages, totals."""

from typing import Any

from sqlalchemy import update

from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import verifications
from hudhud.messages import listing, queue
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.listing import Job, JobPage, JobRefusal, Total
from hudhud.messages.outcomes import Failed, Sent
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import USUAL, JobFilter, SearchLimits
from hudhud.messages.states import STATUSES
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, PHONE, VALIDITY_MS, change, submit
from support.stored_jobs import CIPHER, StoredJob, put_jobs

EVERY = JobFilter()


def page(database: Database, chosen: JobFilter = EVERY, **asked: Any) -> JobPage:
    with database.read() as connection:
        return listing.page(
            connection, CIPHER, chosen, PageCursor(**{"limit": 3, **asked}), now=NOW
        )[0]


def total(database: Database, chosen: JobFilter = EVERY, limits: SearchLimits = USUAL) -> Total:
    with database.read() as connection:
        return listing.page(connection, CIPHER, chosen, PageCursor(1), now=NOW, limits=limits)[1]


def ids(found: JobPage) -> list[int]:
    return [job.id for job in found.jobs]


def find(database: Database, number: int, *, now: int = NOW) -> Job | None:
    with database.read() as connection:
        return listing.find(connection, number, now=now)


def refusal(database: Database, job: StoredJob, *, now: int = NOW) -> JobRefusal | None:
    (number,) = put_jobs(database, job)
    found = find(database, number, now=now)
    assert found is not None
    return found.refusal


def test_job_shows_the_state_of_its_message(database: Database) -> None:
    (number,) = submit(database)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main@m", limit=1, now=NOW + 1)
        outcome = Failed(number, other("No account."), NOW + 2)
        record_outcomes(connection, sender="main@m", outcomes=[outcome], now=NOW + 3)
    assert find(database, number) == Job(
        id=number,
        phone=PHONE,
        status="failed",
        attempts=1,
        error=other("No account."),
        sender="main@m",
        created_at=NOW,
        expires_at=NOW + VALIDITY_MS,
        sent_at=None,
        delivered_at=None,
        read_at=None,
        finished_at=NOW + 2,
        changed_at=NOW + 2,
        refusal=None,
    )


def test_the_times_of_a_job_are_those_of_its_message(database: Database) -> None:
    (number,) = submit(database)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main@m", limit=1, now=NOW + 1)
        outcome = Sent(number, "p", NOW + 2)
        record_outcomes(connection, sender="main@m", outcomes=[outcome], now=NOW + 3)
    change(database, number, status="read", delivered_at=NOW + 4, read_at=NOW + 5)
    job = find(database, number)
    assert job is not None
    assert (job.sent_at, job.delivered_at, job.read_at) == (NOW + 2, NOW + 4, NOW + 5)
    assert (job.legacy_status, job.error, job.finished_at) == ("sent", None, None)


def test_missing_job_is_not_found(database: Database) -> None:
    assert find(database, 1) is None


def test_only_a_waiting_job_can_be_canceled(database: Database) -> None:
    numbers = put_jobs(database, *(StoredJob(status=one) for one in STATUSES))
    found = [find(database, number) for number in numbers]
    assert [job.status for job in found if job is not None and job.can_cancel] == ["queued"]


def test_a_failed_job_whose_code_is_valid_can_be_retried(database: Database) -> None:
    last = NOW + VALIDITY_MS - LAST_CALL_MS
    assert refusal(database, StoredJob(status="failed")) is None
    assert refusal(database, StoredJob(status="failed"), now=last - 1) is None
    assert refusal(database, StoredJob(status="failed"), now=last) == "expired"


def test_job_that_cannot_be_retried_gives_the_reason(database: Database) -> None:
    for status in ("queued", "sending", "sent", "delivered", "read"):
        assert refusal(database, StoredJob(status=status)) == "not_failed"
    assert refusal(database, StoredJob(status="expired")) == "expired"
    assert refusal(database, StoredJob(status="canceled")) == "canceled"
    assert refusal(database, StoredJob(status="failed", code=None)) == "erased"
    late = NOW + VALIDITY_MS
    assert refusal(database, StoredJob(status="failed", code=None), now=late) == "expired"
    assert refusal(database, StoredJob(status="canceled"), now=late) == "canceled"


def test_the_newest_jobs_come_first(database: Database) -> None:
    numbers = put_jobs(database, *[StoredJob()] * 5)
    with database.read() as connection:
        newest = listing.newest(connection, now=NOW, limit=3)
    assert [job.id for job in newest] == numbers[:1:-1]


def test_empty_list_has_no_cursors(database: Database) -> None:
    assert page(database) == JobPage([], None, None)
    assert page(database, before=7) == JobPage([], None, None)
    assert page(database, after=7) == JobPage([], None, None)
    with database.read() as connection:
        assert listing.newest(connection, now=NOW, limit=3) == []
    assert total(database) == Total(0, is_exact=True)


def test_cursors_lead_to_the_adjacent_pages(database: Database) -> None:
    one, two, three, four, five, six, seven = put_jobs(database, *[StoredJob()] * 7)
    first = page(database)
    assert (ids(first), first.newer, first.older) == ([seven, six, five], None, five)
    second = page(database, before=five)
    assert (ids(second), second.newer, second.older) == ([four, three, two], four, two)
    last = page(database, before=two)
    assert (ids(last), last.newer, last.older) == ([one], one, None)
    back = page(database, after=one)
    assert (ids(back), back.newer, back.older) == ([four, three, two], four, two)
    assert page(database, after=four) == first
    assert ids(page(database, after=six)) == [seven]


def test_exactly_full_last_page_has_no_next_one(database: Database) -> None:
    put_jobs(database, *[StoredJob()] * 3)
    assert page(database).older is None


def test_new_jobs_do_not_shift_pages(database: Database) -> None:
    numbers = put_jobs(database, *[StoredJob()] * 6)
    older = page(database).older
    put_jobs(database, *[StoredJob()] * 4)
    assert ids(page(database, before=older)) == numbers[2::-1]


def test_pages_by_number_skip_newer_jobs(database: Database) -> None:
    numbers = put_jobs(database, *[StoredJob()] * 7)
    second = page(database, skip=3)
    assert (ids(second), second.newer, second.older) == (numbers[3:0:-1], numbers[3], numbers[1])
    assert ids(page(database, skip=6)) == numbers[:1]
    assert ids(page(database, skip=7)) == []
    failed = put_jobs(database, *[StoredJob(status="failed")] * 4)
    assert ids(page(database, JobFilter(status="failed"), skip=3)) == failed[:1]


def test_totals_are_exact_up_to_a_bound(database: Database) -> None:
    few = SearchLimits(most_counted=4)
    put_jobs(database, *(StoredJob(status=one) for one in ("queued", "failed", "expired", "read")))
    filters = (EVERY, JobFilter(search="Acme"), JobFilter(search="1001234"))
    for chosen in filters:
        assert total(database, chosen, few) == Total(4, is_exact=True)
    for chosen in (JobFilter(status="failed"), JobFilter(status="failed", search="acme")):
        assert total(database, chosen, few) == Total(2, is_exact=True)
    put_jobs(database, StoredJob())
    for chosen in filters:
        assert total(database, chosen, few) == Total(4, is_exact=False)


def test_a_job_whose_verification_was_superseded_says_that_its_code_is_erased(
    database: Database,
) -> None:
    (number,) = put_jobs(database, StoredJob(status="failed"))
    with database.write() as connection:
        connection.execute(update(verifications).values(code_index=None, code_sealed=None))
    job = find(database, number)
    assert job is not None
    assert job.refusal == "erased"
