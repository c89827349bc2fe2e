"""The charts' data: labels as in the table, ticks of the time axis, and seconds."""

import json
from zoneinfo import ZoneInfo

import pytest

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from hudhud.messages.statistics import Range, Series
from hudhud.web.admin.status.charts import chart_data, period
from hudhud.web.admin.ui.format import Format
from hudhud.web.admin.ui.view import Language, View

CAIRO = ZoneInfo("Africa/Cairo")
LATE_MORNING = 1_795_515_060_000  # 12:11 in Cairo on 24 November
UNIT = {"hour": MINUTE_MS, "day": HOUR_MS, "month": DAY_MS}


def series(chosen: Range, count: int) -> Series:
    starts = [LATE_MORNING - UNIT[chosen] * place for place in reversed(range(count))]
    zeros, times = [0] * count, [None, *[1840] * (count - 1)]
    return Series(chosen, starts, zeros, zeros, zeros, zeros, times, times, 1840, 1840)


def data(chosen: Range, count: int, language: Language = "en") -> dict[str, list[object]]:
    fmt = Format(View(language, CAIRO), LATE_MORNING)
    found: dict[str, list[object]] = json.loads(chart_data(series(chosen, count), fmt))
    return found


@pytest.mark.parametrize(
    ("chosen", "language", "labels"),
    [
        ("hour", "en", ["12:09", "12:10", "12:11, so far"]),
        ("day", "en", ["10:11", "11:11", "12:11, so far"]),
        ("month", "en", ["22 Nov", "23 Nov", "24 Nov, so far"]),
        ("day", "ar", ["10:11", "11:11", "12:11، حتى الآن"]),
    ],
)
def test_labels_are_the_times_of_the_table_and_the_last_period_is_not_over(
    chosen: Range, language: Language, labels: list[str]
) -> None:
    fmt = Format(View(language, CAIRO), LATE_MORNING)
    assert data(chosen, 3, language)["labels"] == labels
    assert [period(series(chosen, 3), place, fmt).striptags() for place in range(3)] == labels


def test_hours_of_the_previous_day_are_named_so() -> None:
    assert data("day", 14)["labels"][0] == "yesterday, 23:11"


@pytest.mark.parametrize(
    ("chosen", "count", "ticks"),
    [
        ("hour", 25, [[3, "11:50"], [13, "12:00"], [23, "12:10"]]),
        ("day", 10, [[1, "04:11"], [5, "08:11"], [9, "12:11"]]),
        ("month", 8, [[2, "19 Nov"], [7, "24 Nov"]]),
    ],
)
def test_ticks_are_at_round_times(chosen: Range, count: int, ticks: list[tuple[int, str]]) -> None:
    assert data(chosen, count)["ticks"] == ticks


def test_delivery_times_are_in_seconds_and_missing_ones_stay_empty() -> None:
    assert data("day", 3)["median"] == data("day", 3)["p95"] == [None, 1.84, 1.84]
