"""Waits that double with each failure."""

import pytest

from hudhud.core.backoff import doubled, jittered


@pytest.mark.parametrize(
    ("times", "wait"), [(0, 2.0), (1, 4.0), (4, 32.0), (5, 60.0), (100_000, 60.0)]
)
def test_a_wait_doubles_up_to_a_bound(times: int, wait: float) -> None:
    assert doubled(2.0, times, most=60.0) == wait


def test_jitter_is_at_most_a_quarter() -> None:
    waits = [jittered(8.0) for _ in range(1000)]
    assert 6.0 <= min(waits) < 6.5
    assert 9.5 < max(waits) <= 10.0
