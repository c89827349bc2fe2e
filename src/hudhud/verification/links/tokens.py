"""Generate the tokens of links, and find them in inbound texts."""

import re
import secrets

# Characters that are not confused: at most one each of 0 O Q, 1 I L, 2 Z, 5 S, 6 G, 8 B and U V.
LETTERS = "ACDEFHJKMNPRTVWXY"
DIGITS = "23456789"
ALPHABET = LETTERS + DIGITS
# 25 characters in ten positions: 46 random bits.
GROUPS = (4, 4, 2)
# Upper bound, because each one costs a database query.
MOST_IN_A_TEXT = 8

_DASH = r"[-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"


def _pattern(between: str) -> re.Pattern[str]:
    groups = between.join(f"([{ALPHABET}]{{{size}}})" for size in GROUPS)
    # ASCII only: case-insensitive Unicode matching accepts lookalikes of these letters.
    return re.compile(rf"(?<![0-9A-Za-z]){groups}(?![0-9A-Za-z])", flags=re.IGNORECASE | re.ASCII)


_GROUPED = _pattern(_DASH)
_ANY = _pattern(f"{_DASH}?")


def new_token() -> str:
    """Return an unguessable token, in groups separated by dashes."""
    while True:
        groups = ["".join(secrets.choice(ALPHABET) for _ in range(size)) for size in GROUPS]
        if _is_mixed("".join(groups)):
            return "-".join(groups)


def canonical(token: str) -> str:
    """Return a token in its canonical form: capitals and digits, without dashes."""
    return re.sub(_DASH, "", token).upper()


def find(text: str) -> list[str]:
    """Return possible tokens in a text of any case, in canonical form."""
    found = ("".join(match.groups()).upper() for match in _ANY.finditer(text))
    return list(dict.fromkeys(signs for signs in found if _is_mixed(signs)))[:MOST_IN_A_TEXT]


def looks_like_one(text: str) -> bool:
    """Return whether a text contains something like a token, with its dashes."""
    return any(_is_mixed("".join(match.groups())) for match in _GROUPED.finditer(text))


def _is_mixed(signs: str) -> bool:
    """Return whether it has letters and digits, unlike words and phone numbers."""
    return not signs.isalpha() and not signs.isdigit()
