"""What the senders of a channel can carry, which decides whether a code is accepted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, select

from hudhud.core.clock import DAY_MS
from hudhud.db.tables import senders
from hudhud.senders.records import is_running

# A sender that has been away for longer was renamed or removed.
GONE_MS = DAY_MS

_FACTS: Select[Any] = select(
    senders.c.state,
    senders.c.state_since,
    senders.c.carries,
    senders.c.until,
    senders.c.paused_at,
    senders.c.lease_expires_at,
    senders.c.heartbeat_at,
)


class Restriction(NamedTuple):
    """No sender may write to strangers before `until` (milliseconds).

    `reaches_known` is set if one of them may write to people who wrote first.
    """

    until: int
    reaches_known: bool


class Carriers(NamedTuple):
    """The number of senders with a lease, connected or not, and what restricts all of them."""

    alive: int
    restriction: Restriction | None


def carriers(connection: Connection, *, channel: str, now: int) -> Carriers:
    """Return what the senders of a channel can carry."""
    rows = connection.execute(_FACTS.where(senders.c.channel == channel)).all()
    alive = sum((row.lease_expires_at or 0) > now for row in rows)
    return Carriers(alive, _restriction(rows, now))


def _restriction(rows: Sequence[Row[Any]], now: int) -> Restriction | None:
    """Return a restriction of all senders; None if one may carry again at an unknown time."""
    present = [row for row in rows if (row.heartbeat_at or row.state_since) > now - GONE_MS]
    if not present or not all(_is_restricted(row, now) for row in present):
        return None
    return Restriction(
        until=min(row.until for row in present),
        reaches_known=any(row.carries == "known" for row in present),
    )


def _is_restricted(row: Row[Any], now: int) -> bool:
    is_at_work = is_running(row, now=now) and row.paused_at is None
    return is_at_work and row.state == "restricted" and row.until is not None
