"""The last address that forwarded requests without being named in TRUSTED_PROXIES.

The web application writes it down, `hudhud doctor` speaks about it.
"""

from sqlalchemy import Connection, select

from hudhud.db.tables import installation
from hudhud.db.upserts import insert_or_update

ROW = "untrusted_proxy"
# Whoever removed the proxy, or named it, is not reminded of it for ever.
RECENT_MS = 24 * 3600 * 1000


def remember(connection: Connection, address: str, *, now: int) -> None:
    """Write down that this address sent forwarded headers just now."""
    insert_or_update(connection, installation, {"name": ROW}, {"value": f"{now} {address}"})


def recall(connection: Connection, *, now: int) -> str | None:
    """Return the address where that was within `RECENT_MS`."""
    row = select(installation.c.value).where(installation.c.name == ROW)
    at, _, address = (connection.scalar(row) or "0").partition(" ")
    return address if int(at) > now - RECENT_MS else None
