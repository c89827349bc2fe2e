"""The numbers of the dashboard, kept at every change so that nobody has to count messages.

Whoever changes messages calls `add` once, last in its transaction: numbers and messages agree at
any moment. Processes add to different rows (`shard`), so that none waits for another.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
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
# Minutes are drawn for 2 days, hours for 400.
KEPT_MS: Mapping[Unit, int] = {"minute": 2 * DAY_MS, "hour": 400 * DAY_MS}
# Times to delivery are counted in buckets, each a tenth wider than the one before.
BUCKET_GROWTH = 1.1


def add(
    connection: Connection,
    *,
    now: int,
    moved: Mapping[str, int],
    happened: Mapping[Happening, int] | None = None,
    delivered_after: Iterable[int] = (),
    shard: int = SHARD,
) -> None:
    """Add to the numbers of this moment.

    `moved` says by how much the number of messages in each status changes, `happened` what took
    place, `delivered_after` the milliseconds from acceptance of each message that arrived.
    """
    changed = {status: count for status, count in moved.items() if count}
    if changed:
        # In one order everywhere, so that two transactions cannot wait for each other.
        keys = [{"status": status, "shard": shard} for status in sorted(changed)]
        amounts = [{"count": changed[status]} for status in sorted(changed)]
        insert_or_add(connection, message_counts, keys, amounts)
    if happened and any(happened.values()):
        amount = {str(name): happened.get(name, 0) for name in HAPPENINGS}
        insert_or_add(connection, traffic, _places(now, shard), [amount] * len(UNIT_MS))
    _add_delivery_times(connection, _places(now, shard), delivered_after)


def counts(connection: Connection) -> dict[str, int]:
    """Return how many messages have each status that any has had."""
    sums = select(message_counts.c.status, func.sum(message_counts.c.count))
    rows = connection.execute(sums.group_by(message_counts.c.status))
    return {row[0]: int(row[1]) for row in rows}


def bucket(milliseconds: int) -> int:
    """Return the bucket in which a time to delivery is counted."""
    return int(math.log(max(1, milliseconds), BUCKET_GROWTH))


def middle(number: int) -> int:
    """Return the milliseconds that stand for a bucket, within 5 % of all that is in it."""
    return round(math.pow(BUCKET_GROWTH, number + 0.5))


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` rows that were too old for a chart at `before`; return how many."""
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
