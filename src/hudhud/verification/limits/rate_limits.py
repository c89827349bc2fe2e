"""How often codes may be asked for: per number, key, client address, country, prefix, and in all.

Counts stand in the database and are checked and raised in the transaction that stores what they
allow, so that no restart forgets them and no two processes pass a limit together. Keys that are
under the same limit share its counts; a key's own limit counts for that key alone; test keys, whose
messages reach nobody, count apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, or_, select

from hudhud.auth.caller import Caller
from hudhud.core.clock import MINUTE_MS
from hudhud.core.errors import TooMany
from hudhud.core.ip_addresses import limited_as
from hudhud.core.phones import Phone, region
from hudhud.core.rates import KINDS, UNIT_MS, LimitKind, Rate, Rates, parse_own_limits, span
from hudhud.db.batches import delete_some
from hudhud.db.tables import limit_counts
from hudhud.db.upserts import insert_or_add

# Of keys made by Hudhud, where neither the setting nor the key says anything.
DEFAULTS: Final[Mapping[LimitKind, Rates]] = {
    "per_number": (
        Rate(1, 30 * UNIT_MS["s"]),
        Rate(5, UNIT_MS["h"]),
        Rate(10, UNIT_MS["d"]),
    ),
    "per_prefix": (Rate(1000, 10 * UNIT_MS["m"]),),
}
# Sends to one number are few and counted to the millisecond, others in parts of the window.
EXACT: Final[frozenset[LimitKind]] = frozenset({"per_number"})
PARTS = 60
NEIGHBOURS_DIGITS = 4
# The clocks of machines that share a database differ: counts are kept that much longer.
CLOCK_DIFFERENCE_MS = MINUTE_MS
WRITTEN_AT_ONCE = 5000  # rows of four values; SQLite takes 32766 values in a statement

WHOM: Final[Mapping[str, str]] = {
    "per_number": "to this number",
    "per_key": "with this API key",
    "per_client_ip": "for this client address",
    "per_country": "to this country",
    "per_prefix": "to numbers like this one",
    "total": "in all",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """How often the subject may occur. `grain_ms` is how finely its times are kept."""

    name: str  # a kind, or total
    subject: str
    rates: Rates
    grain_ms: int


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """What is left of one rate."""

    name: str  # of the limit
    rate: Rate
    remaining: int
    reset_ms: int  # until more is left than now; 0 where nothing is used

    @property
    def reset_seconds(self) -> int:
        """The same in whole seconds, never too few."""
        return math.ceil(self.reset_ms / 1000)


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits that a request is under, in their order, and whether one of them refuses it."""

    policies: tuple[QuotaPolicy, ...]
    is_reached: bool = False


NO_LIMITS: Final = Quota(())


class LimitReached(TooMany):
    """The answer says which limit, when to come back, and in headers what is left of each."""

    def __init__(self, quota: Quota) -> None:
        reached = (policy for policy in quota.policies if policy.remaining == 0)
        last = max(reached, key=lambda policy: policy.reset_ms)
        retry_after = last.reset_seconds
        sentence = (
            f"Too many codes {WHOM[last.name]}: at most {last.rate.most} in "
            f"{span(last.rate.window_ms)}. Try again in {retry_after} s."
        )
        super().__init__(sentence, "rate_limited", retry_after)
        self.quota = quota


class Limits:
    """The limits that the settings give to all keys, and over them those of a key.

    A kind that is missing in `shared` is not set, and the defaults hold.
    """

    def __init__(self, shared: Mapping[LimitKind, Rates], total: Rates = ()) -> None:
        self._shared = shared
        self._total = total

    def usual(self, kind: LimitKind) -> Rates:
        """Return what holds for a key made by Hudhud that has no limit of its own."""
        return self._shared.get(kind, DEFAULTS.get(kind, ()))

    def limits_for(self, caller: Caller, phone: Phone | None, client_ip: str | None) -> list[Limit]:
        """Return what limits this send; nothing is counted yet.

        `phone` is None while nobody knows the number: then only the others hold.
        """
        apart = " test" if caller.is_test else ""
        own = parse_own_limits(caller.limits)
        limits: list[Limit] = []
        for kind in KINDS:
            rates = own.get(kind, self._of_settings(kind, caller))
            subject = _subject(kind, caller, phone, client_ip) if rates else None
            if subject is not None:
                whose = f" {caller.owner}" if kind in own else apart
                limits.extend(_limits(kind, f"{kind} {subject}{whose}", rates))
        limits.extend(_limits("total", f"total{apart}", self._total))
        return limits

    def _of_settings(self, kind: LimitKind, caller: Caller) -> Rates:
        return self._shared.get(kind, ()) if caller.is_environment else self.usual(kind)


def _subject(
    kind: LimitKind, caller: Caller, phone: Phone | None, client_ip: str | None
) -> str | None:
    """Return what a limit of this kind is about, None where it is not known."""
    if kind == "per_key":
        return caller.owner
    if kind == "per_client_ip":
        return None if client_ip is None else limited_as(client_ip)
    if phone is None:
        return None
    if kind == "per_country":
        return region(phone)
    return phone.number if kind == "per_number" else phone.number[:-NEIGHBOURS_DIGITS]


def _limits(name: str, subject: str, rates: Rates) -> list[Limit]:
    """One limit for rates whose times are kept alike, else one for each."""
    if name in EXACT:
        return [Limit(name, subject, rates, 1)] if rates else []
    return [
        Limit(name, f"{subject} {span(rate.window_ms)}", (rate,), rate.window_ms // PARTS)
        for rate in rates
    ]


def take(
    connection: Connection, wanted: Sequence[Sequence[Limit]], *, now: int
) -> list[Quota | LimitReached]:
    """Check and count each item of a group, in order; what is refused counts nothing.

    Inside a writing transaction that holds `Lock.LIMITS`, unless no
    item has a limit. What is counted stands or falls with that transaction.
    """
    counts = _Counts(now)
    counts.read(connection, {limit.subject: limit for limits in wanted for limit in limits})
    results = [_take_one(counts, limits) for limits in wanted]
    counts.write(connection)
    return results


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` counts that no window needs since `before`; return how many."""
    expiry = limit_counts.c.expires_at
    return delete_some(connection, limit_counts, expiry <= before, order=expiry, limit=limit)


def forget(connection: Connection, number: str) -> int:
    """Delete what was counted of a number, by whatever key; return how many rows."""
    subject = limit_counts.c.subject
    of_any = f"per_number {number}"
    is_its = or_(subject == of_any, subject.startswith(f"{of_any} ", autoescape=True))
    return connection.execute(delete(limit_counts).where(is_its)).rowcount


def _take_one(counts: "_Counts", limits: Sequence[Limit]) -> Quota | LimitReached:
    before = counts.left(limits)
    if any(policy.remaining == 0 for policy in before):
        return LimitReached(Quota(before, is_reached=True))
    for limit in limits:
        counts.add(limit)
    return Quota(counts.left(limits))


class _Counts:
    """What the database has counted for the subjects of a group, and what the group adds."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._times: dict[str, dict[int, int]] = {}
        self._added: dict[tuple[str, int], tuple[int, int]] = {}

    def read(self, connection: Connection, limits: Mapping[str, Limit]) -> None:
        """Read what may still count, for all subjects at once."""
        if not limits:
            return
        longest = max(_kept_ms(limit) for limit in limits.values())
        rows = connection.execute(
            select(limit_counts.c.subject, limit_counts.c.start, limit_counts.c.count).where(
                limit_counts.c.subject.in_(sorted(limits)),
                limit_counts.c.start > self.now - longest,
                # A clock that ran ahead and was set back must not refuse until it is there again.
                limit_counts.c.start <= self.now + CLOCK_DIFFERENCE_MS,
            )
        )
        for subject, start, count in rows:
            self._times.setdefault(subject, {})[start] = count

    def add(self, limit: Limit) -> None:
        """Count one more now."""
        start = self.now - self.now % limit.grain_ms
        times = self._times.setdefault(limit.subject, {})
        times[start] = times.get(start, 0) + 1
        before, _ = self._added.get((limit.subject, start), (0, 0))
        expires_at = start + _kept_ms(limit) + CLOCK_DIFFERENCE_MS
        self._added[limit.subject, start] = (before + 1, expires_at)

    def write(self, connection: Connection) -> None:
        """Store what was added, in one order for all processes."""
        every = sorted(self._added)
        for first in range(0, len(every), WRITTEN_AT_ONCE):
            places = every[first : first + WRITTEN_AT_ONCE]
            insert_or_add(
                connection,
                limit_counts,
                [{"subject": subject, "start": start} for subject, start in places],
                [{"count": self._added[place][0]} for place in places],
                only_if_new=[{"expires_at": self._added[place][1]} for place in places],
            )

    def left(self, limits: Sequence[Limit]) -> tuple[QuotaPolicy, ...]:
        """Return what is left of each rate of these limits."""
        return tuple(self._left(limit, rate) for limit in limits for rate in limit.rates)

    def _left(self, limit: Limit, rate: Rate) -> QuotaPolicy:
        counted = self._counted(limit, rate)
        used = sum(count for _, count in counted)
        remaining = max(0, rate.most - used)
        reset_at = self.now
        for start, count in counted:
            reset_at = _leaves_at(limit, rate, start)
            used -= count
            if used < rate.most:
                break
        return QuotaPolicy(limit.name, rate, remaining, reset_at - self.now)

    def _counted(self, limit: Limit, rate: Rate) -> list[tuple[int, int]]:
        """Return the times within the window, the oldest first, and how often each."""
        times = self._times.get(limit.subject, {})
        return sorted(
            (start, count)
            for start, count in times.items()
            if _leaves_at(limit, rate, start) > self.now
        )


def _leaves_at(limit: Limit, rate: Rate, start: int) -> int:
    """Return when the last millisecond of a part is no longer within the window."""
    return start + limit.grain_ms - 1 + rate.window_ms


def _kept_ms(limit: Limit) -> int:
    """Return how long after its beginning a part of the window may count."""
    return limit.grain_ms + max(rate.window_ms for rate in limit.rates)
