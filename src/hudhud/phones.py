"""Phone numbers: which are accepted, and how they are shown."""

import re
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
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    country = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return Phone(number, country)


def mask_phone(phone: str) -> str:
    """Hide the middle of a number, and its length: `+201001234567` becomes `+2010*****67`."""
    if len(phone) <= SHOWN_AT_START + SHOWN_AT_END:
        return "*****"
    return f"{phone[:SHOWN_AT_START]}*****{phone[-SHOWN_AT_END:]}"
