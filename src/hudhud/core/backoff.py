"""Exponential backoff with jitter."""

import random

MOST_DOUBLINGS = 20  # avoids overflow


def doubled(first: float, times: int, *, most: float) -> float:
    """Return `first` doubled `times` times, capped at `most`."""
    return min(most, first * 2.0 ** min(times, MOST_DOUBLINGS))


def jittered(wait: float) -> float:
    """Vary a wait by up to 25 %, to spread simultaneous retries."""
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 -- jitter
