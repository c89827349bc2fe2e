"""Accepted phone numbers and their display."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.phones import Phone, is_same_line, mask_phone, parse_phone, region


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+201001234567", Phone("+201001234567", "EG")),
        ("+966501234567", Phone("+966501234567", "SA")),
        ("+447700900123", Phone("+447700900123", "GB")),
        ("+12025550123", Phone("+12025550123", "US")),
        ("+79161234567", Phone("+79161234567", "RU")),
        ("+80012345678", Phone("+80012345678", "001")),  # belongs to no country
        (" \t+201001234567\r\n", Phone("+201001234567", "EG")),
    ],
)
def test_possible_number_is_accepted_with_its_country(text: str, phone: Phone) -> None:
    assert parse_phone(text) == phone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "201001234567",
        "00201001234567",
        "+0201001234567",
        "++201001234567",
        "+20100123456a",
        "+20 100 123 4567",
        "+20-100-123-4567",
        "(+20)1001234567",
        "tel:+201001234567",
        "+1234567",  # seven digits
        "+1234567890123456",  # sixteen
        "+20100",
        "+2010012345678901",
        "+96650123",  # too short for Saudi Arabia
        "+999123456789",  # no country has this code
        "+210123456789",
        "+٢٠١٠٠١٢٣٤٥٦٧",  # Arabic digits
        "+۲۰۱۰۰۱۲۳۴۵۶۷",  # Persian digits
        "+201001234567\x00",
        "+201001234567\n+201001234568",
        "\N{FULLWIDTH PLUS SIGN}201001234567",
    ],
)
def test_impossible_number_is_refused(text: str) -> None:
    assert parse_phone(text) is None


@given(st.text(max_size=40) | st.from_regex(r"\+\d{0,20}", fullmatch=True))
def test_any_text_parses_to_a_plain_number_or_none(text: str) -> None:
    phone = parse_phone(text)
    if phone is not None:
        assert phone.number == text.strip()
        assert phone.number[0] == "+"
        assert phone.number[1:].isascii()
        assert phone.number[1:].isdigit()
        assert 8 <= len(phone.number[1:]) <= 15


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("+201001234567", "+2010*****67"),
        ("+12025550123", "+1202*****23"),
        ("+1234567", "+1234*****67"),
        ("+123456", "*****"),
        ("", "*****"),
    ],
)
def test_mask_hides_the_middle_and_the_length_of_a_number(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_number_is_accepted_exactly_if_libphonenumber_accepts_it(number: str) -> None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        assert parse_phone(number) is None
        return
    phone = parse_phone(number)
    assert (phone is not None) == phonenumbers.is_possible_number(parsed)
    if phone is not None:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        assert phone.country == region


@pytest.mark.parametrize(
    ("one", "other", "is_one_line"),
    [
        ("+201001234567", "+201001234567", True),
        ("+201001234567", "+201001234568", False),
        ("+525512345678", "+5215512345678", True),
        ("+5561991674800", "+556191674800", True),
        ("+5511953456789", "+551153456789", False),  # the second is a landline
        ("+5561991674800", "+5561991674801", False),
        ("+5561991674800", "+5511991674800", False),
        ("+54911123456789", "+5411123456789", False),
        ("+96652551234567", "+966512551234567", False),
    ],
)
def test_alternative_forms_of_a_number_are_the_same_line(
    one: str, other: str, *, is_one_line: bool
) -> None:
    assert is_same_line(one, other) is is_one_line
    assert is_same_line(other, one) is is_one_line


def country_of(number: str) -> str:
    phone = parse_phone(number)
    assert phone is not None
    return region(phone)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+201001234567", "EG"),
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+12645550123", "AI"),
        ("+79161234567", "RU"),
        ("+77011234567", "KZ"),
        ("+447400123456", "GB"),
        ("+447781123456", "GG"),
        ("+80012345678", "001"),
        ("+19999999999", "US"),  # of no known country, so the main one of its code
    ],
)
def test_number_belongs_to_its_own_country_not_the_main_one_of_its_code(
    number: str, country: str
) -> None:
    assert country_of(number) == country


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_country_of_every_example_number_is_found(country: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    if parse_phone(number) is not None:  # some islands have shorter numbers than those accepted
        assert country_of(number) == phonenumbers.region_code_for_number(example)
