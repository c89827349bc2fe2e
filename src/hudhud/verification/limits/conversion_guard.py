"""Detect pumping: countries where conversion drops while more codes are sent.

An attacker who pumps has codes sent to numbers that earn from the traffic, and never types one. An
hour of a country is compared with the seven days before. Findings are rows of `country_guards`:
`maintenance/alerts/countries.py` words the alerts, and `limits/countries.py` refuses sends if the
guard blocks.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import structlog
from sqlalchemy import Connection, case, func, select, update

from hudhud.core.clock import DAY_MS, HOUR_MS
from hudhud.db import installation
from hudhud.db.engine import Database
from hudhud.db.tables import conversions, country_guards
from hudhud.db.upserts import insert_or_update
from hudhud.verification.limits.conversions import PART_MS

HABIT_DAYS: Final = 7
GUARDED_MS: Final = HOUR_MS
# People need time to type a code, so the last ten minutes are excluded.
LEFT_OUT_MS: Final = 600_000
# Too few verifications for a meaningful rate.
FEWEST_STARTS: Final = 50
FEWEST_HABITUAL_STARTS: Final = 100
# An attack that halves the conversion has at least doubled the traffic.
RISE: Final = 1.5
FALL: Final = 0.5

JUDGED_AT: Final = "conversions_judged_at"  # a row of `installation`
JUDGED_AGAIN_MS: Final = 50_000

Mode = Literal["off", "alert", "block"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Share(NamedTuple):
    """Numbers of started verifications, and of approved ones among them."""

    started: int
    approved: int

    @property
    def percent(self) -> int:
        """The conversion in percent; 0 without started verifications."""
        return round(100 * self.approved / max(1, self.started))


class Habit(NamedTuple):
    """Usual traffic: conversion of seven days, and mean starts at that hour."""

    share: Share
    starts: float


class Finding(NamedTuple):
    """A country whose conversion is far below its usual one."""

    country: str
    share: Share
    habit: Share


def is_low(hour: Share, habit: Habit) -> bool:
    """Return whether conversion is far below the usual one, with more traffic."""
    return (
        hour.started >= FEWEST_STARTS
        and hour.started > RISE * habit.starts
        and hour.approved * habit.share.started < FALL * habit.share.approved * hour.started
    )


def judge(database: Database, *, mode: Mode, now: int) -> None:
    """Guard countries with low conversion for an hour, and log new ones.

    Called about once a minute on every machine; only one machine does the work. Reading takes a
    while in a busy installation, so no lock is held during it.
    Raises sqlalchemy.exc.SQLAlchemyError if the database is not available.
    """
    if mode == "off" or not _is_my_turn(database, now):
        return
    with database.read() as connection:
        found = find(connection, now=now)
    if found:
        with database.write() as connection:
            for finding in found:
                _guard(connection, finding, blocks=mode == "block", now=now)


def find(connection: Connection, *, now: int) -> list[Finding]:
    """Return the countries with low conversion in the last hour.

    The hour ends at a full ten minutes, at least ten minutes ago.
    """
    end = now - LEFT_OUT_MS
    begin = end - end % PART_MS - HOUR_MS
    hours = _hours(connection, begin)
    if not hours:
        return []
    habits = _habits(connection, sorted(hours), begin)
    everywhere = _share_everywhere(connection, begin) if _any_is_new(hours, habits) else Share(0, 0)
    findings = []
    for country, hour in sorted(hours.items()):
        habit = habits.get(country, Habit(Share(0, 0), 0.0))
        if habit.share.started < FEWEST_HABITUAL_STARTS:
            habit = Habit(everywhere, habit.starts)
        if habit.share.started >= FEWEST_HABITUAL_STARTS and is_low(hour, habit):
            findings.append(Finding(country, hour, habit.share))
    return findings


def _is_my_turn(database: Database, now: int) -> bool:
    """Claim this minute; return False if another machine has it."""
    with database.read() as connection:
        judged_at = installation.read(connection, JUDGED_AT)
    if judged_at is not None and int(judged_at) > now - JUDGED_AGAIN_MS:
        return False
    with database.write() as connection:
        return installation.replace(connection, JUDGED_AT, before=judged_at, value=str(now))


def _hours(connection: Connection, begin: int) -> dict[str, Share]:
    """Return the countries with enough starts in the hour from `begin`."""
    started, approved = func.sum(conversions.c.started), func.sum(conversions.c.approved)
    rows = connection.execute(
        select(conversions.c.country, started, approved)
        .where(conversions.c.start >= begin, conversions.c.start < begin + HOUR_MS)
        .group_by(conversions.c.country)
        .having(started >= FEWEST_STARTS)
    )
    return {country: Share(int(started), int(approved)) for country, started, approved in rows}


def _habits(connection: Connection, countries: Sequence[str], begin: int) -> dict[str, Habit]:
    """Return these countries' usual traffic in seven days before `begin`."""
    first = begin - HABIT_DAYS * DAY_MS
    is_that_hour = (conversions.c.start - first) % DAY_MS < HOUR_MS
    rows = connection.execute(
        select(
            conversions.c.country,
            func.sum(conversions.c.started),
            func.sum(conversions.c.approved),
            func.sum(case((is_that_hour, conversions.c.started), else_=0)),
            func.min(conversions.c.start),
        )
        .where(
            conversions.c.country.in_(countries),
            conversions.c.start >= first,
            conversions.c.start < begin,
        )
        .group_by(conversions.c.country)
    )
    return {
        country: Habit(Share(int(started), int(approved)), int(that_hour) / _days(begin - oldest))
        for country, started, approved, that_hour, oldest in rows
    }


def _days(milliseconds: int) -> int:
    """Return the number of days begun, from 1 to `HABIT_DAYS`."""
    return min(HABIT_DAYS, max(1, -(-milliseconds // DAY_MS)))


def _any_is_new(hours: Mapping[str, Share], habits: Mapping[str, Habit]) -> bool:
    known = {
        country
        for country, habit in habits.items()
        if habit.share.started >= FEWEST_HABITUAL_STARTS
    }
    return not known.issuperset(hours)


def _share_everywhere(connection: Connection, begin: int) -> Share:
    """Return the share of all countries, for countries with few starts."""
    row = connection.execute(
        select(func.sum(conversions.c.started), func.sum(conversions.c.approved)).where(
            conversions.c.start >= begin - HABIT_DAYS * DAY_MS, conversions.c.start < begin
        )
    ).one()
    return Share(int(row[0] or 0), int(row[1] or 0))


def _guard(connection: Connection, finding: Finding, *, blocks: bool, now: int) -> None:
    country = finding.country
    values: dict[str, object] = {
        "until": now + GUARDED_MS,
        "blocks": blocks,
        "share": finding.share.percent,
        "habit": finding.habit.percent,
    }
    renewed = connection.execute(
        update(country_guards)
        .where(country_guards.c.country == country, country_guards.c.until > now)
        .values(**values)
    )
    if renewed.rowcount == 0:
        insert_or_update(connection, country_guards, {"country": country}, values | {"since": now})
        log.warning(
            "conversion of a country is far below usual",
            country=country,
            started_in_an_hour=finding.share.started,
            approved_percent=finding.share.percent,
            usual_percent=finding.habit.percent,
            refused=blocks,
        )
