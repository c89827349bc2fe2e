"""Checks of codes: the rule, groups, lookup, and concurrency."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from hudhud.auth import api_keys
from hudhud.core.clock import DAY_MS
from hudhud.core.errors import Conflict, Gone, NotFound, Refused, TooMany
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.verification import lifecycle
from hudhud.verification.check import Check, Checked, CheckState
from hudhud.verification.lifecycle import STATUSES, Status
from hudhud.verification.new_verification import Accepted
from support import links
from support.keys import make_key
from support.queued import PHONE, caller, change
from support.verifying import (
    ADMIN,
    MOST,
    OF_ENVIRONMENT,
    OTHER_SHOP,
    PLAIN,
    SHOP,
    accepted,
    check,
    check_code,
    jobs_of,
    kept_numbers,
    request,
    start,
    verification,
    word,
    wrong,
)

AT_ONCE = 16
SECOND = 1000
NOW = 1_795_483_878_036
IN_TIME = NOW + 1


@pytest.fixture
def other_process(database: Database) -> Iterator[Database]:
    """The same database with its own connections, as in another process."""
    opened = Database(database.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def outcome(result: Checked | Exception) -> str:
    """Return the result that a caller reads."""
    if isinstance(result, Checked):
        return "valid" if result.is_valid else f"{result.status} {result.attempts_remaining}"
    return word(result)


def outcomes(database: Database, *group: Check, now: int = NOW) -> list[str]:
    return [outcome(result) for result in check(database, *group, now=now)]


def code_of(one: Accepted) -> str:
    assert one.code is not None
    return one.code


def test_right_code_approves_once_and_ends_the_verification(database: Database) -> None:
    one = accepted(database)
    asked = Check(SHOP, code_of(one), verification_id=one.verification_id)
    assert outcomes(database, asked) == ["valid"]
    assert outcomes(database, asked) == ["already_used"]
    row = verification(database, one.verification_id)
    assert (row.status, row.attempts, row.code_sealed, row.code_index) == (
        "approved",
        0,
        None,
        None,
    )
    assert kept_numbers(database) == {"canceled": 1}


def test_message_being_sent_is_completed_after_approval(database: Database) -> None:
    one = accepted(database)
    change(database, one.message_id, status="sending")
    check_code(database, SHOP, one.verification_id, code_of(one))
    assert [job.status for job in jobs_of(database, one.verification_id)] == ["sending"]


def test_group_is_checked_in_order(database: Database) -> None:
    one, other = accepted(database), accepted(database, phone="+201001234568")
    right = Check(SHOP, code_of(one), verification_id=one.verification_id)
    not_right = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    of_other = Check(SHOP, code_of(other), job_id=other.message_id)
    group = [not_right, of_other, right, right, not_right, of_other]
    assert outcomes(database, *group) == [
        "pending 4",
        "valid",
        "valid",
        "already_used",
        "already_used",
        "already_used",
    ]
    assert kept_numbers(database) == {"canceled": 2}


def test_group_uses_no_more_attempts_than_allowed(database: Database) -> None:
    one = accepted(database)
    not_right = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    right = Check(SHOP, code_of(one), verification_id=one.verification_id)
    assert outcomes(database, *[not_right] * (MOST + 1), right) == [
        "pending 4",
        "pending 3",
        "pending 2",
        "pending 1",
        "max_attempts_reached 0",
        "max_attempts_reached",
        "max_attempts_reached",
    ]
    row = verification(database, one.verification_id)
    assert (row.status, row.attempts) == ("max_attempts_reached", MOST)
    assert (row.code_sealed, row.code_index) == (None, None)
    assert kept_numbers(database) == {"canceled": 1}


def test_wrong_code_is_counted_only_for_its_verification(database: Database) -> None:
    one, other = accepted(database), accepted(database, phone="+201001234568")
    asked = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    assert outcomes(database, asked) == ["pending 4"]
    assert verification(database, other.verification_id).attempts == 0


def test_lowered_maximum_leaves_no_attempts(database: Database) -> None:
    one = accepted(database)
    asked = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    outcomes(database, asked, asked, asked)
    (last,) = check(database, asked, most=2)
    assert outcome(last) == "max_attempts_reached 0"


def test_an_empty_group_is_no_error(database: Database) -> None:
    assert check(database) == []


@pytest.mark.parametrize("typed", ["١٢٣٤", "۱۲۳۴", " 12 34", "1-2-3-4", "12\u00a034\u200f"])
def test_other_spellings_of_the_code_are_right(database: Database, typed: str) -> None:
    one = accepted(database, code="1234")
    assert check_code(database, SHOP, one.verification_id, typed).is_valid


def test_number_without_its_zeros_is_right_and_a_wrong_one_uses_one_attempt(
    database: Database,
) -> None:
    one = accepted(database, code="0345")
    group = [Check(SHOP, typed, verification_id=one.verification_id) for typed in (346, 45, 345)]
    assert outcomes(database, *group) == ["pending 4", "pending 3", "valid"]


def test_letters_of_a_custom_code_match_in_any_case(database: Database) -> None:
    one = accepted(database, code="aB3x9Z")
    assert check_code(database, SHOP, one.verification_id, "Ab3X-9z").is_valid


@pytest.mark.parametrize("typed", ["123", "12345", "01234", "1234 1234", "۱۲۳", "", "\u200f"])
def test_incomplete_code_is_wrong(database: Database, typed: str) -> None:
    one = accepted(database, code="1234")
    assert not check_code(database, SHOP, one.verification_id, typed).is_valid


def test_the_code_of_another_verification_is_wrong(database: Database) -> None:
    one, other = accepted(database), accepted(database, phone="+201001234568", code="9876543210")
    assert not check_code(database, SHOP, one.verification_id, code_of(other)).is_valid


def test_a_verification_is_found_by_its_id_its_jobs_and_its_number(database: Database) -> None:
    one = accepted(database)
    not_right = wrong(code_of(one))
    group = [
        Check(SHOP, not_right, verification_id=one.verification_id),
        Check(SHOP, not_right, job_id=one.message_id),
        Check(SHOP, not_right, phone=PHONE),
    ]
    assert outcomes(database, *group) == ["pending 4", "pending 3", "pending 2"]


@pytest.mark.parametrize(
    "asked",
    [
        {"verification_id": "v" + "0" * 43},
        {"job_id": 10**18 - 1},
        {"phone": "+201001234569"},
    ],
)
def test_unknown_verification_is_not_pending(
    database: Database, asked: dict[str, str | int]
) -> None:
    accepted(database)
    assert outcomes(database, Check(SHOP, "1234", **asked)) == ["nothing_pending"]  # type: ignore[arg-type] # one of three


def test_verification_of_another_key_is_not_found_and_loses_no_attempt(database: Database) -> None:
    one = accepted(database)
    group = [
        Check(OTHER_SHOP, code_of(one), verification_id=one.verification_id),
        Check(OTHER_SHOP, code_of(one), job_id=one.message_id),
        Check(OTHER_SHOP, code_of(one), phone=PHONE),
    ]
    assert outcomes(database, *group) == ["nothing_pending"] * 3
    row = verification(database, one.verification_id)
    assert (row.status, row.attempts) == ("pending", 0)


@pytest.mark.parametrize("name", ["id", "job", "phone"])
def test_admin_may_check_verifications_of_any_key(database: Database, name: str) -> None:
    one = accepted(database, PLAIN)
    asked = {
        "id": Check(ADMIN, code_of(one), verification_id=one.verification_id),
        "job": Check(ADMIN, code_of(one), job_id=one.message_id),
        "phone": Check(ADMIN, code_of(one), phone=PHONE),
    }
    assert outcomes(database, asked[name]) == ["valid"]


def test_newest_pending_verification_of_a_number_is_checked(database: Database) -> None:
    old = accepted(database, template=None)
    other = accepted(database, OTHER_SHOP, now=NOW + 1)
    new = accepted(database, now=NOW + 2)
    assert outcomes(database, Check(SHOP, code_of(new), phone=PHONE)) == ["valid"]
    assert outcomes(database, Check(SHOP, code_of(old), phone=PHONE)) == ["already_used"]
    assert outcomes(database, Check(OTHER_SHOP, code_of(other), phone=PHONE)) == ["valid"]


def test_valid_verification_of_a_number_precedes_a_newer_expired_one(
    database: Database,
) -> None:
    plain, shop = (PLAIN, request(code="1111", ttl_seconds=900)), (SHOP, request(ttl_seconds=60))
    start(database, plain, shop)
    later = NOW + 61 * SECOND
    assert outcomes(database, Check(ADMIN, "1111", phone=PHONE), now=later) == ["valid"]


def test_number_finds_verifications_of_the_last_day(database: Database) -> None:
    asked = Check(SHOP, code_of(accepted(database)), phone=PHONE)
    assert outcomes(database, asked, now=NOW + DAY_MS) == ["expired"]
    assert outcomes(database, asked, now=NOW + DAY_MS + 1) == ["nothing_pending"]


def test_code_is_valid_to_the_last_millisecond(database: Database) -> None:
    one = accepted(database)
    not_right = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    right = Check(SHOP, code_of(one), verification_id=one.verification_id)
    end = one.expires_at
    assert outcomes(database, not_right, now=end - 1) == ["pending 4"]
    assert outcomes(database, not_right, right, now=end) == ["expired", "expired"]
    assert verification(database, one.verification_id).attempts == 1


# The key of API_KEY, whose codes may be compared elsewhere


def test_older_code_of_a_number_is_wrong_for_the_environment_key_too(database: Database) -> None:
    older = accepted(database, OF_ENVIRONMENT, code="1111")
    newest = accepted(database, OF_ENVIRONMENT, now=NOW + 1, code="2222")
    by_number = [Check(OF_ENVIRONMENT, typed, phone=PHONE) for typed in ("1111", "2222", "1111")]
    by_id = Check(OF_ENVIRONMENT, "1111", verification_id=older.verification_id)
    assert outcomes(database, by_id, *by_number) == [
        "nothing_pending",
        "pending 4",
        "valid",
        "already_used",
    ]
    assert verification(database, older.verification_id).code_sealed is not None
    assert [job.status for job in jobs_of(database, older.verification_id)] == ["queued"]
    assert verification(database, newest.verification_id).status == "approved"


def counted(database: Database) -> tuple[int, int]:
    """Return the verifications started and approved that count towards conversion."""
    counts = tables.conversions.c
    with database.read() as connection:
        row = connection.execute(select(func.sum(counts.started), func.sum(counts.approved))).one()
    return int(row[0] or 0), int(row[1] or 0)


def test_send_of_the_environment_key_counts_towards_conversion_once_it_is_checked(
    database: Database,
) -> None:
    one = accepted(database, OF_ENVIRONMENT)
    accepted(database, OF_ENVIRONMENT, phone="+201001234568")
    assert counted(database) == (0, 0)
    not_right = Check(OF_ENVIRONMENT, wrong(code_of(one)), verification_id=one.verification_id)
    right = Check(OF_ENVIRONMENT, code_of(one), verification_id=one.verification_id)
    outcomes(database, not_right, not_right)
    assert counted(database) == (1, 0)
    outcomes(database, not_right, right, right)
    assert counted(database) == (1, 1)


def test_refused_check_counts_nothing_towards_conversion(database: Database) -> None:
    older = accepted(database, OF_ENVIRONMENT)
    newest = accepted(database, OF_ENVIRONMENT, now=NOW + 1)
    superseded = Check(OF_ENVIRONMENT, code_of(older), verification_id=older.verification_id)
    late = Check(OF_ENVIRONMENT, code_of(newest), verification_id=newest.verification_id)
    assert outcomes(database, superseded) == ["nothing_pending"]
    assert outcomes(database, late, now=newest.expires_at) == ["expired"]
    assert counted(database) == (0, 0)


def test_send_of_a_key_that_checks_here_is_counted_once(database: Database) -> None:
    one = accepted(database)
    assert counted(database) == (1, 0)
    check_code(database, SHOP, one.verification_id, wrong(code_of(one)))
    check_code(database, ADMIN, one.verification_id, code_of(one))
    assert counted(database) == (1, 1)


def test_checks_by_an_admin_count_the_send_of_a_key_that_may_not_check(
    database: Database,
) -> None:
    key = make_key(database, "sends only", "send")
    sends_only = caller(api_keys.readable_prefix(key), "send")
    makes_both = caller(api_keys.readable_prefix(make_key(database, "both")), "send", "verify")
    for who, phone in ((sends_only, PHONE), (makes_both, "+201001234568")):
        one = accepted(database, who, phone=phone)
        check_code(database, ADMIN, one.verification_id, code_of(one))
    assert counted(database) == (2, 2)


def test_test_key_counts_nothing_towards_conversion(database: Database) -> None:
    tests = caller("hh_test_shop", "send", "verify", is_test=True)
    one = accepted(database, tests)
    check_code(database, tests, one.verification_id, code_of(one))
    assert counted(database) == (0, 0)


def test_link_of_the_environment_key_is_counted_once(database: Database) -> None:
    links.put_linked(database)
    link = links.start(database, by=OF_ENVIRONMENT, now=NOW)
    links.write(database, link.token, now=NOW)
    assert counted(database) == (1, 0)
    code = links.code_of(verification(database, link.verification_id))
    check_code(database, OF_ENVIRONMENT, link.verification_id, code)
    assert counted(database) == (1, 1)


def at_once(groups: list[tuple[Database, list[Check]]]) -> list[str]:
    """Check groups on threads that begin simultaneously; return all outcomes."""
    barrier = threading.Barrier(len(groups))

    def work(place: tuple[Database, list[Check]]) -> list[str]:
        database, group = place
        barrier.wait()
        return outcomes(database, *group)

    with ThreadPoolExecutor(len(groups)) as threads:
        return [one for found in threads.map(work, groups) for one in found]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_check_does_not_wait_for_other_verifications(
    database: Database, impatient: Database
) -> None:
    one, other = accepted(database), accepted(database, phone="+201001234568")
    with database.write() as holder:
        lifecycle.lock(holder, [other.verification_id])
        assert check_code(impatient, SHOP, one.verification_id, code_of(one)).is_valid


def test_exactly_one_of_many_simultaneous_right_checks_is_valid(
    database: Database, other_process: Database
) -> None:
    one = accepted(database)
    asked = [
        Check(SHOP, code_of(one), verification_id=one.verification_id),
        Check(SHOP, code_of(one), phone=PHONE),
    ]
    processes = [database, other_process] * (AT_ONCE // 4)
    found = Counter(at_once([(process, asked) for process in processes]))
    assert found == {"valid": 1, "already_used": AT_ONCE - 1}
    assert kept_numbers(database) == {"canceled": 1}


def test_simultaneous_wrong_checks_use_no_more_attempts_than_allowed(
    database: Database, other_process: Database
) -> None:
    one = accepted(database)
    asked = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    processes = [database, other_process] * (AT_ONCE // 4)
    found = Counter(at_once([(process, [asked]) for process in processes] * 2))
    assert found.pop("max_attempts_reached") == AT_ONCE - MOST
    assert found == {f"pending {left}": 1 for left in range(1, MOST)} | {
        "max_attempts_reached 0": 1
    }
    assert verification(database, one.verification_id).attempts == MOST


def test_simultaneous_right_and_wrong_checks_approve_once_or_use_all_attempts(
    database: Database, other_process: Database
) -> None:
    one = accepted(database)
    right = Check(SHOP, code_of(one), verification_id=one.verification_id)
    not_right = Check(SHOP, wrong(code_of(one)), verification_id=one.verification_id)
    groups = [(process, [not_right, right]) for process in [database, other_process] * 4]
    found = Counter(at_once(groups))
    row = verification(database, one.verification_id)
    assert found["valid"] == 1
    assert row.status == "approved"
    tried = sum(count for said, count in found.items() if said.startswith("pending "))
    assert tried == row.attempts < MOST
    assert found["already_used"] == 2 * len(groups) - 1 - tried


def pending(attempts: int = 0, expires_at: int = IN_TIME) -> CheckState:
    return CheckState("pending", attempts, expires_at)


def after(standing: CheckState, *, is_right: bool, now: int = NOW) -> CheckState | Refused:
    return standing.after(is_right=is_right, most=MOST, now=now)


@pytest.mark.parametrize("attempts", range(MOST))
def test_right_code_approves_without_using_an_attempt(attempts: int) -> None:
    standing = after(pending(attempts), is_right=True)
    assert standing == CheckState("approved", attempts, IN_TIME)


@pytest.mark.parametrize("attempts", range(MOST - 1))
def test_a_wrong_code_is_counted_and_leaves_it_pending(attempts: int) -> None:
    assert after(pending(attempts), is_right=False) == pending(attempts + 1)


def test_the_last_wrong_code_ends_it() -> None:
    ended = after(pending(MOST - 1), is_right=False)
    assert ended == CheckState("max_attempts_reached", MOST, IN_TIME)


def test_lowered_maximum_ends_the_verification_at_the_next_wrong_code() -> None:
    """OTP_MAX_ATTEMPTS was lowered below the used attempts."""
    standing = pending(3).after(is_right=False, most=2, now=NOW)
    assert isinstance(standing, CheckState)
    assert standing.status == "max_attempts_reached"


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize(
    ("standing", "error", "word"),
    [
        (CheckState("approved", 0, IN_TIME), Conflict, "already_used"),
        (CheckState("approved", 0, NOW - 1), Conflict, "already_used"),
        (CheckState("max_attempts_reached", 5, IN_TIME), TooMany, "max_attempts_reached"),
        (CheckState("max_attempts_reached", 5, NOW - 1), TooMany, "max_attempts_reached"),
        (CheckState("expired", 0, NOW - 1), Gone, "expired"),
        (pending(expires_at=NOW), Gone, "expired"),
        (pending(expires_at=NOW - 1), Gone, "expired"),
        (CheckState("canceled", 0, IN_TIME), NotFound, "nothing_pending"),
        (CheckState("failed", 0, IN_TIME), NotFound, "nothing_pending"),
    ],
)
def test_ended_verification_is_refused_with_a_reason(
    standing: CheckState, error: type[Refused], word: str, *, is_right: bool
) -> None:
    refused = after(standing, is_right=is_right)
    assert type(refused) is error
    assert refused.word == word


def test_refusal_after_too_many_attempts_has_no_retry_after() -> None:
    refused = after(CheckState("max_attempts_reached", 5, IN_TIME), is_right=True)
    assert isinstance(refused, TooMany)
    assert refused.retry_after is None


@settings(deadline=None, database=None)
@given(
    status=st.sampled_from(STATUSES),
    attempts=st.integers(0, MOST),
    expires_at=st.integers(NOW - 3, NOW + 3),
    checks=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=12),
)
def test_no_sequence_of_checks_approves_twice_too_late_or_beyond_the_attempts(
    status: Status, attempts: int, expires_at: int, checks: list[tuple[bool, int]]
) -> None:
    standing = CheckState(status, attempts, expires_at)
    now, approvals, tried = NOW, 0, 0
    for is_right, later in checks:
        now += later
        outcome = after(standing, is_right=is_right, now=now)
        if isinstance(outcome, Refused):
            continue
        assert standing.status == "pending"
        assert now < expires_at
        tried += 1
        approvals += outcome.status == "approved"
        assert outcome.expires_at == expires_at
        standing = outcome
    assert approvals <= 1
    assert tried <= max(1, MOST - attempts)
