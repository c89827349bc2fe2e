"""Rate limits per number, key, client address, country, prefix, and in total.

Counts are stored in the database and are checked and incremented in the transaction that stores the
verification, so that they survive restarts and two processes cannot exceed a limit together. Keys
under the same limit share its counts; a key's own limit counts for that key alone; test keys, whose
messages go to the sandbox, are counted separately.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, delete, or_, select

from hudhud.auth.caller import Caller
from hudhud.core.clock import MINUTE_MS, SECOND_MS
from hudhud.core.errors import TooMany
from hudhud.core.ip_addresses import limited_as
from hudhud.core.phones import Phone, region
from hudhud.core.rates import KINDS, UNIT_MS, LimitKind, Rate, Rates, parse_own_limits, span
from hudhud.db.batches import delete_some
from hudhud.db.tables import limit_counts
from hudhud.db.upserts import insert_or_add

# For keys created by Hudhud, if neither the settings nor the key define a limit.
DEFAULTS: Final[Mapping[LimitKind, Rates]] = {
    "per_number": (
        Rate(1, 30 * UNIT_MS["s"]),
        Rate(5, UNIT_MS["h"]),
        Rate(10, UNIT_MS["d"]),
    ),
    "per_prefix": (Rate(1000, 10 * UNIT_MS["m"]),),
    "wrong_codes": (Rate(10, UNIT_MS["h"]), Rate(20, UNIT_MS["d"])),
    "links": (Rate(10, UNIT_MS["h"]), Rate(20, UNIT_MS["d"])),
}
# Applies to checks; sends are only refused because of it.
WRONG_CODES: Final = "wrong_codes"
# Of the links that name one number. Its sends are counted apart, so that neither uses up the other.
LINKS: Final = "links"
# The limits on one number. These are few: counted by the millisecond, others in parts.
OF_NUMBERS: Final[tuple[LimitKind, ...]] = ("per_number", WRONG_CODES, LINKS)
# The earlier application had no wrong tries and no links to limit.
ALSO_OF_ENVIRONMENT: Final[frozenset[LimitKind]] = frozenset({WRONG_CODES, LINKS})
OF_SENDS: Final = tuple(kind for kind in KINDS if kind not in (WRONG_CODES, LINKS))
OF_LINKS: Final[tuple[LimitKind, ...]] = ("per_key", "per_client_ip", LINKS)
PARTS = 60
NEIGHBOURS_DIGITS = 4
# Counts are kept this much longer, because the clocks of machines differ.
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
LINKS_FOR_NUMBER: Final = "Too many links for this number"


@dataclass(frozen=True, slots=True)
class Limit:
    """The rates of a subject; `grain_ms` is the resolution of counts."""

    name: str  # a kind, or total
    subject: str
    rates: Rates
    grain_ms: int

    @property
    def is_of_sends(self) -> bool:
        """Whether sends count; they are only refused because of the others."""
        return self.name != WRONG_CODES


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """The remaining quota of one rate."""

    name: str  # of the limit
    rate: Rate
    remaining: int
    reset_ms: int  # until more remains than now; 0 if nothing is used

    @property
    def reset_seconds(self) -> int:
        """`reset_ms` in seconds, rounded up.

        A request that waited for another one read the clock before it: these milliseconds beyond
        the window are not rounded up.
        """
        beyond = self.reset_ms - self.rate.window_ms
        exact = self.rate.window_ms if 0 < beyond < SECOND_MS else self.reset_ms
        return math.ceil(exact / 1000)


@dataclass(frozen=True, slots=True)
class Quota:
    """The quotas of a request, and whether one of them refuses it."""

    policies: tuple[QuotaPolicy, ...]
    is_reached: bool = False


NO_LIMITS: Final = Quota(())


class LimitReached(TooMany):
    """A limit is reached; `policy` is the one that refuses for the longest, of all in `quota`."""

    def __init__(self, quota: Quota) -> None:
        last = self.policy = max(_used_up(quota.policies), key=lambda policy: policy.reset_ms)
        retry_after = last.reset_seconds
        what = LINKS_FOR_NUMBER if last.name == LINKS else f"Too many codes {WHOM[last.name]}"
        sentence = (
            f"{what}: at most {last.rate.most} in "
            f"{span(last.rate.window_ms)}. Try again in {retry_after} s."
        )
        super().__init__(sentence, "rate_limited", retry_after)
        self.quota = quota


class TooManyWrongCodes(TooMany):
    """Too many wrong codes were typed for this number; has the time to retry."""

    def __init__(self, policies: Sequence[QuotaPolicy]) -> None:
        last = max(_used_up(policies), key=lambda policy: policy.reset_ms)
        retry_after = last.reset_seconds
        sentence = (
            f"Too many wrong codes were typed for this number: at most {last.rate.most} in "
            f"{span(last.rate.window_ms)}. Try again in {retry_after} s, or let the user prove the "
            "number with a link."
        )
        super().__init__(sentence, "too_many_wrong_codes", retry_after)


class Limits:
    """Limits from the settings, overridden by a key's own limits.

    The defaults apply to kinds that are missing in `shared`.
    """

    def __init__(self, shared: Mapping[LimitKind, Rates], total: Rates = ()) -> None:
        self._shared = shared
        self._total = total

    def usual(self, kind: LimitKind) -> Rates:
        """Return the rates for keys created by Hudhud without own limits."""
        return self._shared.get(kind, DEFAULTS.get(kind, ()))

    def of_send(self, caller: Caller, phone: Phone, client_ip: str | None) -> list[Limit]:
        """Return the limits that apply to this send; nothing is counted yet."""
        limits = self._of_kinds(OF_SENDS, caller, phone, client_ip)
        if not caller.is_environment:
            limits.extend(self.wrong_codes_of(caller, caller.owner, phone.number))
        return limits

    def of_link(self, caller: Caller, phone: Phone | None, client_ip: str | None) -> list[Limit]:
        """Return the limits that apply to this link; nothing is counted yet.

        A link may name no number.
        """
        return self._of_kinds(OF_LINKS, caller, phone, client_ip)

    def wrong_codes_of(self, caller: Caller, owner: str, number: str) -> list[Limit]:
        """Return the limit of wrong codes for a number over all codes of the key `owner`.

        The rates are those of the caller, if it is the owner, else those of the settings.
        """
        own = parse_own_limits(caller.limits) if caller.owner == owner else {}
        rates = own.get(WRONG_CODES, self.usual(WRONG_CODES))
        return _limits(WRONG_CODES, f"{WRONG_CODES} {number} {owner}", rates)

    def _of_kinds(
        self,
        kinds: Iterable[LimitKind],
        caller: Caller,
        phone: Phone | None,
        client_ip: str | None,
    ) -> list[Limit]:
        apart = " test" if caller.is_test else ""
        own = parse_own_limits(caller.limits)
        limits: list[Limit] = []
        for kind in kinds:
            rates = own.get(kind, self._of_settings(kind, caller))
            subject = _subject(kind, caller, phone, client_ip) if rates else None
            if subject is not None:
                whose = f" {caller.owner}" if kind in own else apart
                limits.extend(_limits(kind, f"{kind} {subject}{whose}", rates))
        limits.extend(_limits("total", f"total{apart}", self._total))
        return limits

    def _of_settings(self, kind: LimitKind, caller: Caller) -> Rates:
        if caller.is_environment and kind not in ALSO_OF_ENVIRONMENT:
            return self._shared.get(kind, ())
        return self.usual(kind)


def for_each_number(
    limits: Sequence[Limit], phone: str, numbers: Collection[str]
) -> Sequence[Limit]:
    """Repeat the limits on a number for the other numbers of the same account."""
    if len(numbers) == 1:
        return limits
    return [
        replace(limit, subject=limit.subject.replace(phone, number, 1))
        for limit in limits
        for number in (sorted(numbers) if limit.name in OF_NUMBERS else [phone])
    ]


def _subject(
    kind: LimitKind, caller: Caller, phone: Phone | None, client_ip: str | None
) -> str | None:
    """Return the value that this kind counts, or None if unknown."""
    if kind == "per_key":
        return caller.owner
    if kind == "per_client_ip":
        return None if client_ip is None else limited_as(client_ip)
    if phone is None:
        return None
    if kind == "per_country":
        return region(phone)
    return phone.number[:-NEIGHBOURS_DIGITS] if kind == "per_prefix" else phone.number


def _limits(name: str, subject: str, rates: Rates) -> list[Limit]:
    """Return one limit for exactly counted rates, else one per rate."""
    if name in OF_NUMBERS:
        return [Limit(name, subject, rates, 1)] if rates else []
    return [
        Limit(name, f"{subject} {span(rate.window_ms)}", (rate,), rate.window_ms // PARTS)
        for rate in rates
    ]


def take(
    connection: Connection, wanted: Sequence[Sequence[Limit]], *, now: int
) -> list[Quota | TooMany]:
    """Check and count each item of a group in order; too many wrong codes refuse it too.

    Refused items are not counted. Runs in the caller's write transaction, which holds `Lock.LIMITS`
    unless no item has a limit.
    """
    counts = Counts(now)
    counts.read(connection, {limit.subject: limit for limits in wanted for limit in limits})
    results = [_take_one(counts, limits) for limits in wanted]
    counts.write(connection)
    return results


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` counts that expired by `before`; return how many."""
    expiry = limit_counts.c.expires_at
    return delete_some(connection, limit_counts, expiry <= before, order=expiry, limit=limit)


def forget(connection: Connection, number: str) -> int:
    """Delete a number's counts of all keys; return how many rows."""
    subject = limit_counts.c.subject
    of_any = [f"{name} {number}" for name in OF_NUMBERS]
    its = (subject.startswith(f"{text} ", autoescape=True) for text in of_any)
    return connection.execute(delete(limit_counts).where(or_(subject.in_(of_any), *its))).rowcount


def _used_up(policies: Iterable[QuotaPolicy]) -> list[QuotaPolicy]:
    return [policy for policy in policies if policy.remaining == 0]


def _take_one(counts: "Counts", every: Sequence[Limit]) -> Quota | TooMany:
    guesses = counts.left([limit for limit in every if not limit.is_of_sends])
    if _used_up(guesses):
        return TooManyWrongCodes(guesses)
    limits = [limit for limit in every if limit.is_of_sends]
    before = counts.left(limits)
    if _used_up(before):
        return LimitReached(Quota(before, is_reached=True))
    for limit in limits:
        counts.add(limit)
    return Quota(counts.left(limits))


class Counts:
    """Counts of a group's subjects: those stored, and those the group adds."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._times: dict[str, dict[int, int]] = {}
        self._added: dict[tuple[str, int], tuple[int, int]] = {}

    def read(self, connection: Connection, limits: Mapping[str, Limit]) -> None:
        """Read the counts within the windows, for all subjects at once."""
        if not limits:
            return
        longest = max(_kept_ms(limit) for limit in limits.values())
        rows = connection.execute(
            select(limit_counts.c.subject, limit_counts.c.start, limit_counts.c.count).where(
                limit_counts.c.subject.in_(sorted(limits)),
                limit_counts.c.start > self.now - longest,
                # Ignore counts from the future, left by a clock that was ahead and was set back.
                limit_counts.c.start <= self.now + CLOCK_DIFFERENCE_MS,
            )
        )
        for subject, start, count in rows:
            self._times.setdefault(subject, {})[start] = count

    def add(self, limit: Limit) -> None:
        """Count one more at `now`."""
        start = self.now - self.now % limit.grain_ms
        times = self._times.setdefault(limit.subject, {})
        times[start] = times.get(start, 0) + 1
        before, _ = self._added.get((limit.subject, start), (0, 0))
        expires_at = start + _kept_ms(limit) + CLOCK_DIFFERENCE_MS
        self._added[limit.subject, start] = (before + 1, expires_at)

    def write(self, connection: Connection) -> None:
        """Store the added counts, always in the same order to avoid deadlocks."""
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
        """Return the remaining quota of each rate of these limits.

        For several numbers of one account, the smallest of them.
        """
        policies: dict[tuple[str, Rate], QuotaPolicy] = {}
        for policy in (self._left(limit, rate) for limit in limits for rate in limit.rates):
            known = policies.setdefault((policy.name, policy.rate), policy)
            if (policy.remaining, -policy.reset_ms) < (known.remaining, -known.reset_ms):
                policies[policy.name, policy.rate] = policy
        return tuple(policies.values())

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
        """Return the times within the window, oldest first, with their counts."""
        times = self._times.get(limit.subject, {})
        return sorted(
            (start, count)
            for start, count in times.items()
            if _leaves_at(limit, rate, start) > self.now
        )


def _leaves_at(limit: Limit, rate: Rate, start: int) -> int:
    """Return when a part of the window has left it completely."""
    return start + limit.grain_ms - 1 + rate.window_ms


def _kept_ms(limit: Limit) -> int:
    """Return how long after its start a part may count, in milliseconds."""
    return limit.grain_ms + max(rate.window_ms for rate in limit.rates)
