"""The fields of a JSON or form body, with an error for each.

As in the earlier application, a body of another type counts as empty, and so does a field that
JavaScript considers absent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hudhud.core.errors import BadRequest, UnsupportedBody
from hudhud.core.plain_text import is_plain
from hudhud.core.whole_numbers import whole_number
from hudhud.web.http.bodies import body_of
from hudhud.web.http.form_fields import form_fields
from hudhud.web.http.request import FORM, JSON, AnyRequest, content_type

NOT_JSON = "Bad Request: The request body is not valid JSON."
NOT_MULTIPART = (
    f"A multipart body is not supported. Send the fields as {JSON} or {FORM}, and name the type in "
    "the header Content-Type."
)
MULTIPART = "multipart/"
TOO_MANY_FIELDS = "Bad Request: The form has too many fields."
INVALID = "invalid_parameter"
MOST_FIELDS = 1000
# In any letter case.
FLAGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "1", "on", "yes"), True),
    **dict.fromkeys(("false", "0", "off", "no"), False),
}


class Fields:
    """The fields of a body; a missing field is None."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def raw(self, name: str) -> Any:
        """Return the unchecked value of a field."""
        return self._values.get(name)

    def text(self, name: str, longest: int) -> str | None:
        """Return a text of 1 to `longest` characters without control characters.

        Raises BadRequest, like all methods below.
        """
        value = self.raw(name)
        if value in (None, ""):
            return None
        if not isinstance(value, str) or len(value) > longest or not is_plain(value):
            raise _wrong(name, f"a text of at most {longest} characters")
        return value

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number, which may also be a string."""
        value = self.raw(name)
        if value in (None, ""):
            return None
        if isinstance(value, str):
            value = whole_number(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(name, f"a whole number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a field is true, by `FLAGS` if it is text; a missing one is false."""
        value = self.raw(name)
        if value in (None, ""):
            return False
        known = FLAGS.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(known, bool):
            raise _wrong(name, "true or false")
        return known

    def matching(self, name: str, pattern: re.Pattern[str], what: str) -> str | None:
        """Return a text that matches the pattern; `what` is for the error."""
        value = self.raw(name)
        if value in (None, ""):
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _wrong(name, what)
        return value

    def small_object(self, name: str, largest: int) -> str | None:
        """Return an object encoded as JSON of at most `largest` bytes."""
        value = self.raw(name)
        if value in (None, ""):
            return None
        encoded = msgspec.json.encode(value) if isinstance(value, dict) else b""
        if not encoded or len(encoded) > largest:
            raise _wrong(name, f"an object of at most {largest} bytes as JSON")
        return encoded.decode()

    def encoded(self) -> bytes:
        """Return all fields in a canonical form, to compare requests."""
        return msgspec.json.encode(self._values, order="deterministic")


async def fields_of(request: AnyRequest) -> Fields:
    """Return the fields of a request's body.

    Raises BadRequest, and UnsupportedBody for a multipart body, whose fields would be ignored.
    """
    if content_type(request).startswith(MULTIPART):
        raise UnsupportedBody(NOT_MULTIPART, "unsupported_media_type")
    return await fields_of_send(request)


async def fields_of_send(request: AnyRequest) -> Fields:
    """Return the fields of a send's body. Raises BadRequest.

    As in the earlier application, a multipart body has no fields.
    """
    kind, body = content_type(request), await body_of(request)
    if kind == FORM:
        return Fields(_form_fields(body))
    if kind == JSON and body:
        return Fields(_json_fields(body))
    return Fields({})


def _wrong(name: str, wanted: str) -> BadRequest:
    return BadRequest(f'Bad Request: "{name}" must be {wanted}.', INVALID)


def _json_fields(body: bytes) -> Mapping[str, Any]:
    try:
        # As in the earlier application, a BOM is skipped and invalid UTF-8 affects only its field.
        parsed = msgspec.json.decode(body.decode("utf-8-sig", "replace"))
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(NOT_JSON) from None
    return parsed if isinstance(parsed, dict) else {}


def _form_fields(body: bytes) -> Mapping[str, Any]:
    """Return the non-empty fields; repeated names give a list, always an error."""
    fields = form_fields(body, most=MOST_FIELDS, too_many=TOO_MANY_FIELDS)
    given = {name: [value for value in values if value] for name, values in fields.items()}
    return {
        name: _plus_restored(values[0]) if len(values) == 1 else values
        for name, values in given.items()
        if values
    }


def _plus_restored(value: str) -> str:
    """Restore a leading + that the form did not escape."""
    return "+" + value[1:] if value[:1] == " " and value[1:2].isdigit() else value
