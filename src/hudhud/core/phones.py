"""Phone numbers: which are accepted, whose country they are of, and how they are shown."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import phonenumbers

INTERNATIONAL = re.compile(r"\+[1-9]\d{7,14}", re.ASCII)
SHOWN_AT_START = 5
SHOWN_AT_END = 2


class Phone(NamedTuple):
    """A number that can exist, in international form, and the main country of its code."""

    number: str
    country: str


def parse_phone(text: str) -> Phone | None:
    """Return the phone that `text` names, or None where no such number can exist.

    Accepted is `+` and 8 to 15 digits without a zero first (ITU E.164), of a length that
    libphonenumber knows for that country.
    """
    number = text.strip()
    if not INTERNATIONAL.fullmatch(number):
        return None
    parsed = _split(number)
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        parsed = _parse(number)
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        return None
    country = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return Phone(number, country)


def _split(number: str) -> phonenumbers.PhoneNumber | None:
    """Split off the country code, a prefix code: eight times as fast as libphonenumber's parser.

    What it makes a possible number of is one for the parser too (a test holds them together); the
    parser alone knows the prefixes that people dial inside a country.
    """
    for digits in (2, 3, 4):
        code, national = int(number[1:digits]), number[digits:]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE and national[0] != "0":
            return phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    return None


def _parse(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None


def is_same_line(one: str, other: str) -> bool:
    """Tell whether two numbers name one line: WhatsApp writes some as before a reform.

    Mexico's mobiles have kept a 1 there that nobody dials any more, and many of Brazil's lack the 9
    that was put before theirs (whatsmeow issue 874). Brazil's landlines begin with 2 to 5.
    """
    return _before_reforms(one) == _before_reforms(other)


def _before_reforms(number: str) -> str:
    for reformed, before in _REFORMS:
        number = reformed.sub(before, number)
    return number


_REFORMS = (
    (re.compile(r"^\+52(\d{10})$", re.ASCII), r"+521\1"),
    (re.compile(r"^\+55(\d\d)9([6-9]\d{7})$", re.ASCII), r"+55\1\2"),
)


def region(phone: Phone) -> str:
    """Return the country of the number itself: of those with +1 only some are in the USA.

    Two letters (ISO 3166-1), or 001 for numbers of no country. An unknown number is of the
    main country of its code. Only codes that countries share cost a look at the number, 0.1 ms.
    """
    code = phonenumbers.country_code_for_region(phone.country)
    if len(_sharing(code)) < 2:  # noqa: PLR2004 -- two or more share it
        return phone.country
    national = int(phone.number[1 + len(str(code)) :])
    number = phonenumbers.PhoneNumber(country_code=code, national_number=national)
    return phonenumbers.region_code_for_number(number) or phone.country


def mask_phone(phone: str) -> str:
    """Hide the middle of a number, and its length: `+201001234567` becomes `+2010*****67`."""
    if len(phone) <= SHOWN_AT_START + SHOWN_AT_END:
        return "*****"
    return f"{phone[:SHOWN_AT_START]}*****{phone[-SHOWN_AT_END:]}"


def _sharing(code: int) -> Sequence[str]:
    return phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
