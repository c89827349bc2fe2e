"""The pace of one sender, and the waits between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.messages.queue import LONGEST_RETRY_SECONDS, retry_delay
from hudhud.worker.pace import Pace

NOW = 1_795_483_878_036
gaps = st.tuples(st.integers(0, 3_600_000), st.integers(0, 3_600_000)).map(sorted)


def test_first_message_is_sent_at_once() -> None:
    assert Pace(500, 1500).wait(NOW) == 0


def test_message_after_a_quiet_period_is_sent_at_once() -> None:
    pace = Pace(500, 1500)
    pace.take_turn(NOW)
    assert pace.wait(NOW + 1500) == 0


@given(gaps)
def test_next_message_waits_a_gap_within_the_bounds(bounds: list[int]) -> None:
    shortest, longest = bounds
    pace = Pace(shortest, longest)
    next_send_at = pace.take_turn(NOW)
    assert NOW + shortest <= next_send_at <= NOW + longest
    assert pace.wait(NOW) == (next_send_at - NOW) / 1000
    assert pace.wait(next_send_at) == 0


def test_gaps_are_random() -> None:
    pace = Pace(0, 3_600_000)
    assert len({pace.take_turn(NOW) for _ in range(20)}) > 10


def test_pace_survives_a_restart() -> None:
    assert Pace(500, 1500, next_send_at=NOW + 800).wait(NOW) == 0.8


@given(gaps, st.integers(0, 10**10))
def test_clock_set_back_delays_at_most_by_the_longest_gap(bounds: list[int], step: int) -> None:
    shortest, longest = bounds
    pace = Pace(shortest, longest)
    pace.take_turn(NOW)
    assert pace.wait(NOW - step) <= longest / 1000
    assert pace.wait(NOW - step + longest) == 0


@pytest.mark.parametrize(("longest", "unlimited"), [(0, True), (1, False)])
def test_only_a_pace_without_gaps_is_unlimited(longest: int, *, unlimited: bool) -> None:
    assert Pace(0, longest).is_unlimited is unlimited


@given(st.integers(1, 10_000))
def test_retry_waits_grow_up_to_a_bound_with_jitter(attempt: int) -> None:
    undisturbed = min(LONGEST_RETRY_SECONDS, 2.0 ** min(attempt, 60))
    assert undisturbed * 0.75 <= retry_delay(attempt) <= undisturbed * 1.25


def test_the_waits_of_two_messages_differ() -> None:
    assert len({retry_delay(3) for _ in range(20)}) > 10
