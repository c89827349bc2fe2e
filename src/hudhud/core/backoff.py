"""Waits that double from failure to failure."""

import random

MOST_DOUBLINGS = 20  # more would only overflow


def doubled(first: float, times: int, *, most: float) -> float:
    """Return `first` doubled `times` times, but no more than `most`."""
    return min(most, first * 2.0 ** min(times, MOST_DOUBLINGS))


def jittered(wait: float) -> float:
    """Change a wait by up to a quarter, so that those who failed together come back apart."""
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 -- jitter
