"""Detects forwarded headers from addresses outside TRUSTED_PROXIES, for `doctor`."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from hudhud.auth import untrusted_proxy
from hudhud.core.clock import now_ms
from hudhud.core.database_lost import DatabaseLost
from hudhud.core.ip_addresses import Network, is_address, is_within
from hudhud.db.engine import Database
from hudhud.web.http.forwarded import IS_FORWARDED
from hudhud.web.http.request import AnyRequest

HEADERS = ("x-forwarded-for", "x-forwarded-proto", "forwarded")
WRITE_SECONDS = 60.0


class ProxyWatch:
    """Stores the last such address, at most once in `WRITE_SECONDS`."""

    def __init__(self, database: Database, trusted: Sequence[Network]) -> None:
        self._database = database
        self._trusted = trusted
        self._write_at = 0.0

    async def watch(self, request: AnyRequest) -> None:
        """Store the request's address if it forwards without being trusted."""
        if not any(name in request.headers for name in HEADERS) or request.client is None:
            return
        address = request.client.host
        if time.monotonic() < self._write_at or not self._is_untrusted(request, address):
            return
        self._write_at = time.monotonic() + WRITE_SECONDS
        await asyncio.to_thread(self._remember, address)

    def _is_untrusted(self, request: AnyRequest, address: str) -> bool:
        """Return whether `address` is a direct peer that is not trusted."""
        if request.scope["state"].get(IS_FORWARDED) or not is_address(address):
            return False
        return not is_within(address, self._trusted)

    def _remember(self, address: str) -> None:
        # The request must not fail because of this record.
        with (
            contextlib.suppress(OperationalError, DatabaseLost),
            self._database.write() as connection,
        ):
            untrusted_proxy.remember(connection, address, now=now_ms())
