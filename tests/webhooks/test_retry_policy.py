"""The retry schedule of failed deliveries."""

import pytest

from hudhud.webhooks.retry_policy import LONGEST_ASKED_SECONDS, RETRY_WAITS, retry_at


def test_the_schedule_has_ten_attempts_in_three_days() -> None:
    waits = [retry_at(n, RETRY_WAITS, asked=None, now=0) for n in range(1, 11)]
    hours = [0 if wait is None else wait / 3_600_000 for wait in waits]
    expected = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24, 0]
    for found, meant in zip(hours, expected, strict=True):
        assert 0.9 * meant <= found <= 1.1 * meant
    assert waits[-1] is None
    assert len({retry_at(9, RETRY_WAITS, asked=None, now=0) for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("asked", "seconds"), [(120.0, 120), (1.0, 50), (10.0**8, LONGEST_ASKED_SECONDS)]
)
def test_retry_after_is_respected_within_bounds(asked: float, seconds: int) -> None:
    at = retry_at(1, [50], asked=asked, now=0)
    assert at is not None
    assert 0.9 * seconds <= at / 1000 <= 1.1 * seconds
    assert retry_at(2, [50], asked=asked, now=0) is None
