"""Language tags (BCP 47): their syntax, and CLDR's aliases and parents."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from babel.core import get_global

LONGEST_TAG = 64
# Requests name few different tags.
MOST_KEPT = 500
# Also with `_`, and with the character set of POSIX: `pt_BR.UTF-8`.
SYNTAX = r"([A-Za-z]{2,8}|[IXix][_-][A-Za-z0-9]{1,8})([_-][A-Za-z0-9]{1,8})*(\.[A-Za-z0-9-]{1,20})?"
TAG = re.compile(rf"(?!.{{{LONGEST_TAG + 1}}}){SYNTAX}", re.ASCII)
_SCRIPT = re.compile(r"[a-z]{4}")
_COUNTRY = re.compile(r"[a-z]{2}|[0-9]{3}")
_WITH_COUNTRY = re.compile(r"[a-z]+_[A-Z]{2}")


def plain(tag: str) -> str:
    """Return the tag in small letters with `-`: `pt_BR` and `PT-br` become `pt-br`."""
    return tag.strip().replace("_", "-").lower()


def normal(tag: str) -> str:
    """Return a tag's plain form for comparison, with CLDR's aliases and no character set.

    `iw` becomes `he`, `sh-BA` becomes `sr-latn-ba`, and `en_UK.UTF-8` becomes `en-gb`.
    """
    language, script, country, rest = _parts(plain(tag).partition(".")[0])
    alias = get_global("language_aliases").get(language, language)
    language, its_script, its_country, _ = _parts(plain(alias))
    first = (language, script or its_script, _current(country) or its_country)
    return "-".join([*filter(None, first), *rest])


@lru_cache(maxsize=MOST_KEPT)
def lineage(tag: str) -> Sequence[str]:
    """Return a tag in its normal form, then its parents, the closest first."""
    found = []
    locale = normal(tag)
    while locale:
        found.append(locale)
        locale = _special_parents().get(locale) or locale.rpartition("-")[0]
    return tuple(found)


def _parts(tag: str) -> tuple[str, str, str, list[str]]:
    """Return language, script and country of a plain tag, and the rest; missing ones are empty."""
    language, *rest = tag.split("-")
    script = rest.pop(0) if rest and _SCRIPT.fullmatch(rest[0]) else ""
    country = rest.pop(0) if rest and _COUNTRY.fullmatch(rest[0]) else ""
    return language, script, country, rest


def _current(country: str) -> str:
    successors = get_global("territory_aliases").get(country.upper(), [country])
    return str(successors[0]).lower()


@cache
def _special_parents() -> Mapping[str, str]:
    """Return the parents that are not the tag without its last part.

    CLDR defines some (`es-MX` has `es-419`). A country that writes a language in another script has
    that script (`zh-TW` has `zh-Hant-TW`).
    """
    scripts = {
        short: full
        for short, full in get_global("likely_subtags").items()
        if _WITH_COUNTRY.fullmatch(short)
    }
    parents = {**scripts, **get_global("parent_exceptions")}
    return {plain(tag): plain(parent) for tag, parent in parents.items()}
