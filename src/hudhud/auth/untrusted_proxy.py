"""The last address that forwarded requests without being named in TRUSTED_PROXIES.

The web application writes it down, `hudhud doctor` speaks about it.
"""

from sqlalchemy import Connection

from hudhud.core.clock import DAY_MS
from hudhud.db import installation

ROW = "untrusted_proxy"
# Forget the address after a day: the proxy may have been removed, or named in TRUSTED_PROXIES.
RECENT_MS = DAY_MS


def remember(connection: Connection, address: str, *, now: int) -> None:
    """Write down that this address sent forwarded headers just now."""
    installation.write(connection, ROW, f"{now} {address}")


def recall(connection: Connection, *, now: int) -> str | None:
    """Return the address where that was within `RECENT_MS`."""
    at, _, address = (installation.read(connection, ROW) or "0").partition(" ")
    return address if int(at) > now - RECENT_MS else None
