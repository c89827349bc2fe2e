"""One form of a phone number, however it is written."""

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from hudhud.core.numbering import canonical, canonical_by_parser, spellings, split
from hudhud.core.phones import parse_phone

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
# Every type but the two that a library function, not a number, can have.
TYPES = [kind for kind in PhoneNumberType.values() if kind not in (2, PhoneNumberType.UNKNOWN)]


def examples(*kinds: int) -> list[str]:
    """Return the library's example numbers of these types, of all regions."""
    found = [
        phonenumbers.example_number_for_type(region, kind) for region in REGIONS for kind in kinds
    ]
    return sorted({phonenumbers.format_number(one, PhoneNumberFormat.E164) for one in found if one})


PEOPLE = examples(PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        # The prefix of calls within the country.
        ("+9660501234567", "+966501234567"),
        ("+2001001234567", "+201001234567"),
        ("+9710501234567", "+971501234567"),
        ("+9005321234567", "+905321234567"),
        ("+9203001234567", "+923001234567"),
        ("+4407911123456", "+447911123456"),
        ("+789161234567", "+79161234567"),
        ("+3606201234567", "+36201234567"),
        ("+112025550123", "+12025550123"),
        ("+5506191234567", "+5561991234567"),  # and a former number
        ("+5703211234567", "+573211234567"),
        ("+390612345678", "+390612345678"),  # Italy's numbers begin with a zero
        # Renumberings.
        ("+5215512345678", "+525512345678"),
        ("+556191234567", "+5561991234567"),
        ("+551153456789", "+551153456789"),  # a landline
        ("+54111512345678", "+5491112345678"),
        ("+541112345678", "+541112345678"),  # also a landline: only WhatsApp knows
        ("+5491112345678", "+5491112345678"),
        ("+22997123456", "+2290197123456"),
        ("+22507123456", "+2250707123456"),
        ("+22504123456", "+2250504123456"),
        ("+22501123456", "+2250101123456"),
        ("+22522412345", "+2252722412345"),
        # Possible, but not valid as far as the library knows.
        ("+19999999999", "+19999999999"),
        # Possible only inside an area, or impossible.
        ("+12530000", None),
        ("+4479460018", None),
        ("+541234567", None),
        ("+20212345", None),
        ("+22599123", None),
        ("+999123456789", None),
        ("+21", None),
    ],
)
def test_a_number_is_kept_in_one_form(written: str, kept: str | None) -> None:
    assert canonical(written) == kept


@pytest.mark.parametrize("kind", TYPES)
def test_fast_path_agrees_with_the_parser_on_example_numbers(kind: int) -> None:
    for number in examples(kind):
        assert canonical(number) == canonical_by_parser(number) == number


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True) | st.sampled_from(PEOPLE))
def test_fast_path_agrees_with_the_parser(number: str) -> None:
    assert canonical(number) == canonical_by_parser(number)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True) | st.sampled_from(PEOPLE))
def test_kept_form_is_kept_unchanged(number: str) -> None:
    kept = canonical(number)
    assert kept is None or canonical(kept) == kept


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    st.sampled_from(["", "0", "00", "8", "1", "15"]),
    st.from_regex(r"[0-9]{4,11}", fullmatch=True)
    | st.sampled_from([split(number)[1] for number in PEOPLE]),
)
def test_kept_form_of_a_number_with_prefixes_is_kept(code: int, prefix: str, digits: str) -> None:
    kept = canonical(f"+{code}{prefix}{digits}")
    assert kept is None or canonical(kept) == kept


@given(
    st.sampled_from(PEOPLE),
    st.sampled_from([PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL]),
)
def test_formatted_number_is_read_again(number: str, style: int) -> None:
    text = phonenumbers.format_number(phonenumbers.parse(number), style)
    phone = parse_phone(text)
    assert phone is not None
    assert phone.number == number


SEPARATORS = ["", " ", "  ", "-", ".", " - ", "\u00a0", "\u200e", "\u2066", "\ufeff", "\u2011", "/"]


@given(st.data(), st.sampled_from(PEOPLE))
def test_any_spelling_is_the_same_number_or_refused(data: st.DataObject, number: str) -> None:
    code, national = split(number)
    region = phonenumbers.region_code_for_country_code(code)
    metadata = PhoneMetadata.metadata_for_region(region)
    prefix = (metadata and metadata.national_prefix) or ""
    start = data.draw(st.sampled_from(["+", "00", "\u202a+", " +"]))
    inside = data.draw(st.sampled_from(["", prefix, f"({prefix})"]))
    separators = data.draw(st.lists(st.sampled_from(SEPARATORS), min_size=1, max_size=5))
    digits = "".join(
        digit + separators[place % len(separators)] for place, digit in enumerate(national)
    )
    phone = parse_phone(f"{start}{code}{separators[0]}{inside}{digits}")
    assert phone is None or phone.number == number
    if not inside:
        assert phone is not None


@pytest.mark.parametrize(
    ("kept", "other"),
    [
        ("+966501234567", "+9660501234567"),
        ("+525512345678", "+5215512345678"),
        ("+5561991234567", "+556191234567"),
        ("+5561991234567", "+5506191234567"),
        ("+5561991234567", "+550216191234567"),
        ("+37061230401", "+370861230401"),
        ("+375294916364", "+3750294916364"),
        ("+573211234567", "+57033211234567"),
        ("+5491112345678", "+54111512345678"),
        ("+2250707123456", "+22507123456"),
        ("+2290197123456", "+22997123456"),
        ("+36201234567", "+3606201234567"),
        ("+12025550123", "+112025550123"),
    ],
)
def test_former_spelling_of_a_number_is_known(kept: str, other: str) -> None:
    assert {kept, other} <= spellings(kept)


@given(st.sampled_from(PEOPLE))
def test_every_spelling_is_the_same_number(number: str) -> None:
    assert {canonical(one) for one in spellings(number)} == {number}


@given(st.text(max_size=20))
def test_text_that_is_no_number_has_one_spelling(text: str) -> None:
    if not re.fullmatch(r"\+[0-9]+", text):
        assert text in spellings(text)
