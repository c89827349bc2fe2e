"""JSON responses with the content type of the earlier application."""

from collections.abc import Mapping
from typing import TypeVar

from litestar import Response
from msgspec import UNSET, Struct, UnsetType

JSON = "application/json; charset=utf-8"

Body = TypeVar("Body")


class Message(Struct, frozen=True):
    """A sentence for developers; `error` is a stable word for programs.

    Answers that the earlier application gave too have no word. `detail` adds to a message that is
    the earlier application's.
    """

    message: str
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class NoPage(Struct, frozen=True):
    """Nothing exists at this path."""

    error: str
    message: str


def answer(
    body: Body, status_code: int | None = None, headers: Mapping[str, str] | None = None
) -> Response[Body]:
    """Answer with `body`, by default with the route's own status."""
    return Response(body, status_code=status_code, headers=headers, media_type=JSON)
