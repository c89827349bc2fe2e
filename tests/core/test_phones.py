"""Accepted phone numbers and their display."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.phones import (
    Phone,
    canonical_or_same,
    mask_phone,
    parse_international,
    parse_known_phone,
    parse_phone,
    region,
    stored_phone,
)


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
        ("\ufeff+201001234567\u00a0", Phone("+201001234567", "EG")),
    ],
)
def test_number_to_send_to_is_accepted_with_its_country(text: str, phone: Phone) -> None:
    assert parse_international(text) == phone


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
def test_number_to_send_to_in_another_form_is_refused(text: str) -> None:
    assert parse_international(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "+966 50 123 4567",
        "+966-50-123-4567",
        "+966 (0) 50 123.4567",
        "00966501234567",
        "00 966 (050) 1234567",
        "\u202a+966 50 123 4567\u202c",
        "\u2066+966501234567\u2069",
        "\ufeff+966501234567",
        "\u200e+966\u200f501234567",
        "+٩٦٦٥٠١٢٣٤٥٦٧",
        "٠٠٩٦٦٥٠١٢٣٤٥٦٧",
        "+९६६५०१२३४५६७",
        "\N{FULLWIDTH PLUS SIGN}966501234567",
    ],
)
def test_number_is_read_as_people_write_it(text: str) -> None:
    assert parse_phone(text) == Phone("+966501234567", "SA")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "966501234567",
        "0501234567",
        "++966501234567",
        "+96650123456a",
        "+966501234567\x00",
        "+966501234567,+966501234568",
        "tel:+966501234567",
        "+999123456789",
        "+96650123",
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    assert parse_phone(text) is None
    assert parse_known_phone(text) is None or text == "+96650123"


def test_short_numbers_of_small_countries_are_read_but_not_sent_to() -> None:
    assert parse_phone("+683 4012") == Phone("+6834012", "NU")
    assert parse_international("+6834012") is None


def test_number_that_is_refused_now_may_be_stored() -> None:
    assert parse_phone("+12530000") is None
    assert parse_known_phone("+1 253 0000") == Phone("+12530000", "US")
    assert parse_known_phone("+9660501234567") == Phone("+966501234567", "SA")


@pytest.mark.parametrize("stored", ["+12530000", "forgotten-0123456789abcdef", "", "+999"])
def test_stored_number_is_never_refused(stored: str) -> None:
    assert stored_phone(stored).number == canonical_or_same(stored) == stored


@given(st.text(max_size=40) | st.from_regex(r"\+\d{0,20}", fullmatch=True))
def test_any_text_parses_to_a_plain_number_or_none(text: str) -> None:
    for phone in (parse_phone(text), parse_international(text)):
        if phone is not None:
            assert phone.number[0] == "+"
            assert phone.number[1:].isascii()
            assert phone.number[1:].isdigit()
            assert 5 <= len(phone.number[1:]) <= 15


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
