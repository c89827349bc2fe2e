"""The fields of a form that a page posts, or of a script's JSON object."""

from collections.abc import Mapping, Sequence

import msgspec

from hudhud.core.errors import BadRequest
from hudhud.core.sentences import say
from hudhud.web.http.form_fields import form_fields
from hudhud.web.http.request import FORM, JSON, AnyRequest, content_type

MOST_FIELDS = 100
NO_FIELDS = say("form.not_a_form")
TOO_MANY_FIELDS = say("form.too_many_fields")


class Form:
    """The fields, which may be named several times."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """Return the first field of this name; empty where there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> Sequence[str]:
        """Return every field of this name, in order."""
        return self._fields.get(name, ())


async def form_of(request: AnyRequest) -> Form:
    """Read the request's form; without fields where its body is of another type.

    Raises BadRequest where it has more than `MOST_FIELDS` fields.
    """
    if content_type(request) != FORM:
        return Form({})
    return Form(form_fields(await request.body(), most=MOST_FIELDS, too_many=TOO_MANY_FIELDS))


async def form_or_object_of(request: AnyRequest) -> Form:
    """Read the fields of a form or of a JSON object; none of an empty body.

    Raises BadRequest for any other body: what it names must not be overlooked.
    """
    kind, body = content_type(request), await request.body()
    if kind == FORM or not body:
        return await form_of(request)
    if kind != JSON:
        raise BadRequest(NO_FIELDS)
    try:
        given = msgspec.json.decode(body, type=dict[str, str | None])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(NO_FIELDS) from None
    return Form({name: [value] for name, value in given.items() if value is not None})
