"""Delivery times of days that are over are read once."""

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from hudhud.db.engine import Database
from hudhud.messages import counters
from hudhud.messages.delivery_spans import MOST_KEPT, PastTimes

MIDNIGHT = 1_800_057_600_000
STARTS = [MIDNIGHT - DAY_MS, MIDNIGHT]
SECOND = counters.bucket(1000)


def deliver(database: Database, at: int) -> None:
    with database.write() as connection:
        counters.add(connection, now=at, moved={}, delivered_after=[1000])


def amounts(database: Database, past: PastTimes, now: int) -> list[int]:
    """Return the deliveries of both days."""
    with database.read() as connection:
        times = past.of_days(connection, STARTS, now=now)
    return [times[start].get(SECOND, 0) for start in STARTS]


def test_day_is_read_again_until_it_has_been_over_for_an_hour(database: Database) -> None:
    past = PastTimes()
    deliver(database, MIDNIGHT - 1)
    deliver(database, MIDNIGHT)
    assert amounts(database, past, MIDNIGHT + MINUTE_MS) == [1, 1]
    deliver(database, MIDNIGHT - 1)
    deliver(database, MIDNIGHT + MINUTE_MS)
    over = MIDNIGHT + HOUR_MS + 1
    assert amounts(database, past, over) == [2, 2]
    deliver(database, MIDNIGHT - 1)
    deliver(database, over)
    assert amounts(database, past, over + 1) == [2, 3]
    assert amounts(database, PastTimes(), over + 1) == [3, 3]


def test_old_days_make_room(database: Database) -> None:
    past = PastTimes()
    deliver(database, MIDNIGHT - 1)
    over = MIDNIGHT + HOUR_MS + 1
    assert amounts(database, past, over) == [1, 0]
    deliver(database, MIDNIGHT - 1)
    others = [MIDNIGHT - day * DAY_MS for day in range(MOST_KEPT + 2, 1, -1)]
    with database.read() as connection:
        past.of_days(connection, others, now=MIDNIGHT)
    assert amounts(database, past, over) == [2, 0]
