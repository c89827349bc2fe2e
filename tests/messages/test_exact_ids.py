"""Jobs are found by their exact ids, and listed before other matches."""

from dataclasses import replace

import pytest
from sqlalchemy import insert

from hudhud.auth.caller import ENVIRONMENT
from hudhud.db.engine import Database
from hudhud.db.tables import api_keys
from hudhud.messages import exact_ids, listing
from hudhud.messages.exact_ids import Exact, job_number
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter, SearchLimits
from hudhud.messages.states import STATUSES
from support.queued import NOW, change, verification_of
from support.stored_jobs import CIPHER, StoredJob, put_jobs

# Every way of the search: what is near at once, by the index, by the index in order.
LIMITS = (
    SearchLimits(),
    SearchLimits(scanned=1, dense=1),
    SearchLimits(scanned=1, dense=1, scanned_widely=1, most_counted=0),
)


def found(
    database: Database, search: str, *, limits: SearchLimits = LIMITS[0], limit: int = 100
) -> list[int]:
    with database.read() as connection:
        chosen = JobFilter(search=search)
        page, _ = listing.page(
            connection, CIPHER, chosen, PageCursor(limit), now=NOW, limits=limits
        )
    return [job.id for job in page.jobs]


def exact(database: Database, search: str, *, most: int) -> Exact:
    with database.read() as connection:
        return exact_ids.find(connection, search, STATUSES, most=most)


def make_key(database: Database, name: str, owner: str) -> None:
    row = {"name": name, "prefix": owner, "owner": owner, "digest": b"", "created_at": NOW}
    with database.write() as connection:
        connection.execute(insert(api_keys), [row])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("123", 123),
        ("#123", 123),
        ("# 123", 123),
        ("#١٢٣", 123),
        ("0123", None),
        ("0", None),
        ("+123", None),
        ("1 2", None),
        ("##1", None),
        ("9" * 16, None),
        ("", None),
    ],
)
def test_job_number_is_read_as_people_write_it(text: str, number: int | None) -> None:
    assert job_number(text) == number


@pytest.mark.parametrize("limits", LIMITS)
def test_each_id_finds_its_job_alone(database: Database, limits: SearchLimits) -> None:
    make_key(database, "shop", "hh_live_shop")
    wanted, *_ = put_jobs(
        database,
        StoredJob(request_id="9f-request", reference="order 7", api_key="hh_live_shop"),
        *[StoredJob(request_id="other", reference="order 77")] * 5,
    )
    of_wanted = verification_of(database, wanted).id
    for search in (f"#{wanted}", of_wanted, "9f-request", "order 7", "shop"):
        assert found(database, search, limits=limits) == [wanted]
    for search in (f"#{wanted}9", of_wanted[:-1] + "x", "9f-reques", "order", "SHOP"):
        assert found(database, search, limits=limits) == []


def test_number_of_a_job_leads_the_phones_that_hold_it(database: Database) -> None:
    first, *others = put_jobs(database, *[StoredJob(phone="+20100123456")] * 3)
    change(database, others[0], phone=f"+4977{first}000000")
    change(database, first, phone="+49000000000")
    change(database, others[1], phone="+49000000000")
    assert found(database, str(first)) == [first, others[0]]
    assert found(database, str(first), limit=1) == [first]


@pytest.mark.parametrize("limits", LIMITS)
def test_jobs_of_a_busy_key_are_listed_newest_first(
    database: Database, limits: SearchLimits
) -> None:
    few = replace(limits, most_first=2)
    make_key(database, "shop", "hh_live_shop")
    put_jobs(database, *[StoredJob(body="Other.")] * 3)
    ids = put_jobs(database, *[StoredJob(api_key="hh_live_shop", request_id="same")] * 4)
    put_jobs(database, *[StoredJob(body="Other.")] * 3)
    for search in ("shop", "same"):
        assert exact(database, search, most=2).numbers == []
        assert exact(database, search, most=4).numbers == ids[::-1]
        assert found(database, search, limits=few) == ids[::-1]
        assert found(database, search, limits=few, limit=3) == ids[:0:-1]


def test_key_of_the_environment_is_found_by_its_name(database: Database) -> None:
    (wanted,) = put_jobs(database, StoredJob(api_key=ENVIRONMENT))
    put_jobs(database, StoredJob())
    assert found(database, "API_KEY") == [wanted]
