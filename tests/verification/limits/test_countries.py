"""The country of a number, and refused countries."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from conftest import settings
from hudhud.core.errors import NotAllowed
from hudhud.core.phones import parse_phone
from hudhud.db.engine import Database
from hudhud.verification.build import build_countries


@pytest.fixture
def unused() -> Iterator[Database]:
    """A database without queries."""
    database = Database("sqlite://")
    yield database
    database.close()


def is_allowed(database: Database, number: str, **changes: Any) -> bool:
    phone = parse_phone(number)
    assert phone is not None
    try:
        build_countries(settings(**changes), database).check(phone)
    except NotAllowed as error:
        word = error.word
    else:
        return True
    assert word == "country_not_allowed"
    return False


def test_without_lists_every_country_is_allowed(unused: Database) -> None:
    assert is_allowed(unused, "+201001234567")
    assert is_allowed(unused, "+12645550123")


def test_list_of_allowed_countries_excludes_all_others(unused: Database) -> None:
    assert is_allowed(unused, "+201001234567", allowed_countries="EG,US")
    assert not is_allowed(unused, "+966501234567", allowed_countries="EG,US")
    assert is_allowed(unused, "+12025550123", allowed_countries="EG,US")
    assert not is_allowed(unused, "+12645550123", allowed_countries="EG,US")


def test_denied_countries_are_refused(unused: Database) -> None:
    assert not is_allowed(unused, "+77011234567", denied_countries="KZ,001")
    assert not is_allowed(unused, "+80012345678", denied_countries="KZ,001")
    assert is_allowed(unused, "+79161234567", denied_countries="KZ,001")


def test_country_cannot_be_both_allowed_and_denied() -> None:
    with pytest.raises(ValidationError, match="SA is in ALLOWED_COUNTRIES and in DENIED_COUNTRIES"):
        settings(allowed_countries="EG,SA", denied_countries="SA")
