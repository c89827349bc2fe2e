"""The phone number that a request names, with the earlier application's answers."""

from typing import Any

from hudhud.core.errors import BadRequest
from hudhud.core.phones import Phone, parse_phone

REQUIRED = 'Bad Request: "phoneNumber" is required in the request body.'
INVALID = (
    "Bad Request: Invalid phone number format. Please provide the number in international format "
    "starting with + and country code (e.g., +966XXXXXXXXX)."
)


def parse_phone_number(value: Any) -> Phone:
    """Return the number that a field holds. Raises BadRequest.

    Whatever JavaScript takes for false counts as missing, as it did in the earlier application.
    """
    if not value and not isinstance(value, list | dict):
        raise BadRequest(REQUIRED)
    phone = parse_phone(value) if isinstance(value, str) else None
    if phone is None:
        raise BadRequest(INVALID)
    return phone


def phone_number_in_query(value: str) -> Phone:
    """Return the number that a query names, in which an unescaped + is a space."""
    return parse_phone_number(value.replace(" ", "+"))
