"""Tables and relative times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hudhud.cli.durations import Duration, duration
from hudhud.cli.tables import ago, ahead, table
from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from hudhud.core.errors import BadRequest

NOW = 1_800_000_000_000
CELLS = st.text("abc مرحبا好", min_size=1, max_size=8).map(
    lambda cell: f"x{cell}|".replace(" ", "")
)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=4))
def test_columns_are_aligned_without_colours(rows: list[tuple[str, str, str]]) -> None:
    lines = table(("one", "two", "three"), rows).replace("\x1b[1m", "").replace("\x1b[0m", "")
    printed = lines.split("\n")
    assert printed[0].split() == ["ONE", "TWO", "THREE"]
    start = cell_len(printed[0][: printed[0].index("THREE")])
    for line, row in zip(printed[1:], rows, strict=True):
        assert line.split() == list(row)
        assert cell_len(line) == start + cell_len(row[2])


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (-5, "just now"),
        (0, "just now"),
        (SECOND_MS, "1 s ago"),
        (MINUTE_MS - 1, "59 s ago"),
        (MINUTE_MS, "1 min ago"),
        (HOUR_MS - 1, "59 min ago"),
        (DAY_MS - 1, "23 h ago"),
        (90 * DAY_MS, "90 d ago"),
    ],
)
def test_past_times_have_one_unit(age: int, words: str) -> None:
    assert ago(NOW - age, NOW) == words


def test_coming_times_and_missing_times_have_words() -> None:
    assert ahead(NOW + 2 * HOUR_MS, NOW) == "in 2 h"
    assert ahead(NOW - HOUR_MS, NOW) == "now"
    assert ago(None, NOW) == "never"


@given(count=st.integers(0, 999), unit=st.sampled_from("smhd"))
def test_duration_is_printed_as_it_can_be_typed(count: int, unit: str) -> None:
    parsed = duration(f"{count}{unit}")
    assert duration(str(parsed)) == parsed == duration(parsed)


def test_zero_and_whole_units_are_short() -> None:
    assert [str(Duration(each)) for each in (0, 90 * SECOND_MS, DAY_MS)] == ["0s", "90s", "1d"]


@pytest.mark.parametrize("text", ["", "24", "24 h", "1.5h", "-1h", "soon", "1w"])
def test_other_texts_are_refused_with_examples(text: str) -> None:
    with pytest.raises(BadRequest, match="a number and a unit, like 90d, 24h, 30m or 0s"):
        duration(text)
