import pytest

from hudhud.core.whole_numbers import LARGEST, whole_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("7", 7), ("0042", 42), ("9" * 18, LARGEST)]
)
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", " 1", "1\n", "1_000", "1.0", "1e3", "0x1", "٧", "²", "1" * 19, "x"],
)
def test_any_other_text_is_none(text: str) -> None:
    assert whole_number(text) is None


@pytest.mark.parametrize(("text", "number"), [("4", None), ("5", 5), ("9", 9), ("10", None)])
def test_a_number_out_of_the_range_is_none(text: str, number: int | None) -> None:
    assert whole_number(text, least=5, most=9) == number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("50", 50), ("05", None), ("00", None)])
def test_leading_zeros_can_be_refused(text: str, number: int | None) -> None:
    assert whole_number(text, padded=False) == number
