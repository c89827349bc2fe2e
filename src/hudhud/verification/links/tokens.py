"""The tokens of links: short enough to be copied by hand, and found in whatever a person sends."""

import re
import secrets

# Signs that nobody takes for one another: of 0 O Q, 1 I L, 2 Z, 5 S, 6 G, 8 B and U V one at most.
LETTERS = "ACDEFHJKMNPRTVWXY"
DIGITS = "23456789"
ALPHABET = LETTERS + DIGITS
# 25 signs in ten places: 46 random bits.
GROUPS = (4, 4, 2)
# Of a longer list nobody meant every one; each costs a look into the database.
MOST_IN_A_TEXT = 8

_DASH = r"[-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"


def _pattern(between: str) -> re.Pattern[str]:
    groups = between.join(f"([{ALPHABET}]{{{size}}})" for size in GROUPS)
    # By ASCII's rules: the others know signs that only look like these letters.
    return re.compile(rf"(?<![0-9A-Za-z]){groups}(?![0-9A-Za-z])", flags=re.IGNORECASE | re.ASCII)


_GROUPED = _pattern(_DASH)
_ANY = _pattern(f"{_DASH}?")


def new_token() -> str:
    """Return a token that nobody can guess, in groups with dashes between them."""
    while True:
        groups = ["".join(secrets.choice(ALPHABET) for _ in range(size)) for size in GROUPS]
        if _is_mixed("".join(groups)):
            return "-".join(groups)


def canonical(token: str) -> str:
    """Return a token as it is compared: capitals and digits, without dashes."""
    return re.sub(_DASH, "", token).upper()


def find(text: str) -> list[str]:
    """Return what may be a token in a text, in its canonical form and in any letter case."""
    found = ("".join(match.groups()).upper() for match in _ANY.finditer(text))
    return list(dict.fromkeys(signs for signs in found if _is_mixed(signs)))[:MOST_IN_A_TEXT]


def looks_like_one(text: str) -> bool:
    """Tell whether a text holds something written as tokens are, with their dashes."""
    return any(_is_mixed("".join(match.groups())) for match in _GROUPED.finditer(text))


def _is_mixed(signs: str) -> bool:
    """Tokens hold letters and digits: neither words nor telephone numbers look like one."""
    return not signs.isalpha() and not signs.isdigit()
