"""An answer in JSON, with the content type that the earlier application's framework gave."""

from collections.abc import Mapping
from typing import TypeVar

from litestar import Response

JSON = "application/json; charset=utf-8"

Body = TypeVar("Body")


def answer(
    body: Body, status_code: int | None = None, headers: Mapping[str, str] | None = None
) -> Response[Body]:
    """Answer with `body`; the route's own status where none is given."""
    return Response(body, status_code=status_code, headers=headers, media_type=JSON)
