"""The last proxy that forwarded requests without being in TRUSTED_PROXIES.

The web application records its address, and `hudhud doctor` reports it.
"""

from sqlalchemy import Connection

from hudhud.core.clock import DAY_MS
from hudhud.db import installation

ROW = "untrusted_proxy"
# After a day the proxy may have been removed or added to TRUSTED_PROXIES.
RECENT_MS = DAY_MS


def remember(connection: Connection, address: str, *, now: int) -> None:
    """Record that this address just sent forwarding headers."""
    installation.write(connection, ROW, f"{now} {address}")


def recall(connection: Connection, *, now: int) -> str | None:
    """Return the address if recorded within `RECENT_MS`."""
    at, _, address = (installation.read(connection, ROW) or "0").partition(" ")
    return address if int(at) > now - RECENT_MS else None
