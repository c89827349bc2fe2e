"""The waits between failed connections."""

import pytest

from hudhud.channels.linked.timing import Backoff


def test_waits_double_up_to_a_maximum_with_jitter() -> None:
    backoff = Backoff(first=2, longest=60)
    waits = [backoff.fail() for _ in range(8)]
    middles = [2, 4, 8, 16, 32, 60, 60, 60]
    for wait, middle in zip(waits, middles, strict=True):
        assert wait == pytest.approx(middle, rel=0.25)
    assert backoff.failures == 8


def test_success_resets_the_wait() -> None:
    backoff = Backoff(first=2, longest=60)
    for _ in range(5):
        backoff.fail()
    backoff.succeed()
    assert backoff.failures == 0
    assert backoff.fail() == pytest.approx(2, rel=0.25)


def test_first_wait_of_zero_still_leaves_a_pause() -> None:
    assert Backoff(first=0, longest=60).fail() > 0


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(first=2, longest=60)
    assert max(backoff.fail() for _ in range(1000)) <= 75
