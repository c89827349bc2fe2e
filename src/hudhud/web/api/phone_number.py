"""The phone number of a request, with the earlier application's errors."""

from collections.abc import Callable
from typing import Any

from hudhud.core.errors import BadRequest
from hudhud.core.phones import Phone, parse_international, parse_known_phone, parse_phone

REQUIRED = 'Bad Request: "phoneNumber" is required in the request body.'
INVALID = (
    "Bad Request: Invalid phone number format. Please provide the number in international format "
    "starting with + and country code (e.g., +966XXXXXXXXX)."
)


def number_to_send_to(value: Any) -> Phone:
    """Parse the number of a send, in its documented form. Raises BadRequest."""
    return _parsed(value, parse_international)


def number_to_link(value: Any) -> Phone:
    """Parse a number that will be written to, as people write numbers. Raises BadRequest."""
    return _parsed(value, parse_phone)


def number_to_find(value: Any) -> Phone:
    """Parse a number that may be stored, as people write numbers. Raises BadRequest."""
    return _parsed(value, parse_known_phone)


def number_in_query(value: str) -> Phone:
    """Parse a query's number to find, where an unescaped + is a space."""
    return number_to_find(f"+{value.strip()}" if value[:1] == " " else value)


def _parsed(value: Any, parse: Callable[[str], Phone | None]) -> Phone:
    """Parse a field; as in the earlier application, falsy values of JavaScript are missing."""
    if not value and not isinstance(value, list | dict):
        raise BadRequest(REQUIRED)
    phone = parse(value) if isinstance(value, str) else None
    if phone is None:
        raise BadRequest(INVALID)
    return phone
