"""Counters: sums over time and across processes, and deletion of old rows."""

import threading
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Table, func, select

from hudhud.db.engine import Database
from hudhud.db.tables import delivery_times, message_counts, traffic
from hudhud.db.upserts import SHARD, SHARDS
from hudhud.messages import counters
from hudhud.messages.counters import HAPPENINGS, Happening
from support.queued import NOW

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR


def add(database: Database, *, now: int = NOW, **changes: Any) -> None:
    with database.write() as connection:
        counters.add(connection, now=now, **{"moved": {}, **changes})


def counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        sums = select(message_counts.c.status, func.sum(message_counts.c.count))
        rows = connection.execute(sums.group_by(message_counts.c.status))
        return {status: int(count) for status, count in rows}


def rows(database: Database, table: Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def happened(database: Database, unit: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for row in rows(database, traffic):
        if row.unit == unit:
            found[row.start] = {name: getattr(row, name) for name in HAPPENINGS}
    return found


def test_changes_are_added_to_the_counts(database: Database) -> None:
    add(database, moved={"queued": 3})
    add(database, moved={"queued": -2, "sending": 2, "sent": 0})
    assert counts(database) == {"queued": 1, "sending": 2}


def test_no_change_writes_no_row(database: Database) -> None:
    add(database, moved={"queued": 0}, happened={"sent": 0}, delivered_after=[])
    add(database)
    assert [rows(database, one) for one in (message_counts, traffic, delivery_times)] == [[]] * 3


def test_event_counts_in_its_minute_and_hour(database: Database) -> None:
    hour = NOW - NOW % HOUR
    last_minute = hour + HOUR - MINUTE
    add(database, now=hour, happened={"accepted": 2})
    add(database, now=last_minute, happened={"accepted": 1, "canceled": 1})
    add(database, now=last_minute + MINUTE - 1, happened={"accepted": 4})
    add(database, now=hour + HOUR, happened={"read": 1})
    nothing = dict.fromkeys(HAPPENINGS, 0)
    assert happened(database, "minute") == {
        hour: nothing | {"accepted": 2},
        last_minute: nothing | {"accepted": 5, "canceled": 1},
        hour + HOUR: nothing | {"read": 1},
    }
    assert happened(database, "hour") == {
        hour: nothing | {"accepted": 7, "canceled": 1},
        hour + HOUR: nothing | {"read": 1},
    }


def test_times_to_delivery_are_counted_by_bucket(database: Database) -> None:
    add(database, delivered_after=[1000, 1001, 90_000])
    add(database, now=NOW + 1, delivered_after=[1000])
    found = [(row.unit, row.bucket, row.count) for row in rows(database, delivery_times)]
    short, long = counters.bucket(1000), counters.bucket(90_000)
    assert found == [
        ("hour", short, 3),
        ("hour", long, 1),
        ("minute", short, 3),
        ("minute", long, 1),
    ]


def test_delivery_before_the_acceptance_counts_as_immediate(database: Database) -> None:
    # The clocks of two machines differ.
    add(database, delivered_after=[-500, 0, 1])
    assert {row.bucket for row in rows(database, delivery_times)} == {0}


@given(milliseconds=st.integers(1, 10 * DAY))
def test_bucket_represents_its_times_within_5_percent(milliseconds: int) -> None:
    middle = counters.middle(counters.bucket(milliseconds))
    assert abs(middle - milliseconds) <= 0.05 * milliseconds + 1


@given(pair=st.tuples(st.integers(-5, 10 * DAY), st.integers(-5, 10 * DAY)))
def test_buckets_increase_with_time(pair: tuple[int, int]) -> None:
    shorter, longer = sorted(pair)
    assert 0 <= counters.bucket(shorter) <= counters.bucket(longer)


def test_minutes_are_kept_for_2_days_and_hours_for_400(database: Database) -> None:
    for age in (0, 2 * DAY + HOUR, 401 * DAY):
        add(database, now=NOW - age, happened={"sent": 1}, delivered_after=[7])
    add(database, moved={"sent": 3})
    with database.write() as connection:
        counters.purge(connection, before=NOW, limit=99)
    for table in (traffic, delivery_times):
        kept = [(row.unit, NOW - row.start) for row in rows(database, table)]
        assert [unit for unit, _ in kept] == ["hour", "hour", "minute"]
        assert max(age for _, age in kept) < 3 * DAY
    assert counts(database) == {"sent": 3}


def test_rows_at_the_retention_limit_are_kept(database: Database) -> None:
    start = NOW - NOW % MINUTE
    add(database, now=start, happened={"sent": 1})
    with database.write() as connection:
        counters.purge(connection, before=start + 2 * DAY, limit=99)
    assert list(happened(database, "minute")) == [start]
    with database.write() as connection:
        counters.purge(connection, before=start + 2 * DAY + 1, limit=99)
    assert list(happened(database, "minute")) == []
    assert len(happened(database, "hour")) == 1


def test_purge_respects_its_limit(database: Database) -> None:
    for minute in range(5):
        start = NOW - 3 * DAY - minute * MINUTE
        add(database, now=start, happened={"sent": 1}, delivered_after=[7])
    deleted: list[int] = []
    while not deleted or deleted[-1]:
        with database.write() as connection:
            deleted.append(counters.purge(connection, before=NOW, limit=4))
    assert deleted == [4, 4, 2, 0]


def test_each_process_adds_to_its_own_rows(database: Database) -> None:
    assert SHARD in range(SHARDS)
    for shard in (3, 5):
        moved = {"queued": 1}
        add(database, moved=moved, happened={"accepted": 1}, delivered_after=[9], shard=shard)
    for table, number in ((message_counts, 2), (traffic, 4), (delivery_times, 4)):
        found = rows(database, table)
        assert len(found) == number
        assert {row.shard for row in found} == {3, 5}
    assert counts(database) == {"queued": 2}


MOVES: list[tuple[dict[str, int], dict[Happening, int], list[int]]] = [
    ({"queued": 1}, {"accepted": 1}, []),
    ({"sending": -1, "queued": 1}, {}, []),
    ({"sent": 1, "sending": -1}, {"sent": 1, "failed": 0}, []),
    ({"read": 1, "sent": -1}, {"read": 1, "delivered": 1}, [20_000, 5]),
    ({"failed": -2, "queued": 2}, {}, []),
    ({"delivered": 1, "sent": -1}, {"delivered": 1}, [5, 300, 20_000]),
    ({"queued": -1, "expired": 1}, {"expired": 1}, []),
]


def together(*works: Callable[[], None]) -> None:
    """Run all simultaneously and fail if one fails."""
    start = threading.Barrier(len(works))
    failures: list[Exception] = []

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_concurrent_additions_to_the_same_rows_are_all_counted(database: Database) -> None:
    rounds = 10

    def work(offset: int) -> None:
        for number in range(rounds * len(MOVES)):
            moved, took_place, times = MOVES[(number + offset) % len(MOVES)]
            # Some are in this minute, some in the next, and all in one hour.
            now = NOW - NOW % HOUR + MINUTE * (number % 2)
            add(database, now=now, moved=moved, happened=took_place, delivered_after=times)

    together(lambda: work(0), lambda: work(3), lambda: work(5))
    times_each = 3 * rounds
    expected: dict[str, int] = {}
    for moved, _, _ in MOVES:
        for status, count in moved.items():
            expected[status] = expected.get(status, 0) + times_each * count
    assert counts(database) == expected
    for unit in ("minute", "hour"):
        found = happened(database, unit).values()
        for name in HAPPENINGS:
            wanted = times_each * sum(took_place.get(name, 0) for _, took_place, _ in MOVES)
            assert sum(one[name] for one in found) == wanted
        delivered = [row.count for row in rows(database, delivery_times) if row.unit == unit]
        assert sum(delivered) == times_each * 5
