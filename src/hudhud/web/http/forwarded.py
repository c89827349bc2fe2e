"""The client's address and scheme, as trusted proxies forward them."""

from collections.abc import Iterable, Sequence
from typing import cast

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from hudhud.core.ip_addresses import Network, is_within, node_address, unmapped

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
SCHEMES = ("http", "https")
# Set in the scope's state if the client's address is the forwarded one.
IS_FORWARDED = "is_forwarded"


class Forwarded:
    """Replaces a request's client and scheme by those of the headers of trusted proxies."""

    def __init__(self, application: ASGIApp, trusted: Sequence[Network]) -> None:
        self._application = application
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if cast("str", scope["type"]) == "http":
            self._apply(cast("HTTPScope", scope))
        await self._application(scope, receive, send)

    def _apply(self, scope: HTTPScope) -> None:
        client = scope["client"]
        if client is None or not is_within(client[0], self._trusted):
            return
        address = forwarded_address(_values(scope, FORWARDED_FOR), self._trusted)
        if address is not None:
            scope["client"] = (address, 0)
            scope["state"] = {**scope.get("state", {}), IS_FORWARDED: True}
        schemes = _values(scope, FORWARDED_PROTO)
        if schemes and schemes[-1].lower() in SCHEMES:
            scope["scheme"] = schemes[-1].lower()


def forwarded_address(nodes: Sequence[str], trusted: Iterable[Network]) -> str | None:
    """Return the client's address from the entries of X-Forwarded-For, the nearest proxy's last.

    It is the last one that is not a trusted proxy, or the first if all are. An entry that is no
    address ends the search, because entries before it may be the client's invention; None if no
    address is left.
    """
    found = None
    for node in reversed(nodes):
        address = node_address(node)
        if address is None:
            return found
        found = unmapped(address)
        if not is_within(found, trusted):
            return found
    return found


def _values(scope: HTTPScope, name: bytes) -> list[str]:
    """Return the entries of all lines of a header as one list (RFC 9110 5.3)."""
    lines = (value.decode("latin-1") for header, value in scope["headers"] if header == name)
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
