"""When to retry failed webhook deliveries, and when to stop."""

import random
from collections.abc import Sequence

# Seconds between attempts; the first attempt is immediate, the tenth is the last.
RETRY_WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
# Upper bound for the wait that a receiver asks for (Retry-After).
LONGEST_ASKED_SECONDS = 3600
# A hanging receiver delays attempts, so pending deliveries fail when the last one would have ended.
GIVEN_UP_AFTER_MS = round(sum(RETRY_WAITS) * (1 + JITTER) + 3600) * 1000


def retry_at(attempts: int, waits: Sequence[float], *, asked: float | None, now: int) -> int | None:
    """Return when to retry after `attempts`, with jitter; None after the last.

    `asked` are the seconds of a receiver's Retry-After, used up to `LONGEST_ASKED_SECONDS`.
    """
    if attempts > len(waits):
        return None
    wait = waits[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- jitter
    return now + round(max(wait, min(asked or 0, LONGEST_ASKED_SECONDS)) * 1000)
