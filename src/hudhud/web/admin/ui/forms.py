"""The fields of a posted form or JSON object."""

from collections.abc import Mapping, Sequence

import msgspec

from hudhud.core.errors import BadRequest
from hudhud.core.sentences import say
from hudhud.web.http.bodies import body_of
from hudhud.web.http.form_fields import form_fields
from hudhud.web.http.request import FORM, JSON, AnyRequest, content_type

MOST_FIELDS = 100
NO_FIELDS = say("form.not_a_form")
TOO_MANY_FIELDS = say("form.too_many_fields")


class Form:
    """Fields, which may have several values."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """Return the first value of a field; empty if there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> Sequence[str]:
        """Return every value of a field, in order."""
        return self._fields.get(name, ())


async def form_of(request: AnyRequest) -> Form:
    """Read the request's form; a body of another type has no fields.

    Raises BadRequest for more than `MOST_FIELDS` fields.
    """
    if content_type(request) != FORM:
        return Form({})
    return Form(form_fields(await body_of(request), most=MOST_FIELDS, too_many=TOO_MANY_FIELDS))


async def form_or_object_of(request: AnyRequest) -> Form:
    """Read the fields of a form or JSON object; none if empty.

    Raises BadRequest for any other body, whose fields would otherwise be ignored.
    """
    kind, body = content_type(request), await body_of(request)
    if kind == FORM or not body:
        return await form_of(request)
    if kind != JSON:
        raise BadRequest(NO_FIELDS)
    try:
        given = msgspec.json.decode(body, type=dict[str, str | None])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(NO_FIELDS) from None
    return Form({name: [value] for name, value in given.items() if value is not None})
