"""Answers in JSON, with the content type that the earlier application's framework gave."""

from collections.abc import Mapping
from typing import TypeVar

from litestar import Response
from msgspec import UNSET, Struct, UnsetType

JSON = "application/json; charset=utf-8"

Body = TypeVar("Body")


class Message(Struct, frozen=True):
    """A sentence for the caller's developer; `error` is a stable word for the program.

    What the earlier application answered too has no word.
    """

    message: str
    error: str | UnsetType = UNSET


class NoPage(Struct, frozen=True):
    """There is nothing at this address."""

    error: str
    message: str


def answer(
    body: Body, status_code: int | None = None, headers: Mapping[str, str] | None = None
) -> Response[Body]:
    """Answer with `body`; the route's own status where none is given."""
    return Response(body, status_code=status_code, headers=headers, media_type=JSON)
