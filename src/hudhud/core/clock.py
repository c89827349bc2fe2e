"""Timestamps and durations as stored: whole milliseconds, timestamps since 1970 in UTC."""

import time
from datetime import UTC, datetime
from typing import Final

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
YEAR_SECONDS: Final = 365 * 24 * 3600
FRESH_MS: Final = 2 * SECOND_MS


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def moment_in(second: int, *, heard: int) -> int:
    """Return when something happened (milliseconds) that a provider dates with a whole second.

    That is the moment at which it was `heard` if this is at most `FRESH_MS` before or after the
    second, which lasts 1000 ms. Otherwise the news is old, and the second's start is returned.
    """
    start = second * SECOND_MS
    is_fresh = start - FRESH_MS <= heard < start + SECOND_MS + FRESH_MS
    return heard if is_fresh else start


def iso(milliseconds: int) -> str:
    """Format a timestamp as ISO 8601 with milliseconds and `Z`, like JavaScript."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
    return f"{moment[:19]}.{milliseconds % 1000:03d}Z"


def iso_or_none(milliseconds: int | None) -> str | None:
    """Format a timestamp with `iso`, or return None."""
    return None if milliseconds is None else iso(milliseconds)


def seconds_or_none(milliseconds: int | None) -> float | None:
    """Convert a duration in milliseconds to seconds, or return None."""
    return None if milliseconds is None else milliseconds / 1000
