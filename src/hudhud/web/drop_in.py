"""What callers of the earlier application see around every answer, as its framework gave it."""

from typing import cast

from litestar import Litestar
from litestar.types import (
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)

JSON = b"application/json"
JSON_IN_UTF_8 = JSON + b"; charset=utf-8"


class DropIn(Litestar):
    """Answers HEAD like GET; the server leaves the body out."""

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer one request."""
        if scope.get("method") == "HEAD":
            scope = cast("HTTPScope", {**scope, "method": "GET"})
        await super().__call__(scope, receive, send)


async def name_the_charset(message: Message, _scope: Scope) -> None:
    """Say `charset=utf-8` of JSON; a `before_send` hook."""
    if message["type"] == "http.response.start":
        message["headers"] = [
            (name, JSON_IN_UTF_8 if value == JSON else value) for name, value in message["headers"]
        ]
