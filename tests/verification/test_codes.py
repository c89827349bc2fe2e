"""One-time codes."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudhud.verification.codes import LONGEST_TYPED, OWN, canonical, new_code, readings

MANY = 20_000
# Chi-squared with 9 degrees of freedom exceeds this once in 10^12 honest runs.
UNBELIEVABLE = 75.0
# The zeros of scripts in which people type codes: Arabic-Indic, Persian and Urdu, Hindi, Bengali,
# Thai, Myanmar, fullwidth, and mathematical bold beyond the Basic Multilingual Plane.
ZEROS = "0٠۰०০๐၀０𝟎"
SPACES = " \t\r\n\u00a0\u2002\u2007\u2009\u200a\u202f\u205f\u3000"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u301c\ufe58\ufe63\uff0d"
# Zero-width characters and direction marks; the last one is the byte order mark.
MARKS = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202e\u2060\u2066\u2069\ufeff"
codes = st.from_regex(OWN, fullmatch=True)


def spelled(code: str, zero: str) -> str:
    """Return a code in the digits of another script."""
    return "".join(chr(ord(zero) + int(sign)) if sign.isdigit() else sign for sign in code)


@pytest.mark.parametrize("length", range(4, 11))
def test_code_has_the_requested_length_and_only_ascii_digits(length: int) -> None:
    codes = [new_code(length) for _ in range(200)]
    assert {len(code) for code in codes} == {length}
    assert all(code.isascii() and code.isdigit() for code in codes)


@pytest.mark.parametrize("position", range(4))
def test_every_digit_is_equally_likely_in_every_position(position: int) -> None:
    found = Counter(new_code(4)[position] for _ in range(MANY))
    expected = MANY / 10
    assert sum((found[digit] - expected) ** 2 / expected for digit in "0123456789") < UNBELIEVABLE


def test_long_codes_do_not_repeat() -> None:
    codes = {new_code(10) for _ in range(1000)}
    assert len(codes) > 990


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0471", "0471"),
        ("٠٤٧١", "0471"),
        ("۰۴۷۱", "0471"),
        ("۰٤7१", "0471"),
        ("\u200f٠٤\u00a0٧١\u200f", "0471"),
        ("047 1", "0471"),
        ("04-71", "0471"),
        (" 04\u201371\r\n", "0471"),
        ("\u202a0471\u202c", "0471"),
        ("\ufeff0471", "0471"),
        ("aB3x", "AB3X"),
        ("ab-3x ", "AB3X"),
    ],
)
def test_typed_code_is_canonicalized(typed: str, read: str) -> None:
    assert canonical(typed) == read


@settings(deadline=None, database=None)
@given(code=codes, zero=st.sampled_from(ZEROS), data=st.data())
def test_digits_of_every_script_spaces_dashes_marks_and_case_make_no_difference(
    code: str, zero: str, data: st.DataObject
) -> None:
    typed = spelled(code, zero)
    if data.draw(st.booleans()):
        typed = typed.swapcase()
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(typed)))
        typed = typed[:place] + data.draw(st.sampled_from(SPACES + DASHES + MARKS)) + typed[place:]
    assert canonical(typed) == code.upper()


@settings(deadline=None, database=None)
@given(code=codes, other=codes)
def test_codes_that_differ_by_more_than_case_stay_different(code: str, other: str) -> None:
    assert (canonical(code) == canonical(other)) == (code.upper() == other.upper())


@settings(deadline=None, database=None)
@given(typed=st.text())
def test_canonical_code_is_stable(typed: str) -> None:
    read = canonical(typed)
    assert canonical(read) == canonical(read + " ") == read or len(read) >= LONGEST_TYPED


@pytest.mark.parametrize(
    "typed",
    ["", " - ", "\u200f", "0471.", "0471,", "04_71", "0471!", "O471", "⓪④⑦①", "²³¹⁰", "四七一〇"],
)
def test_other_text_is_no_code(typed: str) -> None:
    assert not re.fullmatch("[0-9]{4}", canonical(typed))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("345", ["345"]),
        (" ٣٤٥", ["345"]),
        (4711, ["4711", "04711", "004711", "0004711", "00004711", "000004711", "0000004711"]),
        (0, ["0" * length for length in range(1, 11)]),
        (123456789, ["123456789", "0123456789"]),
        (1234567890, ["1234567890"]),
        (12345678901, ["12345678901"]),
    ],
)
def test_only_a_number_may_have_lost_zeros(typed: str | int, read: list[str]) -> None:
    assert readings(typed) == read


@settings(deadline=None, database=None)
@given(code=st.from_regex("[0-9]{4,10}", fullmatch=True))
def test_code_is_among_the_readings_of_its_number(code: str) -> None:
    found = readings(int(code))
    assert found.count(code) == 1
    assert len({len(one) for one in found}) == len(found)


def test_overlong_input_is_truncated() -> None:
    assert canonical("9" * LONGEST_TYPED + "1") == "9" * LONGEST_TYPED
    assert canonical(" " * LONGEST_TYPED + "0471") == ""
