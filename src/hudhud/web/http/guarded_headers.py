"""Headers that every answer of some addresses has, errors and HEAD among them."""

from collections.abc import Mapping

from litestar.types import HTTPScope, Message, Send

NO_SNIFFING = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# By the first part of the path. What admins see stays in no cache.
GUARDED: Mapping[str, Mapping[str, str]] = {
    "admin": {**NO_SNIFFING, "Cache-Control": "no-store"},
    "static": NO_SNIFFING,
}


def guarded(scope: HTTPScope, send: Send) -> Send:
    """Return a `send` that sets the headers of the request's address; other paths keep theirs."""
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
