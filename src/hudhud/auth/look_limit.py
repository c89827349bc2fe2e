"""Limit how often unknown API keys are looked up in the database."""

import time
from collections import deque
from collections.abc import Callable

MOST_LOOKS = 20
WINDOW_SECONDS = 1.0


class LookLimit:
    """Allows `MOST_LOOKS` within any `WINDOW_SECONDS`, so that guesses do not load the database.

    `clock` returns seconds and never goes back. For use by one thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=MOST_LOOKS)

    def take(self) -> bool:
        """Count a look; return False, without counting it, if the limit is reached."""
        now = self._clock()
        if len(self._taken) == MOST_LOOKS and now - self._taken[0] < WINDOW_SECONDS:
            return False
        self._taken.append(now)  # forgets the oldest
        return True
