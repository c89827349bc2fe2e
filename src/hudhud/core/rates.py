"""Parse and format limits.

`1/30s,5/1h` allows 1 in 30 seconds and 5 in an hour; `0` switches a limit off. Each kind of limit
has a setting with such a text. An API key stores only its own limits:
`per_number=1/30s,5/1h per_country=0`.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, Literal, NamedTuple, get_args

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from hudhud.core.errors import BadRequest

LimitKind = Literal[
    "per_number", "per_key", "per_client_ip", "per_country", "per_prefix", "wrong_codes", "links"
]
KINDS: Final[tuple[LimitKind, ...]] = get_args(LimitKind)

UNIT_MS: Final = {"d": DAY_MS, "h": HOUR_MS, "m": MINUTE_MS, "s": 1000}  # longest first
_SPAN = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
LONGEST_WINDOW_MS = 31 * UNIT_MS["d"]
MOST = 1_000_000_000
MOST_RATES = 5
OFF = "0"

_RATE = re.compile(r"([0-9]{1,10})/([0-9]{1,10})([smhd])", re.ASCII)


class Rate(NamedTuple):
    """At most `most` within any `window_ms` milliseconds."""

    most: int
    window_ms: int

    def __str__(self) -> str:
        return f"{self.most}/{span(self.window_ms)}"


Rates = tuple[Rate, ...]


def parse_span(text: str) -> int | None:
    """Parse a duration like `24h` into milliseconds; None if it is not one."""
    found = _SPAN.fullmatch(text.strip())
    return None if found is None else int(found[1]) * UNIT_MS[found[2]]


def span(milliseconds: int) -> str:
    """Format whole seconds in the largest unit that fits: `1h`, `90s`."""
    unit = next(unit for unit, length in UNIT_MS.items() if milliseconds % length == 0)
    return f"{milliseconds // UNIT_MS[unit]}{unit}"


def parse_rates(text: str) -> Rates:
    """Parse rates and sort them, shortest window first; `0` returns none.

    Raises ValueError, whose text names the mistake and the fix.
    """
    if text.strip() == OFF:
        return ()
    parts = text.split(",")
    if len(parts) > MOST_RATES:
        raise ValueError(f"write at most {MOST_RATES} limits of one kind, not {len(parts)}")
    rates = sorted((_parse_rate(part.strip()) for part in parts), key=_by_window)
    for one, following in pairwise(rates):
        if one.window_ms == following.window_ms:
            raise ValueError(f"{one} and {following} are two limits for the same time: keep one")
    return tuple(rates)


def write_rates(rates: Rates) -> str:
    """Format rates as `parse_rates` parses them."""
    return ",".join(map(str, rates)) or OFF


def parse_own_limits(text: str | None) -> dict[LimitKind, Rates]:
    """Parse an API key's own limits; missing kinds follow the settings.

    Raises BadRequest, whose text names the mistake and the fix.
    """
    limits: dict[LimitKind, Rates] = {}
    for word in (text or "").split():
        name, _, rates = word.partition("=")
        kind = next((kind for kind in KINDS if kind == name.lower().replace("-", "_")), None)
        if kind is None:
            raise BadRequest(f"{name} is no limit of a key. There are: {', '.join(KINDS)}.")
        if kind in limits:
            raise BadRequest(f"{kind} stands there twice. Write it once, as {kind}=1/30s,5/1h.")
        try:
            limits[kind] = parse_rates(rates)
        except ValueError as error:
            raise BadRequest(f"{kind}: {error}.") from None
    return limits


def write_own_limits(limits: Mapping[LimitKind, Rates]) -> str | None:
    """Format a key's own limits for storage and display, or return None."""
    words = [f"{kind}={write_rates(limits[kind])}" for kind in KINDS if kind in limits]
    return " ".join(words) or None


def _parse_rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        shown = f"{text[:40]!r} is no limit: " if text else ""
        raise ValueError(f"{shown}write it as 1/30s,5/1h,10/1d (units s, m, h, d), or 0 for none")
    rate = Rate(int(found[1]), int(found[2]) * UNIT_MS[found[3]])
    if rate.most == 0:
        raise ValueError(f"{text} would let nothing through: write 0 alone for no limit")
    if rate.most > MOST:
        raise ValueError(f"{text} is too much to count: write at most {MOST}, or 0 for no limit")
    if not 0 < rate.window_ms <= LONGEST_WINDOW_MS:
        raise ValueError(f"{text} has no time between 1s and {span(LONGEST_WINDOW_MS)}")
    return rate


def _by_window(rate: Rate) -> int:
    return rate.window_ms
