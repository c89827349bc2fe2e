"""The one form under which a phone number is kept, however it was written.

libphonenumber reads numbers as people dial them, with the prefix of calls within a country. It does
not know numbers of former numbering plans, under which WhatsApp still has many accounts: these are
in `RENUMBERINGS`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberDesc, ValidationResult

LONGEST_CODE = 3
# Prefixes of calls within a country that the parser accepts besides the country's main one, such as
# Lithuania's former 8 and those of carriers in Colombia and Brazil.
TRUNK_PREFIXES: Final = (
    *("0", "1", "8", "01", "06", "80"),
    *("03", "04", "05", "07", "09"),
    *(f"0{carrier}" for carrier in ("12", "14", "15", "21", "31", "41", "43")),
)
COUNTRY_CODES: Final = {str(code): code for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}


def canonical(number: str) -> str | None:
    """Return a number in the form in which it is kept, or None if it cannot exist.

    Takes and returns E.164: `+` and digits. A number that libphonenumber does not call valid, but
    of a possible length, is kept: new ranges appear before the library knows them.
    """
    code, national = split(number)
    if code and is_plainly_valid(code, national):
        return number
    return canonical_by_parser(number)


def split(number: str) -> tuple[int, str]:
    """Split off the country code; 0 if there is no such country."""
    for end in range(2, 2 + LONGEST_CODE):
        code = COUNTRY_CODES.get(number[1:end])
        if code is not None:
            return code, number[end:]
    return 0, number[1:]


def is_plainly_valid(code: int, national: str) -> bool:
    """Return whether a number is valid, and the parser would not change it.

    Eight times as fast as the parser; a test compares both.
    """
    rules = _rules(code)
    prefix = rules.prefix.match(national) if rules.prefix else None
    return not (prefix and prefix[0]) and rules.valid.fullmatch(national) is not None


def canonical_by_parser(number: str) -> str | None:
    """Return the same as `canonical`, for every number."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_valid_number(parsed):
        return _text(parsed)
    current = _renumbered(number) or _without_prefix(number)
    if current is not None:
        return current
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    read = _text(parsed)
    # The parser may have removed a prefix before a former number. It never adds digits there.
    return read if read == number else canonical(read)


def spellings(number: str) -> frozenset[str]:
    """Return the E.164 texts, former ones too, that people may have written for a kept number."""
    code, national = split(number)
    if not code:
        return frozenset({number})
    written = [national, *_FORMER.get(code, _no_former)(national)]
    rules = _rules(code)
    candidates = {
        *written,
        *(f"{rules.national_prefix or ''}{one}" for one in written),
        *(
            f"{prefix}{one}"
            for prefix in TRUNK_PREFIXES
            for one in written
            if rules.strips(prefix, one)
        ),
    }
    numbers = {f"+{code}{one}" for one in candidates}
    return frozenset({number, *(one for one in numbers if canonical(one) == number)})


def _text(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _renumbered(number: str) -> str | None:
    code, national = split(number)
    renumber = RENUMBERINGS.get(code)
    renumbered = None if renumber is None else renumber(national)
    return None if renumbered is None else _if_valid(f"+{code}{renumbered}")


def _without_prefix(number: str) -> str | None:
    """Return the number without the country's prefix for calls within it."""
    code, national = split(number)
    prefix = _rules(code).national_prefix if code else None
    if not prefix or not national.startswith(prefix):
        return None
    return _if_valid(f"+{code}{national.removeprefix(prefix)}")


def _if_valid(number: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return _text(parsed) if phonenumbers.is_valid_number(parsed) else None


class _Rules(NamedTuple):
    national_prefix: str | None
    prefix: re.Pattern[str] | None
    valid: re.Pattern[str]

    def strips(self, start: str, rest: str) -> bool:
        """Return whether the parser may remove these first digits; cheaper than parsing."""
        found = self.prefix.match(start + rest) if self.prefix else None
        return found is not None and found.end() >= len(start)


@cache
def _rules(code: int) -> _Rules:
    regions = [_metadata(region, code) for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]]
    main = regions[0]
    prefix = main.national_prefix_for_parsing
    return _Rules(
        main.national_prefix,
        None if prefix is None else re.compile(prefix),
        re.compile("|".join(_patterns(regions)), re.ASCII),
    )


def _metadata(region: str, code: int) -> PhoneMetadata:
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        found = PhoneMetadata.metadata_for_nongeo_region(code)
    else:
        found = PhoneMetadata.metadata_for_region(region)
    assert found is not None  # noqa: S101 -- for the type checker: the library lists the region
    return found


def _patterns(regions: list[PhoneMetadata]) -> Iterator[str]:
    """Yield the patterns of valid numbers of each region.

    Leading digits decide between regions of one code, in the order of the library's list.
    """
    earlier = ""
    for region in regions:
        kinds = "|".join(_kinds(region))
        general = _pattern(region.general_desc)
        own = f"(?={region.leading_digits})" if region.leading_digits else ""
        yield f"{earlier}{own}(?=(?:{general})$)(?:{kinds})"
        if region.leading_digits:
            earlier += f"(?!{region.leading_digits})"


def _kinds(region: PhoneMetadata) -> Iterator[str]:
    for desc in _descriptions(region):
        pattern = _pattern(desc)
        if desc is not None and pattern:
            lengths = "|".join(f".{{{length}}}" for length in desc.possible_length)
            yield f"(?=(?:{lengths})$)(?:{pattern})" if lengths else f"(?:{pattern})"


def _pattern(desc: PhoneNumberDesc | None) -> str:
    return "" if desc is None else desc.national_number_pattern or ""


def _descriptions(region: PhoneMetadata) -> tuple[PhoneNumberDesc | None, ...]:
    return (
        region.mobile,
        region.fixed_line,
        region.toll_free,
        region.premium_rate,
        region.shared_cost,
        region.personal_number,
        region.voip,
        region.pager,
        region.uan,
        region.voicemail,
    )


FORMER_DIGITS = 8
# By the second digit of a mobile number: 01 Moov, 05 MTN, 07 Orange. Seen in lists of prefixes, not
# confirmed by the regulator.
IVORIAN_OPERATORS: Final = ("01",) * 4 + ("05",) * 3 + ("07",) * 3
ORANGE_LANDLINE = "27"


def _mexico(national: str) -> str | None:
    return national[1:] if re.fullmatch(r"1\d{10}", national) else None


def _brazil(national: str) -> str | None:
    area, rest = national[:2], national[2:]
    return f"{area}9{rest}" if re.fullmatch(r"[6-9]\d{7}", rest) else None


def _benin(national: str) -> str | None:
    return f"01{national}" if len(national) == FORMER_DIGITS else None


def _ivory_coast(national: str) -> str | None:
    """Return the number with its operator's digits before it.

    The landlines of MTN (25) and Moov (21) cannot be distinguished by the number.
    """
    if len(national) != FORMER_DIGITS:
        return None
    is_landline = national[0] in "23"
    return (ORANGE_LANDLINE if is_landline else IVORIAN_OPERATORS[int(national[1])]) + national


# Current forms of former national numbers, by country code; used only where they are valid.
# WhatsApp still knows people by such numbers (for Mexico and Brazil see whatsmeow issue 874).
RENUMBERINGS: Final[Mapping[int, Callable[[str], str | None]]] = {
    52: _mexico,  # IFT, 3 August 2019: no 1 before mobile numbers
    55: _brazil,  # Anatel, 2012 to 2016: 9 before mobile numbers; landlines begin with 2 to 5
    225: _ivory_coast,  # ARTCI, 31 January 2021: the operator's two digits
    229: _benin,  # ARCEP Benin, 30 November 2024: 01
}


def _no_former(_national: str) -> Sequence[str]:
    return ()


def _former_argentinian(national: str) -> Sequence[str]:
    """Insert 15 after area codes of each length into a mobile number, instead of the 9."""
    mobile = national.removeprefix("9")
    return [f"{prefix}{mobile[:n]}15{mobile[n:]}" for n in (2, 3, 4) for prefix in ("", "0")]


# The other direction: national numbers as people may have written them before.
_FORMER: Final[Mapping[int, Callable[[str], Sequence[str]]]] = {
    52: lambda national: [f"1{national}"],
    54: _former_argentinian,
    55: lambda national: [national[:2] + national[3:]],
    225: lambda national: [national[2:]],
    229: lambda national: [national[2:]],
}
