"""One-time codes: how they are made, and how one that a person typed is read."""

import re
import secrets
import unicodedata

SHORTEST = 4
LONGEST = 10
# A caller's own code.
OWN = re.compile(rf"[0-9A-Za-z]{{{SHORTEST},{LONGEST}}}", re.ASCII)
# What nobody means who types a code of theirs; a longer text is a wrong code.
LONGEST_TYPED = 100
_LEFT_OUT = {"Zs", "Cc", "Cf", "Pd"}  # spaces, line ends, marks of direction, dashes


def new_code(length: int) -> str:
    """Return a code of `length` decimal digits; each is equally likely, zero first included."""
    return f"{secrets.randbelow(10**length):0{length}d}"


def canonical(typed: str) -> str:
    """Return a code as it is compared: digits of any script as 0-9, letters as capitals.

    Spaces and dashes are left out, as are the marks that a keyboard adds between two directions of
    writing.
    """
    looked_at = typed[:LONGEST_TYPED]
    if looked_at.isascii() and looked_at.isdigit():  # as nearly all are
        return looked_at
    return "".join(map(_canonical_sign, looked_at))


def _canonical_sign(sign: str) -> str:
    if sign.isascii():
        return "" if sign in " -\t\r\n" else sign.upper()
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(sign) in _LEFT_OUT else sign.upper()
