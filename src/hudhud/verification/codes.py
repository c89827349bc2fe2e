"""Generate one-time codes, and normalise codes that people type."""

import re
import secrets
import unicodedata

from hudhud.core.code_lengths import LONGEST, SHORTEST

# Codes supplied by callers.
OWN = re.compile(rf"[0-9A-Za-z]{{{SHORTEST},{LONGEST}}}", re.ASCII)
# Upper bound, so that normalising takes bounded time; longer texts are wrong codes.
LONGEST_TYPED = 100
_LEFT_OUT = {"Zs", "Cc", "Cf", "Pd"}  # spaces, line ends, direction marks, dashes


def new_code(length: int) -> str:
    """Return a uniformly random code of `length` decimal digits, leading zeros included."""
    return f"{secrets.randbelow(10**length):0{length}d}"


def readings(typed: str | int) -> list[str]:
    """Return the canonical codes that the typed one may be.

    A number has lost its leading zeros: 345 may be 345, 0345, up to `LONGEST` digits.
    """
    if isinstance(typed, str):
        return [canonical(typed)]
    digits = str(typed)
    return [digits.zfill(length) for length in range(len(digits), max(LONGEST, len(digits)) + 1)]


def canonical(typed: str) -> str:
    """Return the canonical code: digits 0-9 and capital letters.

    Digits of any script become 0-9. Spaces and dashes are removed, as are the marks that a keyboard
    adds between two directions of writing.
    """
    looked_at = typed[:LONGEST_TYPED]
    if looked_at.isascii() and looked_at.isdigit():  # the common case
        return looked_at
    return "".join(map(_canonical_sign, looked_at))


def _canonical_sign(sign: str) -> str:
    if sign.isascii():
        return "" if sign in " -\t\r\n" else sign.upper()
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(sign) in _LEFT_OUT else sign.upper()
