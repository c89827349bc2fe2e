"""Statistics for the dashboard: messages by status, recent traffic and delivery times.

They are read from the counters (`counters.py`), so that their cost does not grow with the number
of messages.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Connection,
    Select,
    and_,
    func,
    select,
)

from hudhud.channels.base import Carries
from hudhud.core.clock import HOUR_MS, MINUTE_MS
from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import stored
from hudhud.db.tables import (
    message_steps,
    messages,
    senders,
    traffic,
)
from hudhud.messages import counters, delivery_spans, trial_traffic
from hudhud.messages.counters import HAPPENINGS, Happening, Unit
from hudhud.messages.delivery_spans import PastTimes
from hudhud.messages.states import QUEUED, SENDING, SENT, STATUSES
from hudhud.messages.trial_traffic import TrialTraffic
from hudhud.senders import records
from hudhud.senders.records import LATE_MS

Range = Literal["hour", "day", "month"]
RANGES: tuple[Range, ...] = get_args(Range)

DAY_HOURS = 24
MONTH_DAYS = 30
# A phone that is online receives a message within a second or two.
ON_THE_WAY_MS = 30_000
MOST_ON_THE_WAY = 300
REFUSED_LATELY_MS = 5 * MINUTE_MS
# Among the newest steps of all messages, a refusal of the last minutes is found without an index.
# An admin's retry of all failed jobs adds up to 500 steps.
MOST_STEPS = 1000
# The errors with which a provider refuses a message that it got.
REFUSALS = ("job.stranger", "job.too_much", "job.not_taken")


@dataclass(frozen=True, slots=True)
class Period:
    """Traffic of a period: success rate (0 to 1), median delivery time.

    The rate is the share of delivered messages among those sent, failed or expired, without those
    sent in the last 30 seconds that may still arrive: `judged` is their number. Rate and median
    leave out an admin's test codes, which `happened` includes. An hour is the current minute and
    the 59 before it, a day the current hour and the 23 before it.
    """

    happened: Mapping[Happening, int]
    success_rate: float | None
    median_ms: int | None
    judged: int = 0


@dataclass(frozen=True, slots=True)
class RefusedSend:
    """A send that the provider refused at `at` (milliseconds), by which sender and why."""

    at: int
    why: Sentence
    sender: str


@dataclass(frozen=True, slots=True)
class QueueNumbers:
    """Numbers of the queue; `counts` has the messages by exact status.

    `refused` is the last refused send, if it is recent and nothing was sent since.
    `expected_wait_ms` is None while no sender can send to everyone.
    """

    counts: Mapping[str, int]
    oldest_waiting_at: int | None
    next_expiry_at: int | None
    expected_wait_ms: int | None
    connected_senders: int
    hour: Period
    day: Period
    refused: RefusedSend | None = None

    @property
    def any_jobs(self) -> bool:
        """Whether any message is stored."""
        return any(self.counts.values())

    @property
    def pending(self) -> int:
        """Number of queued messages."""
        return self.counts[QUEUED]

    @property
    def processing(self) -> int:
        """Number of messages being sent."""
        return self.counts[SENDING]


@dataclass(frozen=True, slots=True)
class Series:
    """Data of the charts: one value per start, delivery times in ms.

    The last start's minute, hour or day is not over yet; the overall times are those of all.
    """

    range: Range
    starts: Sequence[int]
    accepted: Sequence[int]
    sent: Sequence[int]
    delivered: Sequence[int]
    failed: Sequence[int]
    median: Sequence[int | None]
    p95: Sequence[int | None]
    overall_median: int | None
    overall_p95: int | None


def numbers(connection: Connection, *, channel: str, now: int, mean_gap: float) -> QueueNumbers:
    """Return the current numbers; `mean_gap` is a sender's pace in seconds.

    Waiting times and senders are those of the installation's own `channel`, without the messages
    that test keys send over the sandbox.
    """
    counts = dict.fromkeys(STATUSES, 0) | counters.counts(connection)
    connected = _connected(connection, channel, now)
    goes_out = any(carries == "all" for carries in connected)
    waits = and_(messages.c.status == QUEUED, messages.c.channel == channel)
    first = select(messages.c.created_at).where(waits)
    expiry = select(func.min(messages.c.expires_at)).where(waits)
    waiting = counts[QUEUED] > 0
    on_the_way = _on_the_way(connection, channel, now)
    wait = round(counts[QUEUED] * mean_gap * 1000 / len(connected)) if goes_out else None
    first_minute = now - now % MINUTE_MS - 59 * MINUTE_MS
    first_hour = now - now % HOUR_MS - (DAY_HOURS - 1) * HOUR_MS
    trials = trial_traffic.read(connection, since=first_hour)

    def period(unit: Unit, begin: int) -> Period:
        left_out = trial_traffic.summed(trials, begin=begin, still_on_the_way=now - ON_THE_WAY_MS)
        return _period(connection, unit, begin, on_the_way, left_out)

    return QueueNumbers(
        counts=counts,
        oldest_waiting_at=connection.scalar(first.order_by(messages.c.id).limit(1))
        if waiting
        else None,
        next_expiry_at=connection.scalar(expiry) if waiting else None,
        expected_wait_ms=wait,
        connected_senders=len(connected),
        hour=period("minute", first_minute),
        day=period("hour", first_hour),
        refused=_refused(connection, channel, now),
    )


_TRAFFIC: Select[Any] = select(traffic)


def series(
    connection: Connection, past: PastTimes, *, chosen: Range, zone: ZoneInfo, now: int
) -> Series:
    """Return the data of the charts for a range.

    An hour is divided into minutes, a day into hours, a month into days of `zone`.
    """
    unit: Unit = "minute" if chosen == "hour" else "hour"
    starts = _starts(chosen, zone, now)
    begin = starts[0]
    sums: dict[int, dict[str, int]] = {start: dict.fromkeys(HAPPENINGS, 0) for start in starts}
    for row in connection.execute(_TRAFFIC.where(traffic.c.unit == unit, traffic.c.start >= begin)):
        place = sums.get(_place(row.start, starts, chosen), {})  # a clock may be ahead of ours
        for name in place:
            place[name] += int(getattr(row, name))
    if chosen == "month":
        times = past.of_days(connection, starts, now=now)
    else:
        times = delivery_spans.of_each(connection, unit, starts)
    overall: Counter[int] = Counter()
    for counted in times.values():
        overall.update(counted)
    return Series(
        range=chosen,
        starts=starts,
        accepted=[sums[start]["accepted"] for start in starts],
        sent=[sums[start]["sent"] for start in starts],
        delivered=[sums[start]["delivered"] for start in starts],
        # A retry takes a failure back from the minute in which it was dated, not counted.
        failed=[max(0, sums[start]["failed"]) + sums[start]["expired"] for start in starts],
        median=[percentile(times[start], 0.5) for start in starts],
        p95=[percentile(times[start], 0.95) for start in starts],
        overall_median=percentile(overall, 0.5),
        overall_p95=percentile(overall, 0.95),
    )


def percentile(counts: Mapping[int, int], share: float) -> int | None:
    """Return the delivery time (ms) within which `share` of messages arrived."""
    wanted = sum(counts.values()) * share
    for bucket in sorted(counts):
        wanted -= counts[bucket]
        if wanted <= 0:
            return counters.middle(bucket)
    return None


def _connected(connection: Connection, channel: str, now: int) -> Sequence[Carries]:
    """Return to whom each sender that can send may write."""
    able = select(senders.c.carries).where(
        senders.c.channel == channel,
        senders.c.carries != "none",
        senders.c.paused_at.is_(None),
        senders.c.lease_expires_at > now,
        senders.c.heartbeat_at > now - LATE_MS,
    )
    return connection.scalars(able).all()


def _refused(connection: Connection, channel: str, now: int) -> RefusedSend | None:
    """Return the last send of the newest steps that was refused, unless one was sent since."""
    newest = select(message_steps).order_by(message_steps.c.id.desc()).limit(MOST_STEPS).subquery()
    last = (
        select(newest)
        .join(messages, messages.c.id == newest.c.message_id)
        .where(
            messages.c.channel == channel,
            newest.c.at > now - REFUSED_LATELY_MS,
            newest.c.kind.in_(("attempt_failed", "put_off")),
            newest.c.text_code.in_(REFUSALS),
        )
        .order_by(newest.c.id.desc())
        .limit(1)
    )
    row = connection.execute(last).first()
    if row is None or (why := stored(row, "text")) is None:
        return None
    sent = select(func.max(senders.c.last_sent_at)).where(senders.c.channel == channel)
    if (connection.scalar(sent) or 0) >= row.at:
        return None
    return RefusedSend(row.at, why, records.name_in(row.sender or ""))


def _on_the_way(connection: Connection, channel: str, now: int) -> int:
    """Count recently sent messages that may still arrive."""
    newest = select(messages.c.sent_at, messages.c.channel).where(messages.c.status == SENT)
    newest_rows = newest.order_by(messages.c.id.desc()).limit(MOST_ON_THE_WAY).subquery()
    lately = select(func.count()).where(
        newest_rows.c.sent_at > now - ON_THE_WAY_MS, newest_rows.c.channel == channel
    )
    return connection.scalar(lately) or 0


def _period(
    connection: Connection, unit: Unit, begin: int, on_the_way: int, left_out: TrialTraffic
) -> Period:
    columns = [func.coalesce(func.sum(traffic.c[name]), 0).label(name) for name in HAPPENINGS]
    row = connection.execute(
        select(*columns).where(traffic.c.unit == unit, traffic.c.start >= begin)
    ).one()
    happened: dict[Happening, int] = {name: max(0, int(getattr(row, name))) for name in HAPPENINGS}
    ended = happened["sent"] - on_the_way + happened["failed"] + happened["expired"]
    judged = max(0, ended - left_out.ended)
    delivered = max(0, happened["delivered"] - left_out.delivered)
    rate = min(1.0, delivered / judged) if judged else None
    times = {
        row.bucket: amount
        for row in connection.execute(delivery_spans.sums(unit, begin))
        if (amount := row.amount - left_out.times.get(row.bucket, 0)) > 0
    }
    return Period(happened, rate, percentile(times, 0.5), judged)


def _starts(chosen: Range, zone: ZoneInfo, now: int) -> list[int]:
    if chosen == "hour":
        return [now - now % MINUTE_MS - minute * MINUTE_MS for minute in reversed(range(60))]
    if chosen == "day":
        return [now - now % HOUR_MS - hour * HOUR_MS for hour in reversed(range(DAY_HOURS))]
    today = datetime.fromtimestamp(now / 1000, zone).replace(hour=0, minute=0, second=0)
    days = [today.replace(microsecond=0) - timedelta(days=day) for day in range(MONTH_DAYS)]
    return [round(day.timestamp() * 1000) for day in reversed(days)]


def _place(start: int, starts: Sequence[int], chosen: Range) -> int:
    """Return the start of a counter row's minute, hour or day."""
    if chosen == "month":
        return starts[bisect_right(starts, start) - 1]
    return start
