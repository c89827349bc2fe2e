"""The phone number of a request, with the earlier application's errors."""

from typing import Any

from hudhud.core.errors import BadRequest
from hudhud.core.phones import Phone, parse_phone

REQUIRED = 'Bad Request: "phoneNumber" is required in the request body.'
INVALID = (
    "Bad Request: Invalid phone number format. Please provide the number in international format "
    "starting with + and country code (e.g., +966XXXXXXXXX)."
)


def parse_phone_number(value: Any) -> Phone:
    """Parse the phone number of a field. Raises BadRequest.

    As in the earlier application, every falsy value of JavaScript counts as missing.
    """
    if not value and not isinstance(value, list | dict):
        raise BadRequest(REQUIRED)
    phone = parse_phone(value) if isinstance(value, str) else None
    if phone is None:
        raise BadRequest(INVALID)
    return phone


def phone_number_in_query(value: str) -> Phone:
    """Parse a query's phone number, where an unescaped + is a space."""
    return parse_phone_number(value.replace(" ", "+"))
