"""The rule that decides over a check, without any database."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudhud.core.errors import Conflict, Gone, NotFound, Refused, TooMany
from hudhud.verification.check import Standing
from hudhud.verification.lifecycle import STATUSES, Status

MOST = 5
NOW = 1_795_483_878_036
IN_TIME = NOW + 1


def pending(attempts: int = 0, expires_at: int = IN_TIME) -> Standing:
    return Standing("pending", attempts, expires_at)


def after(standing: Standing, *, is_right: bool, now: int = NOW) -> Standing | Refused:
    return standing.after(is_right=is_right, most=MOST, now=now)


@pytest.mark.parametrize("attempts", range(MOST))
def test_the_right_code_approves_and_is_no_attempt(attempts: int) -> None:
    standing = after(pending(attempts), is_right=True)
    assert standing == Standing("approved", attempts, IN_TIME)


@pytest.mark.parametrize("attempts", range(MOST - 1))
def test_a_wrong_code_is_counted_and_leaves_it_pending(attempts: int) -> None:
    assert after(pending(attempts), is_right=False) == pending(attempts + 1)


def test_the_last_wrong_code_ends_it() -> None:
    ended = after(pending(MOST - 1), is_right=False)
    assert ended == Standing("max_attempts_reached", MOST, IN_TIME)


def test_fewer_attempts_than_were_used_already_end_it_at_the_next_wrong_code() -> None:
    """As after a change of OTP_MAX_ATTEMPTS."""
    standing = pending(3).after(is_right=False, most=2, now=NOW)
    assert isinstance(standing, Standing)
    assert standing.status == "max_attempts_reached"


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.parametrize(
    ("standing", "error", "word"),
    [
        (Standing("approved", 0, IN_TIME), Conflict, "already_used"),
        (Standing("approved", 0, NOW - 1), Conflict, "already_used"),
        (Standing("max_attempts_reached", 5, IN_TIME), TooMany, "max_attempts_reached"),
        (Standing("max_attempts_reached", 5, NOW - 1), TooMany, "max_attempts_reached"),
        (Standing("expired", 0, NOW - 1), Gone, "expired"),
        (pending(expires_at=NOW), Gone, "expired"),
        (pending(expires_at=NOW - 1), Gone, "expired"),
        (Standing("canceled", 0, IN_TIME), NotFound, "nothing_pending"),
        (Standing("failed", 0, IN_TIME), NotFound, "nothing_pending"),
    ],
)
def test_what_has_ended_cannot_be_checked_and_says_why(
    standing: Standing, error: type[Refused], word: str, *, is_right: bool
) -> None:
    refused = after(standing, is_right=is_right)
    assert type(refused) is error
    assert refused.word == word


def test_nobody_is_told_to_try_the_same_code_again_later() -> None:
    refused = after(Standing("max_attempts_reached", 5, IN_TIME), is_right=True)
    assert isinstance(refused, TooMany)
    assert refused.retry_after is None


@settings(deadline=None, database=None)
@given(
    status=st.sampled_from(STATUSES),
    attempts=st.integers(0, MOST),
    expires_at=st.integers(NOW - 3, NOW + 3),
    checks=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=12),
)
def test_no_row_of_checks_approves_twice_too_late_or_beyond_the_attempts(
    status: Status, attempts: int, expires_at: int, checks: list[tuple[bool, int]]
) -> None:
    standing = Standing(status, attempts, expires_at)
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
