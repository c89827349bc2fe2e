"""Middleware of every route: HEAD requests and security headers."""

from collections.abc import Mapping
from typing import cast

from litestar import Litestar
from litestar.enums import ScopeType
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

# Set in the scope's state, for routes whose answer to GET never ends.
IS_HEAD = "is_head"
NO_SNIFFING = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# By the first segment of the path. The pages of admins must not be cached.
GUARDED: Mapping[str, Mapping[str, str]] = {
    "admin": {**NO_SNIFFING, "Cache-Control": "no-store"},
    "static": NO_SNIFFING,
}


class DropIn(Litestar):
    """Answers HEAD like GET; the server omits the body.

    Sets the headers of all answers under some paths, including errors and HEAD.
    """

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer one request."""
        if scope.get("method") == "HEAD":
            state = {**cast("HTTPScope", scope).get("state", {}), IS_HEAD: True}
            scope = cast("HTTPScope", {**scope, "method": "GET", "state": state})
        if scope["type"] == ScopeType.HTTP:
            send = guarded(cast("HTTPScope", scope), cast("Send", send))
        await super().__call__(scope, receive, send)


def guarded(scope: HTTPScope, send: Send) -> Send:
    """Return a `send` that adds the headers of the request's path."""
    wanted = GUARDED.get(scope["path"][1:].partition("/")[0])
    if wanted is None:
        return send
    raw = {name.lower().encode(): value.encode() for name, value in wanted.items()}

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() not in raw]
            message["headers"] = [*kept, *raw.items()]
        await send(message)

    return send_guarded
