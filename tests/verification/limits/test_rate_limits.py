"""Rate limits: exact, never exceeded, across transactions, threads and processes."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from hudhud.core.clock import now_ms
from hudhud.core.errors import TooMany
from hudhud.core.rates import Rate
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import limit_counts
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.rate_limits import (
    CLOCK_DIFFERENCE_MS,
    Limit,
    LimitReached,
    Quota,
    QuotaPolicy,
)

NOW = 1_800_000_000_000
MINUTE = 60_000
HOUR = 3_600_000


def exact(subject: str, *rates: Rate) -> Limit:
    return Limit("per_number", subject, rates, 1)


def in_parts(subject: str, rate: Rate) -> Limit:
    return Limit("total", subject, (rate,), rate.window_ms // rate_limits.PARTS)


def take(database: Database, *wanted: Sequence[Limit], now: int = NOW) -> list[Quota | TooMany]:
    """Count a group in its own transaction."""
    with database.write() as connection:
        lock(connection, Lock.LIMITS)
        return rate_limits.take(connection, wanted, now=now)


def is_taken(database: Database, *applying: Limit, now: int = NOW) -> bool:
    (result,) = take(database, applying, now=now)
    return isinstance(result, Quota)


def again_after(database: Database, *applying: Limit, now: int = NOW) -> int:
    """Return the seconds after which a refused request may retry."""
    (result,) = take(database, applying, now=now)
    assert isinstance(result, LimitReached)
    assert result.retry_after is not None
    return result.retry_after


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(limit_counts)) or 0


def purge(database: Database, *, before: int, limit: int = 1000) -> int:
    with database.write() as connection:
        return rate_limits.purge(connection, before=before, limit=limit)


def test_number_gets_one_code_per_thirty_seconds_to_the_millisecond(database: Database) -> None:
    limit = exact("a", Rate(1, 30_000))
    assert is_taken(database, limit)
    assert again_after(database, limit) == 30
    assert again_after(database, limit, now=NOW + 29_999) == 1
    assert is_taken(database, limit, now=NOW + 30_000)


def test_refusal_gives_the_longest_wait_of_several_rates(database: Database) -> None:
    limit = exact("a", Rate(1, 30_000), Rate(2, HOUR))
    for at in (0, 30_000):
        assert is_taken(database, limit, now=NOW + at)
    assert again_after(database, limit, now=NOW + 30_001) == 3570
    assert not is_taken(database, limit, now=NOW + HOUR - 1)
    assert is_taken(database, limit, now=NOW + HOUR)


def test_refused_request_counts_against_no_limit(
    database: Database,
) -> None:
    narrow, wide = exact("narrow", Rate(1, HOUR)), in_parts("wide", Rate(2, HOUR))
    assert is_taken(database, narrow, wide)
    for _ in range(5):
        assert not is_taken(database, narrow, wide)
    assert is_taken(database, wide)
    assert not is_taken(database, wide)


def test_group_is_judged_in_order_and_shares_the_quota(database: Database) -> None:
    same = [exact("a", Rate(2, HOUR))]
    other = [exact("b", Rate(1, HOUR))]
    results = take(database, same, other, same, same, other, [])
    assert [isinstance(one, Quota) for one in results] == [True, True, True, False, False, True]
    assert results[-1] == Quota(())
    first, third = results[0], results[2]
    assert isinstance(first, Quota)
    assert isinstance(third, Quota)
    assert [quota.policies[0].remaining for quota in (first, third)] == [1, 0]


def test_group_of_hundreds_is_counted_at_once(database: Database) -> None:
    total = in_parts("total", Rate(400, HOUR))
    group = [
        [exact(f"number {one}", Rate(1, HOUR)), in_parts(f"prefix {one}", Rate(9, HOUR)), total]
        for one in range(500)
    ]
    results = take(database, *group)
    assert [isinstance(one, Quota) for one in results] == [True] * 400 + [False] * 100
    assert rows(database) == 801


def test_quota_gives_the_remaining_count_and_its_reset(database: Database) -> None:
    limit = exact("a", Rate(3, HOUR))
    (first,) = take(database, [limit])
    (second,) = take(database, [limit], now=NOW + MINUTE)
    assert isinstance(first, Quota)
    assert isinstance(second, Quota)
    assert [(one.remaining, one.reset_seconds) for one in (*first.policies, *second.policies)] == [
        (2, 3600),
        (1, 3540),
    ]


def test_lowered_limit_gives_the_time_of_the_next_free_place(database: Database) -> None:
    for minute in range(5):
        assert is_taken(database, exact("a", Rate(5, HOUR)), now=NOW + minute * MINUTE)
    lowered = exact("a", Rate(2, HOUR))
    seconds = again_after(database, lowered, now=NOW + 4 * MINUTE)
    assert seconds == 3600 - MINUTE // 1000
    assert is_taken(database, lowered, now=NOW + 4 * MINUTE + seconds * 1000)


def test_rolled_back_counts_are_released(database: Database) -> None:
    limit = exact("a", Rate(1, HOUR))

    def fail() -> None:
        with database.write() as connection:
            rate_limits.take(connection, [[limit]], now=NOW)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert is_taken(database, limit)


def test_counts_survive_a_restart(database: Database) -> None:
    limit = exact("a", Rate(1, HOUR))
    assert is_taken(database, limit)
    reopened = Database(database.url.render_as_string(hide_password=False))
    assert not is_taken(reopened, limit)
    reopened.close()


def test_clock_set_back_does_not_refuse_for_long(database: Database) -> None:
    limit = exact("a", Rate(1, 30_000))
    assert is_taken(database, limit, now=NOW + HOUR)
    assert is_taken(database, limit, now=NOW)
    assert not is_taken(database, limit, now=NOW)


def test_machines_with_slightly_different_clocks_share_a_limit(database: Database) -> None:
    limit = exact("a", Rate(1, 30_000))
    assert is_taken(database, limit, now=NOW + 5000)
    assert again_after(database, limit, now=NOW) == 35


def test_purge_deletes_only_unneeded_counts_in_batches(database: Database) -> None:
    for number in range(5):
        assert is_taken(database, exact(f"{number}", Rate(1, 30_000)))
    day = exact("day", Rate(1, 30_000), Rate(5, 24 * HOUR))
    assert is_taken(database, day)
    later = NOW + 30_000 + CLOCK_DIFFERENCE_MS
    assert purge(database, before=later) == 0
    assert [purge(database, before=later + 1, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert rows(database) == 1
    assert purge(database, before=NOW + 25 * HOUR) == 1


def test_forgetting_a_number_deletes_only_its_counts(database: Database) -> None:
    of_it = ("per_number +201001234567", "per_number +201001234567 hh_live_abc")
    others = ("per_number +2010012345678", "per_number +20100123456", "per_prefix +20100123 1h")
    for subject in (*of_it, *others):
        assert is_taken(database, exact(subject, Rate(1, HOUR)))
    with database.write() as connection:
        assert rate_limits.forget(connection, "+201001234567") == 2
    assert rows(database) == 3


@dataclass
class Model:
    """Records the time of every accepted request."""

    taken: dict[str, list[int]] = field(default_factory=dict)

    def within(self, limit: Limit, milliseconds: int, now: int) -> int:
        """Return the number of requests in the `milliseconds` up to now."""
        return sum(now - milliseconds < at <= now for at in self.taken.get(limit.subject, []))

    def must_refuse(self, limit: Limit, now: int) -> bool:
        """Return whether one more request would exceed a rate."""
        return any(self.within(limit, rate.window_ms, now) >= rate.most for rate in limit.rates)

    def may_refuse(self, limit: Limit, now: int) -> bool:
        """Return whether one more may exceed a rate, given the grain."""
        return any(
            self.within(limit, rate.window_ms + limit.grain_ms - 1, now) >= rate.most
            for rate in limit.rates
        )

    def count(self, applying: Sequence[Limit], now: int) -> None:
        for limit in applying:
            self.taken.setdefault(limit.subject, []).append(now)

    def check(self, limit: Limit) -> None:
        """Check that no window, at any offset, exceeds its rate."""
        times = sorted(self.taken.get(limit.subject, []))
        for rate in limit.rates:
            for first, last in zip(times, times[rate.most :], strict=False):
                assert last - first >= rate.window_ms


RATES = (Rate(1, 3000), Rate(2, 7000), Rate(3, 20_000), Rate(4, 61_000))


def four_limits(mark: int) -> list[Limit]:
    """Return four limits: two of numbers, and two that count in parts."""
    return [
        exact(f"{mark} one", RATES[0], RATES[2]),
        exact(f"{mark} other", RATES[1]),
        in_parts(f"{mark} key", RATES[2]),
        in_parts(f"{mark} total", RATES[3]),
    ]


items = st.lists(st.sampled_from(range(4)), max_size=4, unique=True)
steps = st.tuples(st.integers(0, 9000) | st.sampled_from((1, 999, 1000)), st.lists(items))
marks = count()


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(walk=st.lists(steps, min_size=1, max_size=12))
@example(walk=[(0, [[0], [0, 3], [1, 2, 3]]), (2999, [[0]]), (1, [[0]]), (20_000, [[0, 1, 2, 3]])])
def test_limits_agree_with_a_model_that_records_every_time(
    database: Database, walk: list[tuple[int, list[list[int]]]]
) -> None:
    each, model, now = four_limits(next(marks)), Model(), NOW
    for passing, group in walk:
        now += passing
        wanted = [[each[number] for number in item] for item in group]
        for applying, result in zip(wanted, take(database, *wanted, now=now), strict=True):
            if isinstance(result, Quota):
                assert not any(model.must_refuse(limit, now) for limit in applying)
                model.count(applying, now)
                continue
            assert any(model.may_refuse(limit, now) for limit in applying)
            assert result.retry_after is not None
            assert result.retry_after >= 1
            again = now + result.retry_after * 1000
            assert not any(model.must_refuse(limit, again) for limit in applying)
            assert any(model.may_refuse(limit, again - 1000) for limit in applying)
        purge(database, before=now)
    for limit in each:
        model.check(limit)


@settings(
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(walk=st.lists(st.lists(st.integers(0, 9000), min_size=1), min_size=1, max_size=8))
def test_refused_request_is_accepted_exactly_after_its_retry_after(
    database: Database, walk: list[list[int]]
) -> None:
    mark, now = next(marks), NOW
    applying = [exact(f"{mark} n", *RATES[:2]), in_parts(f"{mark} t", RATES[2])]
    for passing in walk:
        for milliseconds in passing:
            now += milliseconds
            (result,) = take(database, applying, now=now)
            if isinstance(result, LimitReached):
                now += (result.retry_after or 0) * 1000
                assert is_taken(database, *applying, now=now)


# The same work as in the test's own process, in as many threads.
RACER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from hudhud.verification.limits import rate_limits
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from hudhud.verification.limits.rate_limits import Limit, Quota
from hudhud.core.errors import TooMany
from hudhud.core.rates import Rate

HOUR = 3_600_000
database = Database(sys.argv[1])

def send(number):
    applying = [
        Limit("per_number", f"number {number}", (Rate(1, HOUR),), 1),
        Limit("total", "total", (Rate(25, HOUR),), HOUR // 60),
    ]
    with database.write() as connection:
        lock(connection, Lock.LIMITS)
        (result,) = rate_limits.take(connection, [applying], now=now_ms())
    return isinstance(result, Quota)

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(3) as threads:
    print(sum(threads.map(send, range(30))), flush=True)
"""


def race(database: Database, number: int) -> bool:
    applying = [exact(f"number {number}", Rate(1, HOUR)), in_parts("total", Rate(25, HOUR))]
    return is_taken(database, *applying, now=now_ms())


def test_threads_and_processes_together_never_exceed_a_limit(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    starting = threading.Barrier(4)

    def start(process: "subprocess.Popen[str]") -> str:
        starting.wait(30)
        return process.communicate("go\n", timeout=60)[0]

    def here() -> int:
        starting.wait(30)
        return sum(race(database, number) for number in range(30))

    with ThreadPoolExecutor(4) as threads:
        elsewhere = [threads.submit(start, process) for process in processes]
        own = [threads.submit(here) for _ in range(2)]
        taken = sum(one.result() for one in own) + sum(int(one.result()) for one in elsewhere)
    assert [process.returncode for process in processes] == [0, 0]
    assert taken == 25
    with database.read() as connection:
        counted = connection.execute(
            select(limit_counts.c.subject, func.sum(limit_counts.c.count)).group_by(
                limit_counts.c.subject
            )
        )
        by_subject = {subject: int(number) for subject, number in counted}
    assert by_subject.pop("total") == 25
    assert list(by_subject.values()) == [1] * 25


@pytest.mark.parametrize(
    ("reset_ms", "seconds"),
    [(1, 1), (29_999, 30), (30_000, 30), (30_001, 30), (30_999, 30), (31_000, 31)],
)
def test_milliseconds_beyond_the_window_do_not_round_up(reset_ms: int, seconds: int) -> None:
    assert QuotaPolicy("per_number", Rate(1, 30_000), 0, reset_ms).reset_seconds == seconds


@pytest.mark.parametrize(
    ("name", "whom"),
    [
        ("per_number", "to this number"),
        ("per_key", "with this API key"),
        ("per_client_ip", "for this client address"),
        ("per_country", "to this country"),
        ("per_prefix", "to numbers like this one"),
        ("total", "in all"),
    ],
)
def test_refusal_names_the_limit_and_its_rate(name: str, whom: str) -> None:
    reached = QuotaPolicy(name, Rate(3, HOUR), 0, 1500)
    refused = LimitReached(Quota((reached,), is_reached=True))
    assert str(refused) == f"Too many codes {whom}: at most 3 in 1h. Try again in 2 s."
