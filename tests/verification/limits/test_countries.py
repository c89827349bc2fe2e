"""To which country a number belongs, and to which no code is sent."""

from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import settings
from hudhud.core.errors import NotAllowed
from hudhud.core.phones import parse_phone
from hudhud.db.engine import Database
from hudhud.verification.limits.countries import Countries, region


@pytest.fixture
def unused() -> Iterator[Database]:
    """A database that nobody asks."""
    database = Database("sqlite://")
    yield database
    database.close()


def country_of(number: str) -> str:
    phone = parse_phone(number)
    assert phone is not None
    return region(phone)


def is_allowed(database: Database, number: str, **changes: Any) -> bool:
    phone = parse_phone(number)
    assert phone is not None
    try:
        Countries(settings(**changes), database).check(phone)
    except NotAllowed as error:
        word = error.word
    else:
        return True
    assert word == "country_not_allowed"
    return False


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
        ("+19999999999", "US"),  # of no country that is known: the main one of its code
    ],
)
def test_a_number_belongs_to_its_own_country_not_to_the_main_one_of_its_code(
    number: str, country: str
) -> None:
    assert country_of(number) == country


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_every_country_is_told_by_its_example_number(country: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    if parse_phone(number) is not None:  # some islands have numbers shorter than is accepted
        assert country_of(number) == phonenumbers.region_code_for_number(example)


def test_without_lists_every_country_is_allowed(unused: Database) -> None:
    assert is_allowed(unused, "+201001234567")
    assert is_allowed(unused, "+12645550123")


def test_a_list_of_allowed_countries_leaves_the_others_out(unused: Database) -> None:
    assert is_allowed(unused, "+201001234567", allowed_countries="EG,US")
    assert not is_allowed(unused, "+966501234567", allowed_countries="EG,US")
    assert is_allowed(unused, "+12025550123", allowed_countries="EG,US")
    assert not is_allowed(unused, "+12645550123", allowed_countries="EG,US")


def test_denied_countries_are_left_out(unused: Database) -> None:
    assert not is_allowed(unused, "+77011234567", denied_countries="KZ,001")
    assert not is_allowed(unused, "+80012345678", denied_countries="KZ,001")
    assert is_allowed(unused, "+79161234567", denied_countries="KZ,001")


def test_a_country_cannot_be_both() -> None:
    with pytest.raises(ValidationError, match="SA is in ALLOWED_COUNTRIES and in DENIED_COUNTRIES"):
        settings(allowed_countries="EG,SA", denied_countries="SA")
