"""The search finds exactly the matching jobs, by any of its strategies."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from hudhud.channels.base import Account
from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import Sentence, say
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import listing, text_store, whatsapp_accounts
from hudhud.messages.listing import JobPage
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter, SearchLimits
from hudhud.messages.states import STATUSES, LegacyStatus, legacy_status
from hudhud.messages.templates.catalog import with_code
from hudhud.verification import lifecycle
from support.queued import NOW, SECRET, VALIDITY_MS
from support.stored_jobs import BODY, CIPHER, StoredJob, forget_everything, put_jobs

pytestmark = pytest.mark.slow

LEGACY = get_args(LegacyStatus)


# Every way: what is near at once, messages one by one, by the index, by the index in order.
WAYS = {
    "what is near": SearchLimits(),
    "one by one": SearchLimits(scanned=1, dense=math.inf),
    "by the index": SearchLimits(scanned=1, dense=1),
    "among many": SearchLimits(scanned=1, dense=1, scanned_widely=1, most_counted=0),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each strategy of the search in turn."""
    with limited(WAYS[request.param]):
        yield


# The limits with which `page` and `total` search: the last ones.
IN_FORCE = [SearchLimits()]


@contextmanager
def limited(limits: SearchLimits) -> Iterator[None]:
    """Run the search with other limits."""
    IN_FORCE.append(limits)
    try:
        yield
    finally:
        IN_FORCE.pop()


def page(
    database: Database,
    search: str = "",
    *,
    limit: int = 100,
    cipher: CodeCipher = CIPHER,
    status: LegacyStatus | None = None,
    delivery: str | None = None,
    **place: int | None,
) -> JobPage:
    chosen = JobFilter(status=status, delivery=delivery, search=search)
    with database.read() as connection:
        return listing.page(
            connection,
            cipher,
            chosen,
            PageCursor(limit, **cast("Any", place)),
            now=NOW,
            limits=IN_FORCE[-1],
        )[0]


def found(database: Database, search: str = "", **asked: Any) -> list[int]:
    return [job.id for job in page(database, search, **asked).jobs]


def total(database: Database, chosen: JobFilter) -> listing.Total:
    with database.read() as connection:
        return listing.page(
            connection, CIPHER, chosen, PageCursor(1), now=NOW, limits=IN_FORCE[-1]
        )[1]


def counted(number: int) -> listing.Total:
    """Return the total of so many jobs under the current limits."""
    most = IN_FORCE[-1].most_counted
    return listing.Total(min(number, most), number <= most)


def surround(database: Database, *wanted: StoredJob) -> list[int]:
    """Store messages among unrelated ones; return their ids, newest first."""
    other = StoredJob(phone="+4989000000", body="Other.", code=None)
    ids = put_jobs(database, other, *wanted, other)
    return ids[-2:0:-1]


@pytest.mark.usefixtures("way")
def test_search_finds_a_phone_by_any_fragment_in_any_notation(database: Database) -> None:
    ids = surround(database, StoredJob(), StoredJob())
    for search in (
        "+201001234567",
        "201001234567",
        "1001234",
        "567",
        "67",
        "7",
        "+2",
        "+20 100-123 (45).67",
        "١٠٠١٢٣٤",
        "۱۰۰۱۲۳۴",
        "\u2066+20 100 1234\u2069",
        "100\u00a01234",
    ):
        assert found(database, search) == ids, search


@pytest.mark.usefixtures("way")
def test_search_does_not_find_a_phone_by_another_fragment(database: Database) -> None:
    surround(database, StoredJob())
    for search in ("100 1235", "+1001234", "1002", "2010012345678", "12+34"):
        assert found(database, search) == [], search


@pytest.mark.usefixtures("way")
def test_search_finds_a_job_by_its_text(database: Database) -> None:
    ids = surround(database, StoredJob())
    for search in ("ACME", "your acme code", "••••", "Never", "share it."):
        assert found(database, search) == ids, search
        assert found(database, f"{search} and more") == []


@pytest.mark.usefixtures("way")
def test_search_finds_a_job_by_its_error(database: Database) -> None:
    ids = surround(database, StoredJob(error="No account."), StoredJob(error="Timed out"))
    assert found(database, "account") == ids[1:]
    assert found(database, "timed OUT") == ids[:1]


@pytest.mark.usefixtures("way")
def test_search_finds_a_job_by_the_code_of_its_error(database: Database) -> None:
    broken = say("job.not_taken", detail="Timed out")
    ids = surround(database, StoredJob(error=say("job.no_account")), StoredJob(error=broken))
    for codes, wanted in (
        (("job.no_account",), ids[1:]),
        (("job.no_account", "job.not_taken"), ids),
        (("job.lost",), []),
    ):
        chosen = JobFilter(search="كلمة", codes=codes)
        with database.read() as connection:
            shown, count = listing.page(
                connection, CIPHER, chosen, PageCursor(100), now=NOW, limits=IN_FORCE[-1]
            )
        assert [job.id for job in shown.jobs] == wanted
        assert count == counted(len(wanted))


@pytest.mark.usefixtures("way")
def test_query_syntax_has_no_meaning(database: Database) -> None:
    surround(database, StoredJob(body="Plain.", code=None))
    for search in (
        '"',
        "'",
        '"100"',
        "' OR 1=1 --",
        "%",
        "_",
        "100%",
        "1__1",
        "\\",
        "*",
        "100*",
        "^100",
        "NEAR(100 123)",
        "100 OR 999",
        "100 AND 123",
        "NOT 100",
        "phone:100",
        "{phone}: 100",
        "-100 +999",
        "(",
        ")",
        "+",
        "++20",
        ":x",
        "%s",
        "?",
        "a\0b",
        "\ud800",
        "٪",
        "½",
        "²²²²",
        " 1" * 500,
    ):
        assert found(database, search) == [], search
        assert total(database, JobFilter(search=search)) == counted(0)


@pytest.mark.usefixtures("way")
def test_query_syntax_is_found_literally(database: Database) -> None:
    strange = ('100% "sure"', "a_b", "x\\y", "it's (NEAR) * OR", "٪ رمز")
    ids = surround(database, *(StoredJob(error=one) for one in strange))
    newest_first = dict(zip(reversed(strange), ids, strict=True))
    for error, number in newest_first.items():
        assert found(database, error) == [number]
    assert found(database, '% "S') == [newest_first[strange[0]]]
    assert found(database, "_b") == [newest_first["a_b"]]
    assert found(database, "axb") == []


@pytest.mark.usefixtures("way")
def test_search_finds_a_job_by_its_exact_code(database: Database) -> None:
    code = "471142"
    codes = (code, code, "9999")
    ids = surround(database, *(StoredJob(phone="+33755500000", code=one) for one in codes))
    assert found(database, code) == ids[1:]
    assert found(database, f" {code[:2]}-{code[2:]} ") == ids[1:]
    assert found(database, code[:-1]) == []
    assert found(database, f"{code}0") == []


@pytest.mark.usefixtures("way")
def test_search_does_not_find_an_erased_code(database: Database) -> None:
    ids = surround(database, StoredJob(), StoredJob(created_at=NOW - 1000))
    assert found(database, "4711") == ids
    with database.write() as connection:
        lifecycle.expire(connection, now=NOW + VALIDITY_MS - 1000)
    assert found(database, "4711") == ids[1:]


@pytest.mark.usefixtures("way")
def test_search_finds_a_code_of_the_previous_secret(database: Database) -> None:
    old = StoredJob(cipher=CodeCipher("the secret before"))
    ids = surround(database, old, StoredJob())
    assert found(database, "4711", cipher=CodeCipher(SECRET, "the secret before")) == ids
    assert found(database, "4711", cipher=CodeCipher(SECRET)) == ids[:1]
    assert found(database, "4711", cipher=CodeCipher("another")) == []


def test_search_text_is_read_as_code_phone_or_both() -> None:
    assert JobFilter(search="4711").code == JobFilter(search="4711").phone == "4711"
    assert JobFilter(search="٤٧١١").code == "4711"
    for search, code, phone in (
        ("471", None, "471"),
        ("12345678901", None, "12345678901"),
        ("+4711", None, "+4711"),
        ("A1b2", "A1B2", None),
        ("Timeout", None, None),
        ("error 463", None, None),
        ("47 11", "4711", "4711"),
        ("no!", None, None),
        ("", None, None),
        ("²²²²", None, None),
    ):
        chosen = JobFilter(search=search)
        assert (chosen.code, chosen.phone) == (code, phone)


def test_the_two_status_filters_must_both_fit() -> None:
    assert JobFilter().statuses == STATUSES
    assert JobFilter(status="failed").statuses == ("failed", "expired", "canceled")
    assert JobFilter(status="failed_or_expired").statuses == ("failed", "expired")
    assert JobFilter(status="canceled").statuses == ("canceled",)
    assert JobFilter(status="failed", delivery="expired").statuses == ("expired",)
    assert JobFilter(status="pending", delivery="read").statuses == ()
    assert JobFilter(delivery="no such word").statuses == ()


@pytest.mark.usefixtures("way")
def test_contradictory_status_filters_find_nothing(database: Database) -> None:
    put_jobs(database, *(StoredJob(status=one) for one in STATUSES))
    for search in ("", "1001234", "acme", "4711"):
        assert found(database, search, status="pending", delivery="read") == []
        chosen = JobFilter(status="pending", delivery="read", search=search)
        assert total(database, chosen) == counted(0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("search", ["", "1001234", "acme", "4711"])
def test_status_filter_works_alone(database: Database, search: str) -> None:
    ids = put_jobs(database, *(StoredJob(status=one) for one in STATUSES))
    for number, status in zip(ids, STATUSES, strict=True):
        assert found(database, search, delivery=status) == [number]
    for word in LEGACY:
        fitting = [
            number
            for number, status in zip(ids, STATUSES, strict=True)
            if legacy_status(status) == word
        ]
        assert found(database, search, status=word) == fitting[::-1]


@pytest.mark.usefixtures("way")
def test_job_that_matches_in_every_way_is_found_once(database: Database) -> None:
    ids = surround(database, StoredJob(error="1234", body="Code 1234.", code="1234"))
    assert found(database, "1234") == ids
    assert total(database, JobFilter(search="1234")) == counted(1)


@pytest.mark.usefixtures("way")
def test_search_reflects_changed_and_deleted_jobs(database: Database) -> None:
    changed, gone, kept = put_jobs(database, *[StoredJob(code=None)] * 3)
    with database.write() as connection:
        statement = (
            update(tables.messages)
            .where(tables.messages.c.id == changed)
            .values(phone="+4930999999")
        )
        connection.execute(statement)
        connection.execute(delete(tables.messages).where(tables.messages.c.id == gone))
    assert found(database, "1001234") == [kept]
    assert found(database, "4930999") == [changed]


def test_number_that_only_shares_pieces_is_not_found(database: Database) -> None:
    ids = put_jobs(
        database,
        *(StoredJob(phone=one, code=None) for one in ("+12345612", "+34561234", "+3456123499")),
    )
    with limited(WAYS["by the index"]):
        assert found(database, "3456123") == ids[:0:-1]


def test_index_is_used_for_rare_matches(database: Database) -> None:
    put_jobs(database, *[StoredJob(phone="+4989000000", body="Other.", code=None)] * 40)
    (rare,) = put_jobs(database, StoredJob(error="Rare.", code="8642"))
    put_jobs(database, *[StoredJob(phone="+4989000000", body="Other.", code=None)] * 40)
    with limited(SearchLimits(scanned=20, dense=10)):
        for search in ("1001234", "01", "acme", "rare", "8642"):
            assert found(database, search, limit=5) == [rare]
            assert found(database, search, limit=5, before=rare) == []
            assert found(database, search, limit=5, after=rare) == []
            assert total(database, JobFilter(search=search)) == counted(1)


def test_very_frequent_matches_are_listed_newest_first(database: Database) -> None:
    ids = put_jobs(database, *[StoredJob(body="Other.", code=None)] * 12)
    newest_first = ids[::-1]
    for widely in (1, 50_000):
        with limited(SearchLimits(scanned=1, dense=1, scanned_widely=widely, most_counted=5)):
            assert found(database, "1001234", limit=3) == newest_first[:3]
            assert found(database, "1001234", limit=3, before=ids[6]) == ids[5:2:-1]
            assert found(database, "1001234", limit=3, after=ids[6]) == ids[9:6:-1]
            assert found(database, "1001234", limit=3, skip=4) == newest_first[4:7]
            assert total(database, JobFilter(search="1001234")) == counted(12)


# Small alphabets for random messages, so that searches find matches.
phones = st.text("0123", min_size=4, max_size=8).map(lambda digits: f"+{digits}")
words = st.sampled_from(["No account.", "a%b", "a_b", 'say "hi"', "1230", "رمز", "Timed out", "x"])
some_jobs = st.builds(
    StoredJob,
    phone=phones,
    body=st.sampled_from([BODY, "{code}\n\nis yours", "Code from x"]),
    error=st.none() | words,
    status=st.sampled_from(STATUSES),
    code=st.sampled_from([None, "1230", "0123", "a1b2", "A1B2"]),
    request_id=st.sampled_from([None, "1230", "acme", "r-1"]),
    reference=st.sampled_from([None, "x", "0123", "r-1"]),
)
searches = st.one_of(
    st.just(""),
    st.text("0123", min_size=1, max_size=6),
    st.text("0123", min_size=1, max_size=4).map(lambda digits: f"+{digits}"),
    st.text("01 -٣", min_size=1, max_size=5).filter(str.strip),
    words,
    st.integers(1, 14).map(lambda number: f"#{number}"),
    st.sampled_from(
        ["r-1", "a1b2", "A1B2", "acme", "CODE", "%", "_", "••", "{code}", '"', "A_", "no a"]
    ),
)
filters = st.builds(
    JobFilter,
    status=st.sampled_from([None, None, *LEGACY]),
    delivery=st.sampled_from([None, None, *STATUSES]),
    search=searches,
)
limits = st.builds(
    SearchLimits,
    scanned=st.sampled_from([1, 2, 4, 8, 2000]),
    dense=st.sampled_from([1, 2, 10, math.inf]),
    scanned_widely=st.sampled_from([1, 4, 50_000]),
    most_counted=st.sampled_from([0, 1, 3, 10_000]),
    most_first=st.sampled_from([1, 200]),
)


def error_of(job: StoredJob) -> str:
    return job.error.english() if isinstance(job.error, Sentence) else job.error or ""


def fits(job: StoredJob, chosen: JobFilter) -> bool:
    """Reimplement the whole search in plain Python."""
    if chosen.status not in (None, legacy_status(job.status)):
        return False
    if chosen.delivery not in (None, job.status):
        return False
    if not chosen.search:
        return True
    digits = chosen.search.replace("٣", "3").replace(" ", "").replace("-", "")
    is_phone = digits.removeprefix("+").isdecimal()
    is_code = 4 <= len(digits) <= 10 and digits.isascii() and digits.isalnum()
    wanted = chosen.search.lower()
    return (
        wanted in with_code(job.body, text_store.MASK).lower()
        or wanted in error_of(job).lower()
        or (is_phone and digits in job.phone)
        or (is_code and digits == job.code)
    )


def ids_of(number: int, job: StoredJob) -> tuple[str | None, ...]:
    """Return each kind of id of a job."""
    return (str(number), job.request_id, job.reference)


def exact_first(
    stored: list[StoredJob], numbers: list[int], chosen: JobFilter, most: int
) -> list[int]:
    """Reimplement the order: those of an id with few jobs, then the others, each newest first."""
    jobs = [one for one in zip(numbers, stored, strict=True) if one[1].status in chosen.statuses]
    digits = chosen.search.removeprefix("#").replace("٣", "3").strip()
    wanted = (digits if digits.isdecimal() else None, chosen.search, chosen.search)
    by_kind = [
        [number for number, job in jobs if chosen.search and ids_of(number, job)[kind] == one]
        for kind, one in enumerate(wanted)
        if one is not None
    ]
    first = {number for found in by_kind if len(found) <= most for number in found}
    exact = {number for found in by_kind for number in found}
    others = {number for number, job in jobs if number in exact or fits(job, chosen)} - first
    return sorted(first, reverse=True) + sorted(others, reverse=True)


def walk(database: Database, chosen: JobFilter, limit: int, *, back: bool) -> list[list[int]]:
    """Follow the cursors from the newest page, or `back` to it."""
    asked: dict[str, Any] = {
        "search": chosen.search,
        "status": chosen.status,
        "delivery": chosen.delivery,
        "limit": limit,
    }
    here = page(database, **asked)
    pages = [here]
    while here.older is not None:
        here = page(database, **asked, before=here.older)
        pages.append(here)
    if back:
        pages = pages[-1:]
        while here.newer is not None:
            here = page(database, **asked, after=here.newer)
            pages.append(here)
    return [[job.id for job in one.jobs] for one in pages]


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    stored=st.lists(some_jobs, max_size=12), chosen=filters, limit=st.integers(1, 5), small=limits
)
def test_pages_and_totals_match_a_plain_filter(
    database: Database, stored: list[StoredJob], chosen: JobFilter, limit: int, small: SearchLimits
) -> None:
    forget_everything(database)
    ids = put_jobs(database, *stored)
    expected = exact_first(stored, ids, chosen, small.most_first)
    with limited(small):
        forth = walk(database, chosen, limit, back=False)
        assert [number for one in forth for number in one] == expected
        assert all(len(one) == limit for one in forth[:-1])
        assert all(forth) or expected == []
        back = walk(database, chosen, limit, back=True)
        assert [number for one in reversed(back) for number in one] == expected
        for skip in range(0, len(expected) + 2, limit):
            asked = {"status": chosen.status, "delivery": chosen.delivery}
            skipped = found(database, chosen.search, limit=limit, skip=skip, **asked)
            assert skipped == expected[skip : skip + limit]
        assert total(database, chosen) == counted(len(expected))
        for place in (PageCursor(limit), PageCursor(limit, skip=1)):
            with database.read() as connection:
                together = listing.page(
                    connection, CIPHER, chosen, place, now=NOW, limits=IN_FORCE[-1]
                )
            assert [job.id for job in together[0].jobs] == expected[place.skip :][:limit]
            assert together[1] == counted(len(expected))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "search",
    ["+5561991234567", "+55 61 9123-4567", "00556191234567", "+55 0 61 99123-4567", "61991234567"],
)
def test_number_is_found_by_each_of_its_forms(database: Database, search: str) -> None:
    account = Account(phone="+556191234567", lid=None)
    with database.write() as connection:
        whatsapp_accounts.remember(connection, phone="+5561991234567", account=account)
    ids = put_jobs(
        database,
        StoredJob(phone="+5561991234567"),
        StoredJob(phone="+55061991234567"),  # stored by an earlier version
        StoredJob(phone="+556191234568"),
    )
    assert sorted(found(database, search)) == ids[:2]
