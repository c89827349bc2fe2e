"""When a delivery that failed is tried again, and when it is given up."""

import random
from collections.abc import Sequence

# Seconds from each attempt to the next; the first is made at once, the tenth is the last.
RETRY_WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
# A receiver may ask for more time, but not for as long as it likes.
LONGEST_ASKED_SECONDS = 3600
# A receiver that hangs takes what waits for it one by one: by then the last attempt would be over.
GIVEN_UP_AFTER_MS = round(sum(RETRY_WAITS) * (1 + JITTER) + 3600) * 1000


def retry_at(attempts: int, waits: Sequence[float], *, asked: float | None, now: int) -> int | None:
    """Return when to try again after so many attempts, with jitter; None after the last one.

    A receiver that `asked` for more seconds gets them, up to `LONGEST_ASKED_SECONDS`.
    """
    if attempts > len(waits):
        return None
    wait = waits[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- jitter
    return now + round(max(wait, min(asked or 0, LONGEST_ASKED_SECONDS)) * 1000)
