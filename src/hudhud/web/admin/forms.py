"""The fields of a form that a page posts."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from hudhud.errors import BadRequest
from hudhud.web.parts import AnyRequest

TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 100


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
    if content_type(request) != TYPE:
        return Form({})
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise BadRequest("The form has too many fields.") from None


def content_type(request: AnyRequest) -> str:
    """Return the type of the body, without its parameters, in small letters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
