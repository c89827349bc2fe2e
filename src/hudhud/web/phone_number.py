"""Read the phone number out of a request's body, with the earlier application's answers."""

from typing import Any
from urllib.parse import parse_qs

import msgspec

from hudhud.errors import BadRequest
from hudhud.phones import Phone, parse_phone

REQUIRED = 'Bad Request: "phoneNumber" is required in the request body.'
INVALID = (
    "Bad Request: Invalid phone number format. Please provide the number in international format "
    "starting with + and country code (e.g., +966XXXXXXXXX)."
)
NOT_JSON = "Bad Request: The request body is not valid JSON."
TOO_MANY_FIELDS = "Bad Request: The form has too many fields."
MOST_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def phone_number(content_type: str, body: bytes) -> Phone:
    """Return the number that a JSON or form body names.

    Raises BadRequest. A body of another type counts as empty, as it did in the earlier
    application; so does whatever JavaScript takes for false in the number's place.
    """
    return parse_phone_number(_field(content_type.partition(";")[0].strip().lower(), body))


def parse_phone_number(value: Any) -> Phone:
    """Return the number that a field holds. Raises BadRequest."""
    if not value and not isinstance(value, list | dict):
        raise BadRequest(REQUIRED)
    phone = parse_phone(value) if isinstance(value, str) else None
    if phone is None:
        raise BadRequest(INVALID)
    return phone


def _field(content_type: str, body: bytes) -> Any:
    if content_type == FORM:
        return _form_field(body)
    if content_type == JSON and body:
        return _json_field(body)
    return None


def _json_field(body: bytes) -> Any:
    try:
        # As before: a byte order mark is skipped, bytes that are no UTF-8 spoil only their field.
        parsed = msgspec.json.decode(body.decode("utf-8-sig", "replace"))
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(NOT_JSON) from None
    return parsed.get("phoneNumber") if isinstance(parsed, dict) else None


def _form_field(body: bytes) -> Any:
    """Return the field; several of one name make a list, which no phone number is."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadRequest(TOO_MANY_FIELDS) from None
    values = fields.get("phoneNumber", [""])
    # An unescaped + in a form is a space; only a number's first sign can have been one.
    return _plus_restored(values[0]) if len(values) == 1 else values


def _plus_restored(value: str) -> str:
    return "+" + value[1:] if value[:1] == " " and value[1:2].isdigit() else value
