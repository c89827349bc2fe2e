"""The conversion guard against pumping: detection, blocking, alerts and duration."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from sqlalchemy import Row, insert, select, update
from structlog.testing import capture_logs

from conftest import settings
from hudhud.core.clock import DAY_MS, HOUR_MS, now_ms
from hudhud.core.errors import NotAllowed
from hudhud.core.phones import Phone
from hudhud.db.engine import Database
from hudhud.db.tables import conversions, country_guards
from hudhud.maintenance.alerts.send import Alerts
from hudhud.verification.build import build_countries
from hudhud.verification.limits import conversion_guard
from hudhud.verification.limits.conversion_guard import (
    FEWEST_HABITUAL_STARTS,
    FEWEST_STARTS,
    GUARDED_MS,
    HABIT_DAYS,
    Habit,
    Share,
    is_low,
)
from hudhud.verification.limits.conversions import PART_MS
from hudhud.verification.limits.countries import CountryPolicy
from support.inbox import Inbox
from support.services import wait_until

# apprise imports this deprecated module of Python if it exists.
imghdr = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

END = 1_800_000_000_000  # of the judged hour
NOW = END + 10 * 60_000 + 12_345
EGYPTIAN = Phone("+201001234567", "EG")
SAUDI = Phone("+966501234567", "SA")


def count(database: Database, country: str, start: int, started: int, approved: int) -> None:
    """Insert this many starts and approvals, in two shards."""
    row = {"country": country, "start": start, "started": 0, "approved": 0}
    both = [row | {"shard": 3, "started": started}, row | {"shard": 19, "approved": approved}]
    with database.write() as connection:
        connection.execute(insert(conversions), both)


def live_a_week(
    database: Database, country: str, *, hourly: int, percent: int, end: int = END
) -> None:
    """Insert a habit: seven days of starts, some of them approved."""
    for hour in range(0, 24 * HABIT_DAYS, 3):
        start = end - HOUR_MS - HABIT_DAYS * DAY_MS + hour * HOUR_MS
        count(database, country, start, hourly, hourly * percent // 100)


def live_an_hour(
    database: Database, country: str, *, started: int, approved: int, end: int = END
) -> None:
    """Insert the judged hour, with all starts in its middle."""
    count(database, country, end - HOUR_MS + 3 * PART_MS, started, approved)


def found(database: Database, now: int = NOW) -> list[str]:
    with database.read() as connection:
        return [one.country for one in conversion_guard.find(connection, now=now)]


def judge(
    database: Database, mode: Literal["off", "alert", "block"] = "alert", now: int = NOW
) -> None:
    with capture_logs():
        conversion_guard.judge(database, mode=mode, now=now)


def guards(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        order = country_guards.c.country
        return list(connection.execute(select(country_guards).order_by(order)))


def pump(database: Database) -> None:
    """Insert pumping in Egypt: three times the usual starts, unapproved."""
    live_a_week(database, "EG", hourly=40, percent=80)
    live_an_hour(database, "EG", started=120, approved=30)


@pytest.mark.parametrize(
    ("hour", "habit", "low"),
    [
        (Share(120, 30), Habit(Share(1000, 800), 40.0), True),
        (Share(120, 47), Habit(Share(1000, 800), 40.0), True),
        (Share(120, 48), Habit(Share(1000, 800), 40.0), False),  # half of its habit
        (Share(60, 0), Habit(Share(1000, 800), 40.0), False),  # 1.5 times its habit
        (Share(61, 0), Habit(Share(1000, 800), 40.0), True),
        (Share(49, 0), Habit(Share(1000, 800), 0.0), False),  # too few to judge
        (Share(50, 0), Habit(Share(1000, 800), 0.0), True),
        (Share(500, 0), Habit(Share(1000, 0), 10.0), False),  # no code was ever approved
    ],
)
def test_hour_is_low_by_share_and_volume_together(hour: Share, habit: Habit, *, low: bool) -> None:
    assert is_low(hour, habit) is low


def test_only_the_pumped_country_is_found(database: Database) -> None:
    pump(database)
    live_a_week(database, "SA", hourly=40, percent=80)
    live_an_hour(database, "SA", started=120, approved=96)
    assert found(database) == ["EG"]


def test_failing_channel_without_more_sends_is_no_pumping(database: Database) -> None:
    live_a_week(database, "EG", hourly=120, percent=80)
    live_an_hour(database, "EG", started=120, approved=0)
    assert found(database) == []


def test_volume_of_other_hours_does_not_hide_pumping(database: Database) -> None:
    pump(database)
    for day in range(1, HABIT_DAYS + 1):  # evenings are busy
        count(database, "EG", END - day * DAY_MS - 6 * HOUR_MS, 500, 400)
    assert found(database) == ["EG"]


def test_newest_ten_minutes_are_ignored(database: Database) -> None:
    live_a_week(database, "EG", hourly=40, percent=80)
    count(database, "EG", END, 500, 0)
    assert found(database) == []
    assert found(database, now=END + 20 * 60_000 - 1) == []
    assert found(database, now=END + 20 * 60_000) == ["EG"]


def test_country_without_a_habit_is_compared_with_all_others(database: Database) -> None:
    live_an_hour(database, "AI", started=FEWEST_STARTS, approved=0)
    assert found(database) == [], "nobody has a habit yet"
    live_a_week(database, "EG", hourly=40, percent=80)
    assert found(database) == ["AI"]


def test_new_country_with_a_good_conversion_is_not_guarded(database: Database) -> None:
    live_a_week(database, "EG", hourly=40, percent=80)
    live_an_hour(database, "AI", started=200, approved=90)
    assert found(database) == []


def test_habit_of_a_few_days_is_not_mistaken_for_a_small_one(database: Database) -> None:
    count(database, "EG", END - HOUR_MS - DAY_MS, 100, 80)
    live_an_hour(database, "EG", started=110, approved=0)
    assert FEWEST_HABITUAL_STARTS <= 100
    assert found(database) == [], "as many as yesterday at this time"


def test_pumped_country_is_guarded_for_an_hour(database: Database) -> None:
    pump(database)
    with capture_logs() as lines:
        conversion_guard.judge(database, mode="block", now=NOW)
    (guard,) = guards(database)
    assert (guard.country, guard.since, guard.until) == ("EG", NOW, NOW + GUARDED_MS)
    assert (guard.blocks, guard.share, guard.habit) == (True, 25, 80)
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["country"], line["approved_percent"], line["usual_percent"]) == ("EG", 25, 80)


def test_continued_pumping_extends_the_guard_and_is_logged_once(database: Database) -> None:
    pump(database)
    with capture_logs() as lines:
        for minute in range(5):
            conversion_guard.judge(database, mode="alert", now=NOW + minute * 60_000)
    assert len(lines) == 1
    (guard,) = guards(database)
    assert (guard.since, guard.until) == (NOW, NOW + 4 * 60_000 + GUARDED_MS)


def test_ended_guard_can_start_again(database: Database) -> None:
    pump(database)
    judge(database)
    later = 3 * HOUR_MS
    live_an_hour(database, "EG", started=120, approved=0, end=END + later)
    judge(database, "block", now=NOW + later)
    (guard,) = guards(database)
    assert (guard.since, guard.blocks) == (NOW + later, True)


def test_disabled_guard_does_nothing(database: Database) -> None:
    pump(database)
    judge(database, "off")
    assert guards(database) == []


def test_only_one_of_several_machines_judges(database: Database) -> None:
    pump(database)
    with capture_logs() as lines, ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit(conversion_guard.judge, database, mode="alert", now=NOW + one)
            for one in range(8)
        ]
        for job in jobs:
            job.result()
    assert len(lines) == 1
    live_a_week(database, "SA", hourly=40, percent=80)
    live_an_hour(database, "SA", started=120, approved=0)
    judge(database, now=NOW + 30_000)
    assert [guard.country for guard in guards(database)] == ["EG"], "judged half a minute ago"
    judge(database, now=NOW + 60_000)
    assert [guard.country for guard in guards(database)] == ["EG", "SA"]


def set_guard(database: Database, *, until: int, blocks: bool = True) -> None:
    """Guard Egypt until this moment."""
    with database.write() as connection:
        changed = connection.execute(update(country_guards).values(until=until))
        if changed.rowcount == 0:
            row = {"country": "EG", "since": 1, "blocks": blocks, "share": 12, "habit": 71}
            connection.execute(insert(country_guards).values(**row, until=until))


@pytest.fixture
def blocking(database: Database) -> Iterator[CountryPolicy]:
    """The policy that refuses sends with CONVERSION_GUARD=block, refreshed often."""
    watching = CountryPolicy(database, blocks=True, renew_seconds=0.02)
    watching.start()
    yield watching
    watching.stop()


def is_blocked(watching: CountryPolicy, phone: Phone = EGYPTIAN) -> bool:
    try:
        watching.check(phone)
    except NotAllowed as error:
        return error.word == "country_blocked"
    return False


def test_sends_to_a_guarded_country_are_refused_until_the_guard_ends(
    database: Database, blocking: CountryPolicy
) -> None:
    assert not is_blocked(blocking)
    set_guard(database, until=now_ms() + GUARDED_MS)
    wait_until(lambda: is_blocked(blocking), 20, "the guard")
    assert not is_blocked(blocking, SAUDI)
    set_guard(database, until=now_ms())
    wait_until(lambda: not is_blocked(blocking), 20, "its end")


def test_guard_blocks_from_the_start_of_the_process(database: Database) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    watching = CountryPolicy(database, blocks=True)
    watching.start()
    assert is_blocked(watching)
    watching.stop()


@pytest.mark.parametrize("mode", ["off", "alert"])
def test_guard_without_mode_block_refuses_nothing(database: Database, mode: str) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    watching = build_countries(settings(conversion_guard=mode), database)
    watching.start()
    assert not is_blocked(watching)
    watching.stop()


def test_alert_only_guard_refuses_nothing(database: Database, blocking: CountryPolicy) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS, blocks=False)
    with database.write() as connection:
        later = {"country": "SA", "since": 1, "blocks": True, "share": 12, "habit": 71}
        connection.execute(insert(country_guards).values(**later, until=now_ms() + GUARDED_MS))
    wait_until(lambda: is_blocked(blocking, SAUDI), 20, "the other guard")
    assert not is_blocked(blocking)


def test_guard_persists_while_the_database_is_unavailable(
    database: Database, blocking: CountryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    wait_until(lambda: is_blocked(blocking), 20, "the guard")
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    asked: list[int] = []
    ask = nowhere.read
    monkeypatch.setattr(nowhere, "read", lambda: asked.append(1) or ask())  # type: ignore[func-returns-value] # append is only noted
    monkeypatch.setattr(blocking, "_database", nowhere)
    wait_until(lambda: len(asked) > 2, 20, "it to ask in vain")
    assert is_blocked(blocking)
    nowhere.close()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A reachable target."""
    opened = Inbox()
    yield opened
    opened.close()


def settle(database: Database, inbox: Inbox, machines: int = 3) -> None:
    """Check on several machines and wait for the resulting deliveries."""
    for _ in range(machines):
        alerts = Alerts(database, [inbox.address], most_reconnects=5)
        alerts.check()
        alerts.wait(20)


@imghdr
def test_guard_and_its_end_are_each_alerted_once_over_all_machines(
    database: Database, inbox: Inbox
) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    settle(database, inbox)
    assert inbox.titles() == ["Hudhud: far fewer codes to EG are approved than usual"]
    body = str(inbox.messages[0]["message"])
    assert "12% of an hour's codes were approved; the usual share is 71%" in body
    assert "Sends to EG are refused until" in body
    set_guard(database, until=now_ms())
    settle(database, inbox)
    assert inbox.titles()[1:] == ["Hudhud: EG is no longer guarded"]
    set_guard(database, until=now_ms() + GUARDED_MS)
    settle(database, inbox)
    assert len(inbox.messages) == 3, "a new one is told anew"


@imghdr
def test_alert_of_an_alert_only_guard_says_how_to_block(database: Database, inbox: Inbox) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS, blocks=False)
    settle(database, inbox)
    assert "set CONVERSION_GUARD=block or DENIED_COUNTRIES=EG" in inbox.messages[0]["message"]


@imghdr
def test_guard_that_ended_before_its_alert_is_not_alerted(database: Database, inbox: Inbox) -> None:
    set_guard(database, until=now_ms() - 1)
    settle(database, inbox)
    assert inbox.tries == 0
