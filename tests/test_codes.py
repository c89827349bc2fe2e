"""One-time codes."""

from collections import Counter

import pytest

from hudhud.codes import new_code

MANY = 20_000
# Chi-squared with 9 degrees of freedom exceeds this once in 10^12 honest runs.
UNBELIEVABLE = 75.0


@pytest.mark.parametrize("length", range(4, 11))
def test_a_code_has_the_length_asked_for_and_ascii_digits_only(length: int) -> None:
    codes = [new_code(length) for _ in range(200)]
    assert {len(code) for code in codes} == {length}
    assert all(code.isascii() and code.isdigit() for code in codes)


@pytest.mark.parametrize("position", range(4))
def test_every_digit_is_equally_likely_in_every_place(position: int) -> None:
    found = Counter(new_code(4)[position] for _ in range(MANY))
    expected = MANY / 10
    assert sum((found[digit] - expected) ** 2 / expected for digit in "0123456789") < UNBELIEVABLE


def test_codes_do_not_repeat_where_there_is_room() -> None:
    codes = {new_code(10) for _ in range(1000)}
    assert len(codes) > 990
