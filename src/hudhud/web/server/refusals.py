"""Answers of the server itself, before a request reaches the application."""

from dataclasses import dataclass
from functools import cached_property

import msgspec

RETRY_SECONDS = b"5"


@dataclass(frozen=True)
class Refusal:
    """An answer after which the connection ends."""

    status: int
    message: str
    more: tuple[tuple[bytes, bytes], ...] = ()

    @cached_property
    def body(self) -> bytes:
        """The message as JSON, like the errors of the API."""
        return msgspec.json.encode({"message": self.message})

    @cached_property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of the answer."""
        return (
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *self.more,
        )


BAD = Refusal(400, "The request is not valid HTTP/1.1.")
TOO_SLOW = Refusal(408, "The request did not arrive in time. Send it again.")
HEAD_TOO_LARGE = Refusal(431, "The request line and headers are larger than 64 KiB.")
FULL = Refusal(
    503,
    "Too many connections are open. Close some, or try again shortly.",
    ((b"retry-after", RETRY_SECONDS),),
)
