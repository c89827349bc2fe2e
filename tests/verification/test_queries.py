"""Lists of verifications, compared with a plain model; their cost stays constant."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hudhud.auth import api_keys
from hudhud.auth.caller import ENVIRONMENT, Caller
from hudhud.db.engine import Database
from hudhud.db.tables import verifications
from hudhud.db.upserts import insert_rows
from hudhud.verification import queries
from hudhud.verification.ids import new_verification_id
from hudhud.verification.lifecycle import STATUSES, Status
from hudhud.verification.queries import LARGEST_PAGE, ListFilter
from support.keys import make_key
from support.plans import postgres_rows, sqlite_steps, statements_of
from support.queued import NOW, change
from support.verifying import ADMIN, OTHER_SHOP, PLAIN, SHOP, accepted, request, start

PHONES = [f"+2010012345{number:02d}" for number in range(4)]
REFERENCES = ["order-1", "order-2", None]
MANY = 12_000
FEW = 30


@pytest.fixture
def shop(database: Database) -> Caller:
    """A key."""
    return key(database, "shop")


@pytest.fixture
def other(database: Database) -> Caller:
    """Another key."""
    return key(database, "other")


def key(database: Database, name: str) -> Caller:
    owner = api_keys.readable_prefix(make_key(database, name))
    return Caller(owner, name, frozenset({"send", "verify", "read"}))


@dataclass(frozen=True)
class Stored:
    """The fields of a verification that a list filters by."""

    id: str
    owner: str
    phone: str
    reference: str | None
    status: Status

    def fits(self, caller: Caller, chosen: ListFilter) -> bool:
        """Return whether a list contains it."""
        return (
            caller.sees(self.owner)
            and chosen.phone in (None, self.phone)
            and chosen.reference in (None, self.reference)
            and (not chosen.statuses or self.status in chosen.statuses)
        )


def put(database: Database, stored: Sequence[Stored]) -> None:
    """Insert verifications without messages."""
    rows = [
        {
            "id": one.id,
            "phone": one.phone,
            "status": one.status,
            "code_digest": b"",
            "api_key": one.owner,
            "created_at": NOW,
            "expires_at": NOW,
            "reference": one.reference,
        }
        for one in stored
    ]
    with database.write() as connection:
        for place in range(0, len(rows), 2000):
            insert_rows(connection, verifications, rows[place : place + 2000])


def ids(
    database: Database, caller: Caller, chosen: ListFilter, *, limit: int = LARGEST_PAGE
) -> list[str]:
    """Return all ids of a list, page by page."""
    found: list[str] = []
    before: str | None = None
    while True:
        with database.read() as connection:
            page = queries.page(connection, caller, chosen, before=before, limit=limit)
        assert len(page.rows) <= limit
        found += [row.id for row in page.rows]
        if page.following is None:
            return found
        assert page.following == found[-1]
        before = page.following


def every_filter() -> Iterator[ListFilter]:
    """Return every combination of filters."""
    statuses: list[list[Status]] = [[], ["pending"], ["approved", "expired"], list(STATUSES)]
    for phone, reference, some in product((None, PHONES[0], "+1"), (None, "order-1"), statuses):
        yield ListFilter(phone, reference, some)


@pytest.mark.parametrize("limit", [1, 7, LARGEST_PAGE])
def test_every_list_has_exactly_the_matches_newest_first(
    database: Database, shop: Caller, other: Caller, limit: int
) -> None:
    chance = random.Random(4)  # noqa: S311 -- the same rows each time
    stored = [
        Stored(
            new_verification_id(NOW + number // 3),
            chance.choice([shop.owner, other.owner, ENVIRONMENT]),
            chance.choice(PHONES),
            chance.choice(REFERENCES),
            chance.choice(STATUSES),
        )
        for number in range(60)
    ]
    put(database, chance.sample(stored, len(stored)))
    for caller, chosen in product((shop, other, PLAIN, ADMIN), every_filter()):
        expected = sorted((one.id for one in stored if one.fits(caller, chosen)), reverse=True)
        assert ids(database, caller, chosen, limit=limit) == expected, chosen


def test_new_verifications_do_not_shift_pages(database: Database) -> None:
    old = [new_verification_id(NOW + number) for number in range(6)]
    put(database, [Stored(one, SHOP.owner, PHONES[0], None, "pending") for one in old])
    with database.read() as connection:
        first = queries.page(connection, SHOP, ListFilter(), before=None, limit=3)
    newer = new_verification_id(NOW + 10)
    put(database, [Stored(newer, SHOP.owner, PHONES[0], None, "pending")])
    with database.read() as connection:
        second = queries.page(connection, SHOP, ListFilter(), before=first.following, limit=3)
    assert [row.id for row in [*first.rows, *second.rows]] == old[::-1]
    assert second.following is None


def test_cursor_of_a_deleted_verification_still_works(database: Database) -> None:
    stored = [new_verification_id(NOW + number) for number in range(4)]
    put(database, [Stored(one, SHOP.owner, PHONES[0], None, "pending") for one in stored])
    with database.write() as connection:
        connection.execute(verifications.delete().where(verifications.c.id == stored[2]))
    with database.read() as connection:
        page = queries.page(connection, SHOP, ListFilter(), before=stored[2], limit=9)
    assert [row.id for row in page.rows] == [stored[1], stored[0]]


def test_verification_is_found_by_id_and_job_only_by_its_key(
    database: Database,
) -> None:
    one, other = accepted(database), accepted(database, OTHER_SHOP)
    change(database, other.message_id, verification_id=one.verification_id)
    seen = {"verification_id": one.verification_id, "job_id": None}
    by_job: dict[str, Any] = {"verification_id": None, "job_id": other.message_id}
    nothing: list[dict[str, Any]] = [
        {"verification_id": None, "job_id": 10**15},
        {"verification_id": "v0", "job_id": None},
    ]
    with database.read() as connection:
        for named in (seen, by_job):
            for caller, is_seen in ((SHOP, True), (ADMIN, True), (OTHER_SHOP, False)):
                row = queries.find(connection, caller, **named)
                assert (row is not None and row.id == one.verification_id) == is_seen
        assert all(queries.find(connection, ADMIN, **named) is None for named in nothing)
        jobs = queries.jobs_of(connection, [one.verification_id, other.verification_id])
    assert [job.id for job in jobs[one.verification_id]] == [one.message_id, other.message_id]
    assert jobs[other.verification_id] == []


def test_job_without_a_verification_belongs_to_no_key(database: Database) -> None:
    """Answers to unknown tokens are such jobs."""
    (one,) = start(database, (SHOP, request()))
    assert not isinstance(one, Exception)
    change(database, one.message_id, verification_id=None)
    with database.read() as connection:
        for caller in (SHOP, ADMIN):
            found = queries.find(connection, caller, verification_id=None, job_id=one.message_id)
            assert found is None


@pytest.fixture
def long_history(database: Database, shop: Caller, other: Caller) -> Database:
    """Many verifications, with a few of one key in the middle."""
    stored = []
    for number in range(MANY):
        is_few = MANY // 2 <= number < MANY // 2 + FEW
        stored.append(
            Stored(
                new_verification_id(NOW + number),
                shop.owner if is_few else other.owner,
                PHONES[0] if is_few else f"+2011{number:08d}",
                "order-1" if is_few else None,
                "failed" if is_few else "approved",
            )
        )
    put(database, stored)
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(text("ANALYZE verifications"))
    return database


@pytest.fixture
def lists(shop: Caller, other: Caller) -> list[tuple[Caller, ListFilter]]:
    """Lists with few of many, or no, verifications."""
    return [
        (shop, ListFilter()),
        (shop, ListFilter(statuses=["failed"])),
        (shop, ListFilter(phone=PHONES[0])),
        (shop, ListFilter(reference="order-1")),
        (shop, ListFilter(phone=PHONES[0], statuses=["failed", "pending"])),
        (other, ListFilter(statuses=["pending"])),
        (PLAIN, ListFilter()),
        (ADMIN, ListFilter()),
        (ADMIN, ListFilter(phone=PHONES[0])),
        (ADMIN, ListFilter(reference="order-1")),
        (ADMIN, ListFilter(statuses=["failed"])),
        (ADMIN, ListFilter(statuses=["pending", "canceled"])),
    ]


def looked_at(database: Database, caller: Caller, chosen: ListFilter) -> float:
    """Return a list page's cost: SQLite steps (hundreds) or PostgreSQL rows."""

    def ask(connection: Connection) -> None:
        queries.page(connection, caller, chosen, before=None, limit=20)

    with database.read() as connection:
        if database.is_sqlite:
            with sqlite_steps(connection) as steps:
                ask(connection)
            return steps[0]
        with statements_of(connection) as asked:
            ask(connection)
        return postgres_rows(connection, asked)


def test_cost_of_a_list_is_bounded_by_its_page(
    long_history: Database, lists: list[tuple[Caller, ListFilter]]
) -> None:
    most = 40 if long_history.is_sqlite else 400
    costs = [looked_at(long_history, caller, chosen) for caller, chosen in lists]
    assert [cost for cost in costs if cost > most] == []
