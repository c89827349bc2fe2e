"""Time as it is stored: whole milliseconds since 1970 in UTC, and spans of them."""

import time
from datetime import UTC, datetime
from typing import Final

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


def now_ms() -> int:
    """Return the present time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(milliseconds: int) -> str:
    """Write a stored time as ISO 8601 with milliseconds and `Z`, as JavaScript does."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
    return f"{moment[:19]}.{milliseconds % 1000:03d}Z"


def iso_or_none(milliseconds: int | None) -> str | None:
    """Write a stored time that may be missing."""
    return None if milliseconds is None else iso(milliseconds)


def seconds_or_none(milliseconds: int | None) -> float | None:
    """Return a span of time, which may be missing, in seconds."""
    return None if milliseconds is None else milliseconds / 1000
