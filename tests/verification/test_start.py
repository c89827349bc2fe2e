"""New verifications: code, id and language."""

import pytest

from hudhud.core.phones import Phone
from hudhud.db.engine import Database
from hudhud.verification.new_verification import SendRequest
from support.queued import NOW, PHONE, caller, starter


def test_the_language_follows_the_number_and_the_default(database: Database) -> None:
    start = starter(database, default_locale="en")

    def body(country: str) -> str:
        phone = Phone("+1", country)
        return start.make(SendRequest(phone), caller=caller(), request_id="r", now=NOW).body

    assert "Hudhud" in body("EG")
    assert not body("EG").isascii()
    assert body("US").isascii()


def test_every_verification_has_a_unique_id_and_code(database: Database) -> None:
    start = starter(database, otp_length=10)
    new = [
        start.make(SendRequest(Phone(PHONE, "EG")), caller=caller(), request_id="r", now=NOW)
        for _ in range(50)
    ]
    assert len({one.id for one in new}) == 50
    assert len({one.code for one in new}) > 45


@pytest.mark.parametrize(
    ("of_settings", "own", "asked", "digits"),
    [(None, None, None, 6), (5, None, None, 5), (5, 8, None, 8), (5, 8, 9, 9)],
)
def test_length_comes_from_request_key_settings_and_kind_of_key(
    database: Database, of_settings: int | None, own: int | None, asked: int | None, digits: int
) -> None:
    start = starter(database, otp_length=of_settings)
    key = caller(code_length=own, usual_code_length=6)
    request = SendRequest(Phone(PHONE, "EG"), length=asked)
    assert len(start.make(request, caller=key, request_id="r", now=NOW).code) == digits
