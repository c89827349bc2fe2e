"""Count wrong API keys per client address, to slow guesses and report them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from hudhud.core.errors import TooMany
from hudhud.core.ip_addresses import LOOPBACK, is_within, limited_as

MOST_WRONG = 100
WINDOW_SECONDS = 60.0
# Beyond this many addresses within one window, all others count as one.
MOST_ADDRESSES = 10_000
OTHERS = "others"
WORD = "too_many_wrong_keys"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Window:
    """The wrong keys of one minute, by address."""

    ends: float
    counts: dict[str, int]


class WrongKeys:
    """The wrong keys of the present minute; right keys are never counted or refused.

    Without a trusted proxy, loopback is only reported: it may be a proxy that is not trusted yet,
    whose clients would share one address. `clock` returns seconds. For use by one thread.
    """

    def __init__(
        self, *, is_behind_proxy: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_behind_proxy = is_behind_proxy
        self._clock = clock
        self._window = _Window(clock() + WINDOW_SECONDS, {})

    def note(self, address: str) -> None:
        """Count a wrong key. Raises TooMany after `MOST_WRONG` in a minute."""
        now = self._clock()
        if now >= self._window.ends:
            self._window = _Window(now + WINDOW_SECONDS, {})
        counts = self._window.counts
        owner = limited_as(address)
        if owner not in counts and len(counts) >= MOST_ADDRESSES:
            owner = OTHERS
        counts[owner] = counts.get(owner, 0) + 1
        if counts[owner] == MOST_WRONG:
            log.warning("many wrong API keys within a minute", address=owner, count=MOST_WRONG)
        if counts[owner] > MOST_WRONG and self._may_refuse(address):
            raise _refusal(self._window.ends - now)

    def _may_refuse(self, address: str) -> bool:
        return self._is_behind_proxy or not is_within(address, LOOPBACK)


def _refusal(seconds: float) -> TooMany:
    retry_after = max(1, round(seconds))
    sentence = (
        f"Too many wrong API keys came from this address. Try again in {retry_after} s with a "
        "valid key."
    )
    return TooMany(sentence, WORD, retry_after)
