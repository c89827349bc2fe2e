"""Notices forwarded headers that come from where TRUSTED_PROXIES does not name, for `doctor`."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from ipaddress import ip_address

from sqlalchemy.exc import OperationalError

from hudhud.auth import untrusted_proxy
from hudhud.core.clock import now_ms
from hudhud.core.ip_addresses import Network
from hudhud.db.engine import Database
from hudhud.web.http.request import AnyRequest

FORWARDED_FOR = "x-forwarded-for"
HEADERS = (FORWARDED_FOR, "x-forwarded-proto", "forwarded")
WRITE_SECONDS = 60.0


class ProxyWatch:
    """Remembers the last such address in the database, at most once in `WRITE_SECONDS`."""

    def __init__(self, database: Database, trusted: Sequence[Network]) -> None:
        self._database = database
        self._trusted = trusted
        self._write_at = 0.0

    async def watch(self, request: AnyRequest) -> None:
        """Look at a request."""
        if not any(name in request.headers for name in HEADERS) or request.client is None:
            return
        address = request.client.host
        if time.monotonic() < self._write_at or not self._is_untrusted(request, address):
            return
        self._write_at = time.monotonic() + WRITE_SECONDS
        await asyncio.to_thread(self._remember, address)

    def _is_untrusted(self, request: AnyRequest, address: str) -> bool:
        """Tell whether `address` is a direct peer that is not trusted.

        The server puts the address that a trusted peer forwards in the place of the peer's own:
        then the header holds it.
        """
        if address in _forwarded(request.headers.get(FORWARDED_FOR, "")):
            return False
        try:
            return not any(ip_address(address) in network for network in self._trusted)
        except ValueError:
            return False

    def _remember(self, address: str) -> None:
        # The request must not fail because a note about it cannot be written.
        with contextlib.suppress(OperationalError), self._database.write() as connection:
            untrusted_proxy.remember(connection, address, now=now_ms())


def _forwarded(header: str) -> set[str]:
    """Return the addresses of a list, each with and without the port that may follow it."""
    entries = {entry.strip() for entry in header.split(",")}
    return entries | {entry.rpartition(":")[0].strip("[]") for entry in entries}
