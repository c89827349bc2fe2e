"""The last time at which nearly all connections were in use, for `hudhud doctor`."""

from typing import NamedTuple

from sqlalchemy import Connection

from hudhud.core.clock import DAY_MS
from hudhud.db import installation

ROW = "connections_full"
RECENT_MS = DAY_MS


class Pressure(NamedTuple):
    """A time in milliseconds, with the open connections and the most that may be open."""

    at: int
    open: int
    most: int


def remember(connection: Connection, pressure: Pressure) -> None:
    """Record that nearly all connections are in use."""
    installation.write(connection, ROW, " ".join(map(str, pressure)))


def recall(connection: Connection, *, now: int) -> Pressure | None:
    """Return the last record if it is not older than `RECENT_MS`."""
    stored = installation.read(connection, ROW)
    if stored is None:
        return None
    pressure = Pressure(*map(int, stored.split()))
    return pressure if pressure.at > now - RECENT_MS else None
