"""The guard that notices pumping: what it finds, what it does, whom it tells, and for how long."""

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

# apprise still imports this module of Python's where it exists.
imghdr = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

END = 1_800_000_000_000  # of the hour that is judged
NOW = END + 10 * 60_000 + 12_345
EGYPTIAN = Phone("+201001234567", "EG")
SAUDI = Phone("+966501234567", "SA")


def count(database: Database, country: str, start: int, started: int, approved: int) -> None:
    """Count so many, in two shards."""
    row = {"country": country, "start": start, "started": 0, "approved": 0}
    both = [row | {"shard": 3, "started": started}, row | {"shard": 19, "approved": approved}]
    with database.write() as connection:
        connection.execute(insert(conversions), both)


def live_a_week(
    database: Database, country: str, *, hourly: int, percent: int, end: int = END
) -> None:
    """A habit: so many starts in each third hour of seven days, and so many of these approved."""
    for hour in range(0, 24 * HABIT_DAYS, 3):
        start = end - HOUR_MS - HABIT_DAYS * DAY_MS + hour * HOUR_MS
        count(database, country, start, hourly, hourly * percent // 100)


def live_an_hour(
    database: Database, country: str, *, started: int, approved: int, end: int = END
) -> None:
    """The hour that is judged, all in the middle of it."""
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
    """Egypt is pumped: three times as many codes as usual, and hardly one is typed."""
    live_a_week(database, "EG", hourly=40, percent=80)
    live_an_hour(database, "EG", started=120, approved=30)


@pytest.mark.parametrize(
    ("hour", "habit", "low"),
    [
        (Share(120, 30), Habit(Share(1000, 800), 40.0), True),
        (Share(120, 47), Habit(Share(1000, 800), 40.0), True),
        (Share(120, 48), Habit(Share(1000, 800), 40.0), False),  # half of its habit
        (Share(60, 0), Habit(Share(1000, 800), 40.0), False),  # half as many again
        (Share(61, 0), Habit(Share(1000, 800), 40.0), True),
        (Share(49, 0), Habit(Share(1000, 800), 0.0), False),  # too few to tell
        (Share(50, 0), Habit(Share(1000, 800), 0.0), True),
        (Share(500, 0), Habit(Share(1000, 0), 10.0), False),  # nobody ever typed one
    ],
)
def test_an_hour_is_low_by_its_share_and_its_volume_together(
    hour: Share, habit: Habit, *, low: bool
) -> None:
    assert is_low(hour, habit) is low


def test_a_country_that_is_pumped_is_found_and_no_other(database: Database) -> None:
    pump(database)
    live_a_week(database, "SA", hourly=40, percent=80)
    live_an_hour(database, "SA", started=120, approved=96)
    assert found(database) == ["EG"]


def test_a_failing_channel_without_more_sends_is_no_pumping(database: Database) -> None:
    live_a_week(database, "EG", hourly=120, percent=80)
    live_an_hour(database, "EG", started=120, approved=0)
    assert found(database) == []


def test_the_volume_of_other_hours_of_the_day_does_not_hide_it(database: Database) -> None:
    pump(database)
    for day in range(1, HABIT_DAYS + 1):  # evenings are busy
        count(database, "EG", END - day * DAY_MS - 6 * HOUR_MS, 500, 400)
    assert found(database) == ["EG"]


def test_the_newest_ten_minutes_are_left_out(database: Database) -> None:
    live_a_week(database, "EG", hourly=40, percent=80)
    count(database, "EG", END, 500, 0)
    assert found(database) == []
    assert found(database, now=END + 20 * 60_000 - 1) == []
    assert found(database, now=END + 20 * 60_000) == ["EG"]


def test_a_country_without_a_habit_is_held_against_all_the_others(database: Database) -> None:
    live_an_hour(database, "AI", started=FEWEST_STARTS, approved=0)
    assert found(database) == [], "nobody has a habit yet"
    live_a_week(database, "EG", hourly=40, percent=80)
    assert found(database) == ["AI"]


def test_a_new_country_that_types_its_codes_is_welcome(database: Database) -> None:
    live_a_week(database, "EG", hourly=40, percent=80)
    live_an_hour(database, "AI", started=200, approved=90)
    assert found(database) == []


def test_a_habit_of_a_few_days_is_not_taken_for_a_small_one(database: Database) -> None:
    count(database, "EG", END - HOUR_MS - DAY_MS, 100, 80)
    live_an_hour(database, "EG", started=110, approved=0)
    assert FEWEST_HABITUAL_STARTS <= 100
    assert found(database) == [], "as many as yesterday at this time"


def test_a_found_country_is_guarded_for_an_hour(database: Database) -> None:
    pump(database)
    with capture_logs() as lines:
        conversion_guard.judge(database, mode="block", now=NOW)
    (guard,) = guards(database)
    assert (guard.country, guard.since, guard.until) == ("EG", NOW, NOW + GUARDED_MS)
    assert (guard.blocks, guard.share, guard.habit) == (True, 25, 80)
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["country"], line["approved_percent"], line["usual_percent"]) == ("EG", 25, 80)


def test_it_is_guarded_for_longer_while_it_lasts_and_said_once(database: Database) -> None:
    pump(database)
    with capture_logs() as lines:
        for minute in range(5):
            conversion_guard.judge(database, mode="alert", now=NOW + minute * 60_000)
    assert len(lines) == 1
    (guard,) = guards(database)
    assert (guard.since, guard.until) == (NOW, NOW + 4 * 60_000 + GUARDED_MS)


def test_a_guard_that_was_over_begins_anew(database: Database) -> None:
    pump(database)
    judge(database)
    later = 3 * HOUR_MS
    live_an_hour(database, "EG", started=120, approved=0, end=END + later)
    judge(database, "block", now=NOW + later)
    (guard,) = guards(database)
    assert (guard.since, guard.blocks) == (NOW + later, True)


def test_switched_off_it_does_nothing(database: Database) -> None:
    pump(database)
    judge(database, "off")
    assert guards(database) == []


def test_of_several_machines_one_judges(database: Database) -> None:
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
    """Guard Egypt until then."""
    with database.write() as connection:
        changed = connection.execute(update(country_guards).values(until=until))
        if changed.rowcount == 0:
            row = {"country": "EG", "since": 1, "blocks": blocks, "share": 12, "habit": 71}
            connection.execute(insert(country_guards).values(**row, until=until))


@pytest.fixture
def blocking(database: Database) -> Iterator[CountryPolicy]:
    """What refuses sends, as it does with CONVERSION_GUARD=block; it looks often."""
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


def test_sends_to_a_guarded_country_are_refused_until_it_is_over(
    database: Database, blocking: CountryPolicy
) -> None:
    assert not is_blocked(blocking)
    set_guard(database, until=now_ms() + GUARDED_MS)
    wait_until(lambda: is_blocked(blocking), 20, "the guard")
    assert not is_blocked(blocking, SAUDI)
    set_guard(database, until=now_ms())
    wait_until(lambda: not is_blocked(blocking), 20, "its end")


def test_a_guard_blocks_from_the_start_of_the_process(database: Database) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    watching = CountryPolicy(database, blocks=True)
    watching.start()
    assert is_blocked(watching)
    watching.stop()


@pytest.mark.parametrize("mode", ["off", "alert"])
def test_unless_it_is_set_a_guard_refuses_nothing(database: Database, mode: str) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    watching = build_countries(settings(conversion_guard=mode), database)
    watching.start()
    assert not is_blocked(watching)
    watching.stop()


def test_a_guard_that_only_alerts_refuses_nothing(
    database: Database, blocking: CountryPolicy
) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS, blocks=False)
    with database.write() as connection:
        later = {"country": "SA", "since": 1, "blocks": True, "share": 12, "habit": 71}
        connection.execute(insert(country_guards).values(**later, until=now_ms() + GUARDED_MS))
    wait_until(lambda: is_blocked(blocking, SAUDI), 20, "the other guard")
    assert not is_blocked(blocking)


def test_while_the_database_is_away_what_was_guarded_stays_guarded(
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
    """A target that is reached."""
    opened = Inbox()
    yield opened
    opened.close()


def settle(database: Database, inbox: Inbox, machines: int = 3) -> None:
    """Several machines look, and what they start ends."""
    for _ in range(machines):
        alerts = Alerts(database, [inbox.address], most_reconnects=5)
        alerts.check()
        alerts.wait(20)


@imghdr
def test_a_guard_is_told_once_over_all_machines_and_its_end_once(
    database: Database, inbox: Inbox
) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS)
    settle(database, inbox)
    assert inbox.titles() == ["Hudhud: far fewer codes to EG are approved than usual"]
    body = str(inbox.messages[0]["message"])
    assert "12 % of the codes of an hour were approved, usual are 71 %" in body
    assert "Sends to EG are refused until" in body
    set_guard(database, until=now_ms())
    settle(database, inbox)
    assert inbox.titles()[1:] == ["Hudhud: EG is no longer guarded"]
    set_guard(database, until=now_ms() + GUARDED_MS)
    settle(database, inbox)
    assert len(inbox.messages) == 3, "a new one is told anew"


@imghdr
def test_where_nothing_is_refused_the_alert_says_how_to_do_it(
    database: Database, inbox: Inbox
) -> None:
    set_guard(database, until=now_ms() + GUARDED_MS, blocks=False)
    settle(database, inbox)
    assert "set CONVERSION_GUARD=block, or DENIED_COUNTRIES=EG" in inbox.messages[0]["message"]


@imghdr
def test_a_guard_that_was_over_before_it_could_be_told_is_not_told(
    database: Database, inbox: Inbox
) -> None:
    set_guard(database, until=now_ms() - 1)
    settle(database, inbox)
    assert inbox.tries == 0
