"""Run the date-dependent tests with the process clock at other moments.

`.venv/bin/python tests/chaos/clocks.py` runs all of them; arguments go to pytest.

Tests with Chromium, Go or PostgreSQL processes are excluded, because those use the machine's clock;
so are tests marked `system_clock`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

TESTS = Path(__file__).parents[1]
SELECTED = ("-m", "not system_clock and not postgresql")
# pytest would import this plugin itself, but `sitecustomize` needs it earlier.
QUIET = ("-W", "ignore:Module already imported so cannot be rewritten; time_machine")
LEFT_OUT = [f"--ignore={TESTS / folder}" for folder in ("acceptance", "browser", "emulator")]
# The clock reaches the change while the first tests run.
LEAD = timedelta(seconds=5)


class Moment(NamedTuple):
    """The start of a run's clock, and its time zone."""

    name: str
    at: datetime
    zone: str = "UTC"


def moments(now: datetime) -> Iterator[Moment]:
    """Yield the moments to test, each after `now`."""
    for days in (8, 60, 500):
        yield Moment(f"+{days} days", now + timedelta(days=days))
    leap_year = next(year for year in range(now.year + 1, now.year + 9) if _is_leap(year))
    yield Moment("29 February", datetime(leap_year, 2, 29, 12, tzinfo=UTC))
    yield Moment("new year", datetime(now.year, 12, 31, 23, 59, 50, tzinfo=UTC))
    for zone in ("Africa/Cairo", "Europe/Berlin"):
        for change in _summer_time_changes(now, ZoneInfo(zone)):
            yield Moment(f"{zone} in {change:%B}", change - LEAD, zone)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _summer_time_changes(now: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the next year's two changes of a zone's offset."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    for _ in range(365 * 24):
        following = hour + timedelta(hours=1)
        if hour.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield following
        hour = following


def run_at(moment: Moment, arguments: list[str]) -> int:
    ahead = (moment.at - datetime.now(UTC)).total_seconds()
    print(f"── {moment.name}: {moment.at:%Y-%m-%d %H:%M:%S} UTC", flush=True)  # noqa: T201 -- a report
    environment = os.environ | {
        "CLOCK_AHEAD_SECONDS": str(ahead),
        "PYTHONPATH": str(TESTS),
        "TZ": moment.zone,
    }
    command = [sys.executable, "-m", "pytest", *QUIET, *SELECTED, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> None:
    """Run pytest at each moment; exit with 1 if a run failed."""
    arguments = sys.argv[1:] or ["-q", "-n", "2", *LEFT_OUT, str(TESTS)]
    failed = [moment for moment in moments(datetime.now(UTC)) if run_at(moment, arguments) != 0]
    sys.exit(f"failed at: {', '.join(each.name for each in failed)}" if failed else 0)


if __name__ == "__main__":
    main()
