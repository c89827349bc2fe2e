"""The dashboard's numbers: counts, windows, and the data of its charts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.channels.base import Receipt, StateReport
from hudhud.core.clock import now_ms
from hudhud.core.sentences import Sentence, say
from hudhud.db.engine import Database
from hudhud.db.upserts import SHARD
from hudhud.messages import counters, queue, receipts, statistics
from hudhud.messages.counters import HAPPENINGS, Happening
from hudhud.messages.delivery_spans import PastTimes
from hudhud.messages.outcomes import Returned, Sent
from hudhud.messages.states import STATUSES
from hudhud.messages.statistics import (
    REFUSED_LATELY_MS,
    Period,
    QueueNumbers,
    Range,
    RefusedSend,
    Series,
)
from hudhud.senders import records
from hudhud.senders.records import LATE_MS
from hudhud.worker.outcomes import record_outcomes
from support import queued, verifying
from support.queued import NOW, put_sender, submit
from support.stored_jobs import StoredJob, put_jobs

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR
UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
CAIRO = ZoneInfo("Africa/Cairo")
KOLKATA = ZoneInfo("Asia/Kolkata")


def add(
    database: Database, now: int, times: Sequence[int] = (), shard: int = SHARD, **happened: int
) -> None:
    with database.write() as connection:
        named: dict[Happening, int] = {name: happened.get(name, 0) for name in HAPPENINGS}
        counters.add(
            connection, now=now, moved={}, happened=named, delivered_after=times, shard=shard
        )


def numbers(database: Database, *, now: int = NOW, mean_gap: float = 1.0) -> QueueNumbers:
    with database.read() as connection:
        return statistics.numbers(connection, channel="sandbox", now=now, mean_gap=mean_gap)


def series(database: Database, chosen: Range, *, zone: ZoneInfo = UTC, now: int = NOW) -> Series:
    with database.read() as connection:
        return statistics.series(connection, PastTimes(), chosen=chosen, zone=zone, now=now)


def at(zone: ZoneInfo, *moment: int) -> int:
    year, month, day, hour, minute = (*moment, *(0,) * (5 - len(moment)))
    return round(datetime(year, month, day, hour, minute, tzinfo=zone).timestamp() * 1000)


def roughly(milliseconds: int) -> Any:
    return pytest.approx(milliseconds, rel=0.05)


def test_numbers_are_empty_before_the_first_message(database: Database) -> None:
    found = numbers(database)
    assert found.counts == dict.fromkeys(STATUSES, 0)
    assert (found.pending, found.processing, found.connected_senders) == (0, 0, 0)
    assert (found.oldest_waiting_at, found.next_expiry_at) == (None, None)
    assert found.expected_wait_ms is None
    empty = Period(dict.fromkeys(HAPPENINGS, 0), None, None)
    assert (found.hour, found.day) == (empty, empty)


@pytest.mark.parametrize(("chosen", "length"), [("hour", 60), ("day", 24), ("month", 30)])
def test_charts_are_flat_before_the_first_message(
    database: Database, chosen: Range, length: int
) -> None:
    found = series(database, chosen)
    assert found.range == chosen
    assert len(found.starts) == length
    for line in (found.accepted, found.sent, found.delivered, found.failed):
        assert line == [0] * length
    assert found.median == found.p95 == [None] * length
    assert found.overall_median is found.overall_p95 is None


def test_messages_are_counted_by_exact_status(database: Database) -> None:
    put_jobs(database, *(StoredJob(status=one) for one in ("queued", "queued", "sending", "read")))
    found = numbers(database)
    assert found.counts == dict.fromkeys(STATUSES, 0) | {"queued": 2, "sending": 1, "read": 1}
    assert (found.pending, found.processing) == (2, 1)


def test_numbers_show_the_longest_wait_and_the_next_expiry(database: Database) -> None:
    put_jobs(
        database,
        StoredJob(status="failed", created_at=NOW - 9000),
        StoredJob(created_at=NOW - 7000, validity_ms=600_000),
        StoredJob(created_at=NOW - 3000, validity_ms=60_000),
        StoredJob(status="sending", created_at=NOW - 2000, validity_ms=5000),
    )
    found = numbers(database)
    assert found.oldest_waiting_at == NOW - 7000
    assert found.next_expiry_at == NOW - 3000 + 60_000


def test_expected_wait_is_shared_by_the_senders_that_can_send(database: Database) -> None:
    put_jobs(database, *[StoredJob()] * 6)
    assert numbers(database).expected_wait_ms is None
    put_sender(database, "one", now=NOW)
    assert numbers(database, mean_gap=2.5).expected_wait_ms == 15_000
    put_sender(database, "two", "restricted", now=NOW)
    put_sender(database, "three", "reconnecting", now=NOW)
    found = numbers(database, mean_gap=2.5)
    assert (found.connected_senders, found.expected_wait_ms) == (2, 7500)
    with database.write() as connection:
        records.pause(connection, name="two", now=NOW)
    assert numbers(database).connected_senders == 1
    assert numbers(database, now=NOW + LATE_MS).connected_senders == 0


def test_no_wait_is_expected_while_strangers_cannot_be_reached(database: Database) -> None:
    put_jobs(database, StoredJob())
    put_sender(database, "one", "restricted", now=NOW)
    found = numbers(database)
    assert (found.connected_senders, found.expected_wait_ms) == (1, None)


def test_without_a_pace_the_expected_wait_is_zero(database: Database) -> None:
    put_jobs(database, StoredJob())
    put_sender(database, now=NOW)
    assert numbers(database, mean_gap=0).expected_wait_ms == 0


def test_the_last_hour_is_60_minutes_and_the_last_day_24_hours(database: Database) -> None:
    minute, hour = NOW - NOW % MINUTE, NOW - NOW % HOUR
    for start in (minute, minute - 59 * MINUTE, minute - 60 * MINUTE):
        add(database, start, sent=1)
    assert numbers(database).hour.happened["sent"] == 2
    add(database, hour - 23 * HOUR, sent=10)
    add(database, hour - 24 * HOUR, sent=100)
    found = numbers(database).day.happened
    assert found == dict.fromkeys(HAPPENINGS, 0) | {"sent": 13}


def test_success_rate_is_the_delivered_share(database: Database) -> None:
    add(database, NOW, sent=6, delivered=3, failed=1, expired=1, canceled=5, accepted=20)
    assert numbers(database).hour.success_rate == pytest.approx(3 / 8)
    add(database, NOW - 30 * MINUTE, delivered=30)  # sent before the hour began
    assert numbers(database).hour.success_rate == 1.0


def test_canceled_messages_do_not_affect_the_success_rate(database: Database) -> None:
    add(database, NOW, canceled=3, accepted=3)
    assert numbers(database).hour.success_rate is None


def test_median_covers_all_deliveries_in_the_window(database: Database) -> None:
    add(database, NOW, [1000, 2000, 60_000])
    add(database, NOW - 10 * MINUTE, [5000, 90_000])
    add(database, NOW - 20 * HOUR, [1, 1, 1, 1])
    found = numbers(database)
    assert found.hour.median_ms == roughly(5000)
    assert found.day.median_ms == roughly(1000)


def test_counts_of_all_processes_are_added(database: Database) -> None:
    for shard in range(3):
        put_jobs(database, StoredJob(), shard=shard)
        add(database, NOW, [100, 10_000, 10_000], shard, accepted=1, delivered=2)
    found = numbers(database)
    assert (found.pending, found.day.happened["delivered"]) == (3, 6)
    assert found.hour.median_ms == roughly(10_000)
    drawn = series(database, "hour")
    assert (drawn.accepted[-1], drawn.delivered[-1]) == (3, 6)
    assert drawn.median[-1] == roughly(10_000)


def test_hour_chart_has_a_point_per_minute(database: Database) -> None:
    minute = NOW - NOW % MINUTE
    add(database, NOW, [500], accepted=4, sent=3, delivered=2, failed=1)
    add(database, minute - 59 * MINUTE, expired=2, failed=1)
    add(database, minute - 60 * MINUTE, accepted=100)
    found = series(database, "hour")
    assert found.starts == [minute - 59 * MINUTE + number * MINUTE for number in range(60)]
    assert (found.accepted[-1], found.sent[-1], found.delivered[-1], found.failed[-1]) == (
        4,
        3,
        2,
        1,
    )
    assert found.failed[0] == 3
    assert sum(found.accepted) == 4
    assert found.median[-1] == found.p95[-1] == roughly(500)
    assert found.median[:-1] == [None] * 59


def test_day_chart_has_a_point_per_hour(database: Database) -> None:
    hour = NOW - NOW % HOUR
    add(database, hour + 5 * MINUTE, sent=1)
    add(database, hour - 23 * HOUR, sent=2)
    add(database, hour - 23 * HOUR - 1, sent=100)
    found = series(database, "day")
    assert found.starts == [hour + number * HOUR for number in range(-23, 1)]
    assert found.sent == [2, *[0] * 22, 1]


def test_failure_taken_back_from_another_minute_makes_no_negative_count(
    database: Database,
) -> None:
    add(database, NOW - MINUTE, failed=-1)  # dated a minute before it was counted
    add(database, NOW - 90 * MINUTE, failed=1)
    found = series(database, "hour")
    assert set(found.failed) == {0}
    assert numbers(database).hour.happened["failed"] == 0


def test_counts_of_a_fast_clock_break_no_chart(database: Database) -> None:
    add(database, NOW + 3 * HOUR, [77], sent=1)
    for chosen in statistics.RANGES:
        assert sum(series(database, chosen).sent) <= 1


@pytest.mark.parametrize("zone", [UTC, BERLIN, CAIRO, KOLKATA])
def test_month_chart_has_a_point_per_local_day(database: Database, zone: ZoneInfo) -> None:
    now = at(zone, 2026, 11, 24, 13, 31)
    add(database, at(zone, 2026, 11, 24, 1), accepted=1)
    add(database, at(zone, 2026, 11, 23, 22, 30), accepted=2)
    add(database, at(zone, 2026, 10, 26, 1), accepted=4)
    add(database, at(zone, 2026, 10, 25, 22), accepted=100)
    found = series(database, "month", zone=zone, now=now)
    assert [
        datetime.fromtimestamp(start / 1000, zone).isoformat()[5:16]
        for start in (found.starts[0], found.starts[-1])
    ] == ["10-26T00:00", "11-24T00:00"]
    assert found.accepted == [4, *[0] * 27, 2, 1]


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        (BERLIN, (2026, 3, 29)),
        (BERLIN, (2026, 10, 25)),
        (CAIRO, (2026, 4, 24)),  # the day begins at 1 o'clock, there is no midnight
        (CAIRO, (2026, 10, 29)),  # the hour before midnight comes twice
        (ZoneInfo("America/Havana"), (2026, 11, 1)),  # the hour after midnight comes twice
        (ZoneInfo("Australia/Lord_Howe"), (2026, 4, 5)),  # by half an hour
    ],
)
@pytest.mark.parametrize("later", [0, 1, 29])
def test_days_with_a_clock_change_are_longer_or_shorter(
    database: Database, zone: ZoneInfo, changes: tuple[int, int, int], later: int
) -> None:
    day = datetime(*changes, tzinfo=zone)
    now = round((day + timedelta(days=later, hours=15)).timestamp() * 1000)
    first = round((day + timedelta(days=later - 29, hours=1)).timestamp() * 1000)
    spread = range(first + HOUR, now, 3 * HOUR)
    with database.write() as connection:
        for moment in spread:
            counters.add(connection, now=moment, moved={}, happened={"accepted": 1})
    found = series(database, "month", zone=zone, now=now)
    local = [datetime.fromtimestamp(start / 1000, zone) for start in found.starts]
    assert [one.date() for one in local] == [
        (day + timedelta(days=later - 29 + number)).date() for number in range(30)
    ]
    assert all(one.hour == 0 or one.date() == day.date() for one in local)
    lengths = [end - start for start, end in zip(found.starts, found.starts[1:], strict=False)]
    assert all(length in (DAY, DAY + HOUR, DAY - HOUR, DAY + HOUR // 2) for length in lengths)
    assert sum(length != DAY for length in lengths) <= 2
    assert sum(found.accepted) == len(spread)
    assert max(found.accepted) <= 9


def test_in_the_repeated_hour_today_begins_at_the_first_midnight(database: Database) -> None:
    havana = ZoneInfo("America/Havana")
    first = at(havana, 2026, 11, 1)
    found = series(database, "month", zone=havana, now=first + HOUR + 30 * MINUTE)
    assert found.starts[-1] == first


def test_95th_percentile_reflects_slow_deliveries(database: Database) -> None:
    add(database, NOW, [1000] * 94 + [40_000] * 6)
    found = series(database, "hour")
    assert (found.median[-1], found.p95[-1]) == (roughly(1000), roughly(40_000))
    add(database, NOW, [1000] * 100)
    assert series(database, "hour").p95[-1] == roughly(1000)


def test_overall_delivery_times_are_those_of_all_periods_together(database: Database) -> None:
    add(database, NOW - HOUR, [1000] * 60)
    add(database, NOW, [9000] * 40)
    found = series(database, "day")
    assert (found.median[-2], found.median[-1]) == (roughly(1000), roughly(9000))
    assert (found.overall_median, found.overall_p95) == (roughly(1000), roughly(9000))


@given(
    times=st.lists(st.integers(1, 600_000), min_size=1, max_size=60),
    share=st.floats(0.01, 1.0),
)
def test_percentile_is_a_measured_time(times: list[int], share: float) -> None:
    counts: dict[int, int] = {}
    for one in times:
        counts[counters.bucket(one)] = counts.get(counters.bucket(one), 0) + 1
    found = statistics.percentile(counts, share)
    assert found is not None
    within = sum(counters.bucket(one) <= _bucket_of_middle(counts, found) for one in times)
    before = sum(counters.bucket(one) < _bucket_of_middle(counts, found) for one in times)
    assert before < len(times) * share + 1e-6
    assert within >= len(times) * share - 1e-6


def _bucket_of_middle(counts: dict[int, int], milliseconds: int) -> int:
    return max(one for one in counts if counters.middle(one) == milliseconds)


def test_no_deliveries_have_no_percentile() -> None:
    assert statistics.percentile({}, 0.5) is None


def test_sender_that_reports_again_counts_once(database: Database) -> None:
    put_sender(database, now=NOW)
    with database.write() as connection:
        records.report(connection, name="main", new=StateReport("connected", "all"), now=NOW)
    assert numbers(database).connected_senders == 1


def test_recent_sends_do_not_lower_the_success_rate(database: Database) -> None:
    now = now_ms()
    (message,) = submit(database, now=now)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="a", limit=1, now=now)
        record_outcomes(connection, sender="a", outcomes=[Sent(message, "p-1", now)], now=now)
    with database.read() as connection:
        rates = [
            statistics.numbers(connection, channel="sandbox", now=at, mean_gap=0).day.success_rate
            for at in (now + 1000, now + 31_000)
        ]
    assert rates == [None, 0.0]


def test_test_keys_do_not_affect_the_numbers_of_a_live_installation(database: Database) -> None:
    now = now_ms()
    live, tested = queued.caller("live"), queued.caller("tested", is_test=True)
    asked = [
        (live, verifying.request("+201001110000")),
        (tested, verifying.request()),
        (tested, verifying.request("+2010011122")),
    ]
    verifying.start(database, *asked, now=now, starter=queued.starter(database, channel="linked"))
    put_sender(database, "main-sandbox", now=now)
    with database.write() as connection:
        (first, _) = queue.claim(connection, channel="sandbox", sender="s", limit=2, now=now + 9)
        told: dict[str, Any] = {"now": now, "counts_traffic": False}
        record_outcomes(connection, sender="s", outcomes=[Sent(first.id, "p-1", now)], **told)
        receipts.record_receipts(connection, [Receipt("p-1", "delivered", now)], **told)
    with database.read() as connection:
        found = statistics.numbers(connection, channel="linked", now=now + 40_000, mean_gap=1.0)
        of_sandbox = statistics.numbers(
            connection, channel="sandbox", now=now + 40_000, mean_gap=1.0
        )
    assert {status: count for status, count in found.counts.items() if count} == {
        "queued": 1,
        "sending": 1,
        "delivered": 1,
    }
    assert found.hour == Period(dict.fromkeys(HAPPENINGS, 0) | {"accepted": 1}, None, None)
    assert (found.connected_senders, found.expected_wait_ms) == (0, None)
    assert found.oldest_waiting_at == now
    assert of_sandbox.connected_senders == 0
    assert of_sandbox.oldest_waiting_at is None


REFUSED = say("job.stranger")


def refuse(database: Database, message: int, why: Sentence, *, now: int = NOW) -> None:
    """Claim the message and record a refusal, as the worker does."""
    with database.write() as connection:
        (taken,) = queue.claim(connection, channel="sandbox", sender="s", limit=1, now=now)
        assert taken.id == message
        put_off = Returned(message, now + 120_000, why, spends_attempt=False)
        queue.record(connection, sender="s", outcomes=[put_off], now=now)


def refused(database: Database, *, channel: str = "sandbox", now: int = NOW) -> RefusedSend | None:
    with database.read() as connection:
        return statistics.numbers(connection, channel=channel, now=now, mean_gap=1.0).refused


def test_last_refused_send_is_reported_for_five_minutes(database: Database) -> None:
    put_sender(database, now=NOW)
    (message,) = submit(database)
    assert refused(database) is None
    refuse(database, message, REFUSED)
    assert refused(database) == RefusedSend(NOW, REFUSED, "s")
    assert refused(database, now=NOW + REFUSED_LATELY_MS - 1) is not None
    assert refused(database, now=NOW + REFUSED_LATELY_MS) is None
    assert refused(database, channel="linked") is None


def test_refusal_is_over_once_something_is_sent(database: Database) -> None:
    put_sender(database, now=NOW)
    (message,) = submit(database)
    refuse(database, message, REFUSED)
    with database.write() as connection:
        records.note_sent(connection, name="main", at=NOW - 1)
    assert refused(database) is not None
    with database.write() as connection:
        records.note_sent(connection, name="main", at=NOW)
    assert refused(database) is None


@pytest.mark.parametrize("code", ["job.offline", "job.no_number_check", "job.no_database"])
def test_sends_that_the_provider_never_got_are_no_refusals(database: Database, code: str) -> None:
    (message,) = submit(database)
    refuse(database, message, say(code))
    assert refused(database) is None
