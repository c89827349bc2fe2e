"""Counters for the dashboard, so that no page has to count messages.

Code that changes messages calls `add` once, last in its transaction, so that counters and messages
always agree; `Counts` collects several changes for it. Each process adds to its own rows (`shard`),
so that processes do not wait for one another.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection, and_, func, select

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from hudhud.db.batches import delete_some
from hudhud.db.tables import delivery_times, message_counts, traffic
from hudhud.db.upserts import SHARD, insert_or_add

Happening = Literal["accepted", "sent", "delivered", "read", "failed", "expired", "canceled"]
Unit = Literal["minute", "hour"]

HAPPENINGS: tuple[Happening, ...] = (
    "accepted",
    "sent",
    "delivered",
    "read",
    "failed",
    "expired",
    "canceled",
)
UNIT_MS: Mapping[Unit, int] = {"minute": MINUTE_MS, "hour": HOUR_MS}
# The charts show minutes for 2 days and hours for 400.
KEPT_MS: Mapping[Unit, int] = {"minute": 2 * DAY_MS, "hour": 400 * DAY_MS}
# Each bucket of delivery times is a tenth wider than the one before.
BUCKET_GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class Counts:
    """What `add` has collected, to be written with it at the transaction's end."""

    moved: Counter[str] = field(default_factory=Counter)
    happened: Counter[Happening] = field(default_factory=Counter)
    delivered_after: list[int] = field(default_factory=list)

    def write(self, connection: Connection, *, now: int) -> None:
        """Update the counters."""
        add(
            connection,
            now=now,
            moved=self.moved,
            happened=self.happened,
            delivered_after=self.delivered_after,
        )


def add(
    connection: Connection,
    *,
    now: int,
    moved: Mapping[str, int],
    happened: Mapping[Happening, int] | None = None,
    delivered_after: Iterable[int] = (),
    shard: int = SHARD,
    counts: Counts | None = None,
) -> None:
    """Update the counters of the current minute and hour.

    `moved` maps each status to the change in its number of messages, `happened` counts what
    happened, and `delivered_after` has the milliseconds from acceptance to delivery of each
    message that arrived. If `counts` are given, it only collects there.
    """
    if counts is not None:
        counts.moved.update(moved)
        counts.happened.update(happened or {})
        counts.delivered_after.extend(delivered_after)
        return
    changed = {status: count for status, count in moved.items() if count}
    if changed:
        # Always in the same order, so that two transactions cannot deadlock.
        keys = [{"status": status, "shard": shard} for status in sorted(changed)]
        amounts = [{"count": changed[status]} for status in sorted(changed)]
        insert_or_add(connection, message_counts, keys, amounts)
    if happened and any(happened.values()):
        amount = {str(name): happened.get(name, 0) for name in HAPPENINGS}
        insert_or_add(connection, traffic, _places(now, shard), [amount] * len(UNIT_MS))
    _add_delivery_times(connection, _places(now, shard), delivered_after)


def counts(connection: Connection) -> dict[str, int]:
    """Return the number of messages by status, for statuses ever used."""
    sums = select(message_counts.c.status, func.sum(message_counts.c.count))
    rows = connection.execute(sums.group_by(message_counts.c.status))
    return {row[0]: int(row[1]) for row in rows}


def bucket(milliseconds: int) -> int:
    """Return the bucket of a delivery time in milliseconds."""
    return int(math.log(max(1, milliseconds), BUCKET_GROWTH))


def middle(number: int) -> int:
    """Return a bucket's middle in milliseconds, within 5 % of its times."""
    return round(math.pow(BUCKET_GROWTH, number + 0.5))


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` rows too old for charts; return how many."""
    deleted = 0
    for unit, kept in KEPT_MS.items():
        for table in (traffic, delivery_times):
            is_old = and_(table.c.unit == unit, table.c.start < before - kept)
            left = limit - deleted
            deleted += delete_some(connection, table, is_old, order=table.c.start, limit=left)
    return deleted


def _places(now: int, shard: int) -> list[dict[str, object]]:
    return [
        {"unit": unit, "start": now - now % length, "shard": shard}
        for unit, length in UNIT_MS.items()
    ]


def _add_delivery_times(
    connection: Connection, places: Sequence[Mapping[str, object]], times: Iterable[int]
) -> None:
    counts: dict[int, int] = {}
    for time in times:
        counts[bucket(time)] = counts.get(bucket(time), 0) + 1
    if counts:
        keys = [{**place, "bucket": one} for place in places for one in sorted(counts)]
        amounts = [{"count": counts[one]} for one in sorted(counts)] * len(UNIT_MS)
        insert_or_add(connection, delivery_times, keys, amounts)
