"""Phone numbers: reading, country and masking."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

import phonenumbers

from hudhud.core.numbering import canonical, split

# The only form that `POST /send` documents.
INTERNATIONAL = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)
# Shorter and longer than any number, because a national prefix may be within it.
WRITTEN = re.compile(r"\+[1-9]\d{4,19}", re.ASCII)
# The characters that JavaScript's `trim` removes (ECMA-262, WhiteSpace and LineTerminator).
JAVASCRIPT_SPACES: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
# Unicode categories of spaces, dashes, brackets and invisible marks.
SEPARATORS: Final = frozenset({"Zs", "Zl", "Zp", "Cf", "Pd", "Ps", "Pe"})
OTHER_SEPARATORS: Final = frozenset("\t\n\v\f\r./\u00b7\u2212")
PLUSES: Final = frozenset("+\uff0b")
NO_COUNTRY = "ZZ"  # of texts that are no number, such as pseudonyms
SHOWN_AT_START = 5
SHOWN_AT_END = 2


class Phone(NamedTuple):
    """A number in the form in which it is kept, with its code's main country."""

    number: str
    country: str


def parse_phone(text: str) -> Phone | None:
    """Read a number as people write it; return None for an impossible one.

    Takes separators, brackets, invisible marks, 00 instead of +, digits of any script, and the
    country's prefix for calls within it.
    """
    number = _digits(text)
    return _phone(number) if WRITTEN.fullmatch(number) else None


def parse_international(text: str) -> Phone | None:
    """Read a number of `+` and 8 to 15 digits, the first not zero (ITU E.164)."""
    number = text.strip(JAVASCRIPT_SPACES)
    return _phone(number) if INTERNATIONAL.fullmatch(number) else None


def parse_known_phone(text: str) -> Phone | None:
    """Read a number that may be stored, even if a send to it would be refused now."""
    phone = parse_phone(text)
    number = _digits(text)
    if phone is not None or not INTERNATIONAL.fullmatch(number) or not split(number)[0]:
        return phone
    return stored_phone(number)


def stored_phone(number: str) -> Phone:
    """Return a stored number, which is used even if it would be refused now."""
    return Phone(number, phonenumbers.region_code_for_country_code(split(number)[0]))


def canonical_or_same(number: str) -> str:
    """Return a number in the form in which it is kept, or unchanged if it is unreadable."""
    phone = parse_phone(number)
    return number if phone is None else phone.number


def compact(text: str) -> str:
    """Return a text without separators and marks, with ASCII digits."""
    return "".join(map(_plain, text))


def _digits(text: str) -> str:
    plain = compact(text)
    return f"+{plain[2:]}" if plain.startswith("00") else plain


def _plain(character: str) -> str:
    if character in PLUSES:
        return "+"
    if unicodedata.category(character) in SEPARATORS or character in OTHER_SEPARATORS:
        return ""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _phone(number: str) -> Phone | None:
    kept = canonical(number)
    return None if kept is None else stored_phone(kept)


def region(phone: Phone) -> str:
    """Return the country of a number, even if countries share a code.

    Two letters (ISO 3166-1), or 001 for numbers without a country. Falls back to the main country
    of the code. Takes 0.1 ms for shared codes, which require a lookup of the number.
    """
    code = phonenumbers.country_code_for_region(phone.country)
    if len(_sharing(code)) < 2:  # noqa: PLR2004 -- two or more share it
        return phone.country
    national = int(phone.number[1 + len(str(code)) :])
    number = phonenumbers.PhoneNumber(country_code=code, national_number=national)
    return phonenumbers.region_code_for_number(number) or phone.country


def mask_phone(phone: str) -> str:
    """Hide a number's middle and length: `+201001234567` becomes `+2010*****67`."""
    if len(phone) <= SHOWN_AT_START + SHOWN_AT_END:
        return "*****"
    return f"{phone[:SHOWN_AT_START]}*****{phone[-SHOWN_AT_END:]}"


def _sharing(code: int) -> Sequence[str]:
    return phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
