"""Delivery times of minutes, hours and days, counted in the buckets of `counters.py`."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, func, literal, select, union_all

from hudhud.core.clock import HOUR_MS
from hudhud.db.tables import Moment, delivery_times
from hudhud.messages.counters import Unit

Times = Mapping[int, int]  # deliveries by bucket
Span = tuple[int, int]
# Receipts count when they arrive. The clock of another machine may be behind by less.
FINAL_AFTER_MS = HOUR_MS
# A month of four time zones.
MOST_KEPT = 120


def sums(unit: Unit, begin: int, end: int | None = None) -> Select[Any]:
    """Select the deliveries by bucket, from `begin` to before `end`."""
    amount = cast(func.sum(delivery_times.c.count), BigInteger)  # else a slow Decimal
    times = select(delivery_times.c.bucket, amount.label("amount"))
    times = times.where(delivery_times.c.unit == unit, delivery_times.c.start >= begin)
    if end is not None:
        times = times.where(delivery_times.c.start < end)
    return times.group_by(delivery_times.c.bucket)


def of_each(connection: Connection, unit: Unit, starts: Sequence[int]) -> dict[int, Times]:
    """Return the deliveries of each minute or hour, by its start."""
    start = delivery_times.c.start
    times: dict[int, dict[int, int]] = {one: {} for one in starts}
    found = sums(unit, starts[0]).add_columns(start.label("place")).group_by(start)
    for row in connection.execute(found):
        times.get(row.place, {})[row.bucket] = row.amount  # a clock may be ahead of ours
    return dict(times)


class PastTimes:
    """Keeps the delivery times of days that are over: a month has tens of thousands of rows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Span, Times] = OrderedDict()

    def of_days(
        self, connection: Connection, starts: Sequence[int], *, now: int
    ) -> dict[int, Times]:
        """Return the deliveries of each day, by its start; the last day is not over yet."""
        days = list(zip(starts, [*starts[1:], now + FINAL_AFTER_MS], strict=True))
        read = _of_days(connection, [day for day in days if day not in self._kept])
        found = {day: self._kept.get(day) or read.get(day, {}) for day in days}
        for day, times in found.items():
            if day[1] < now - FINAL_AFTER_MS:
                self._kept[day] = times
                self._kept.move_to_end(day)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return {day[0]: times for day, times in found.items()}


def _of_days(connection: Connection, days: Sequence[Span]) -> dict[Span, Times]:
    """Read the deliveries of these days; one sum per day spares the database a large sort."""
    times: dict[Span, dict[int, int]] = {day: {} for day in days}
    of_start = {day[0]: counted for day, counted in times.items()}
    parts = (
        sums("hour", begin, end).add_columns(literal(begin, Moment).label("place"))
        for begin, end in days
    )
    for row in connection.execute(union_all(*parts)):
        of_start[row.place][row.bucket] = row.amount
    return dict(times)
