"""Middleware of every route: HEAD requests, letter case of paths and security headers."""

from collections.abc import Mapping
from functools import cached_property
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

from hudhud.web.http.shortcut import METHOD, Shortcut

# Set in the scope's state, for routes whose answer to GET never ends.
IS_HEAD = "is_head"
NO_SNIFFING = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
NO_STORE = {"Cache-Control": "no-store"}
# By the start of the path. Pages of admins and answers about users must not be cached.
GUARDED: Mapping[str, Mapping[str, str]] = {
    "/admin": {**NO_SNIFFING, **NO_STORE},
    "/api/v1/": {**NO_SNIFFING, **NO_STORE},
    "/static/": NO_SNIFFING,
}
# The paths of the earlier application's API, which accepted them in any letter case.
ANY_CASE = "/api/v1/otp"
WITH_SHORTCUT = ("/api/v1/otp/send", "/api/v1/otp/verify")


class DropIn(Litestar):
    """Answers HEAD like GET, and paths under `ANY_CASE` in any letter case.

    The server omits the body of an answer to HEAD. Sets the headers of all answers under some
    paths, including errors and HEAD.
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
            requested = cast("HTTPScope", scope)
            path = requested["path"] = self._in_our_case(requested["path"])
            send = guarded(requested, cast("Send", send))
            if requested["method"] == METHOD and path in self._shortcuts:
                await self._shortcuts[path].answer(requested, cast("Receive", receive), send)
                return
        await super().__call__(scope, receive, send)

    def _in_our_case(self, path: str) -> str:
        """Return a path with the words of our routes in small letters, but identifiers as given."""
        if path.islower() or not path.lower().startswith(ANY_CASE):
            return path
        parts = (part.lower() if part.lower() in self._words else part for part in path.split("/"))
        return "/".join(parts)

    @cached_property
    def _shortcuts(self) -> Mapping[str, Shortcut]:
        """The routes of sends and checks, by path."""
        return {path: Shortcut(self, path) for path in WITH_SHORTCUT}

    @cached_property
    def _words(self) -> frozenset[str]:
        """The words of the routes under `ANY_CASE`."""
        found = (route.path.split("/") for route in self.routes if route.path.startswith(ANY_CASE))
        return frozenset(word for parts in found for word in parts if not word.startswith("{"))


def guarded(scope: HTTPScope, send: Send) -> Send:
    """Return a `send` that adds the headers of the request's path."""
    path = scope["path"]
    wanted = next((GUARDED[start] for start in GUARDED if path.startswith(start)), None)
    if wanted is None:
        return send
    raw = {name.lower().encode(): value.encode() for name, value in wanted.items()}

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() not in raw]
            message["headers"] = [*kept, *raw.items()]
        await send(message)

    return send_guarded
