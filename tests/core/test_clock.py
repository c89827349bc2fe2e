"""Time as it is stored and formatted."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.clock import FRESH_MS, SECOND_MS, iso, moment_in, now_ms

YEAR_9999 = 253_402_300_799_999


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_483_878_036, "2026-11-24T01:31:18.036Z"),
        (1_795_483_878_000, "2026-11-24T01:31:18.000Z"),
        (951_782_400_007, "2000-02-29T00:00:00.007Z"),
        (YEAR_9999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_written_with_milliseconds_and_z(milliseconds: int, written: str) -> None:
    assert iso(milliseconds) == written


@given(st.integers(0, YEAR_9999))
def test_a_written_time_reads_back_to_the_millisecond(milliseconds: int) -> None:
    read = datetime.fromisoformat(iso(milliseconds))
    assert round(read.timestamp() * 1000) == milliseconds


@given(st.integers(0, 2_000_000_000), st.integers(-10_000, 10_000))
def test_moment_of_fresh_news_is_that_at_which_it_was_heard(second: int, away: int) -> None:
    begin, end = second * SECOND_MS, second * SECOND_MS + SECOND_MS - 1
    heard = begin + away
    gap = max(begin - heard, heard - end, 0)  # to the nearest moment of the second
    assert FRESH_MS == 2000
    assert moment_in(second, heard=heard) == (heard if gap <= FRESH_MS else begin)


@pytest.mark.parametrize(
    ("heard", "moment"),
    [
        (97_999, 100_000),
        (98_000, 98_000),
        (100_000, 100_000),
        (102_999, 102_999),
        (103_000, 100_000),
    ],
)
def test_news_is_fresh_within_two_seconds_of_its_second(heard: int, moment: int) -> None:
    assert moment_in(100, heard=heard) == moment


def test_now_is_the_current_time_in_milliseconds() -> None:
    before = datetime.now(UTC).timestamp() * 1000
    now = now_ms()
    assert before - 1 <= now <= datetime.now(UTC).timestamp() * 1000
