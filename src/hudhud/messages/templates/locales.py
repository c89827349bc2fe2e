"""Languages: which one a request or a country means, and how each counts minutes."""

from collections.abc import Container
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages, get_territory_language_info
from babel.units import format_unit

MINUTES = "duration-minute"

# Countries where Arabic is an official language (CLDR, territoryInfo), also beside others.
ARABIC_SPEAKING = frozenset(
    "AE BH DJ DZ EG EH ER IQ JO KM KW LB LY MA MR OM PS QA SA SD SO SY TD TN YE".split()  # noqa: SIM905 -- one line reads better
)
# US stands for all of +1, the Caribbean too. Hindi is one of India's 22 languages. In Canada the
# language of the fewer counts as much as the other.
NO_ONE_LANGUAGE = frozenset({"CA", "IN", "US"})
MANY_PERCENT = 33


def normal(locale: str) -> str:
    """Return the form in which languages are compared: `pt_BR` and `PT-br` are `pt-br`."""
    return locale.strip().replace("_", "-").lower()


def exists(locale: str) -> bool:
    """Tell whether CLDR knows this language, in its normal form."""
    try:
        Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def closest(wanted: str, known: Container[str]) -> str | None:
    """Return the known language that fits: `pt-br` where that is known, else `pt`, else None."""
    locale = normal(wanted)
    while locale and locale not in known:
        locale = locale.rpartition("-")[0]
    return locale or None


@cache
def language_of(country: str) -> str | None:
    """Return the one clear language of a country, None where there is none.

    It is Arabic wherever that is official; else the official language that is spoken most, unless
    a third of the people speak another official one that is not English (CLDR, territoryInfo; the
    languages official in fact where none is so by law).
    """
    if country in ARABIC_SPEAKING:
        return "ar"
    official = get_official_languages(country) or get_official_languages(country, de_facto=True)
    if country in NO_ONE_LANGUAGE or not official:
        return None
    share = get_territory_language_info(country)
    first, *others = official
    rivals = (other for other in others if other != "en")
    if any(float(share[rival]["population_percent"] or 0) >= MANY_PERCENT for rival in rivals):
        return None
    return first


@cache
def minutes(locale: str, count: int) -> str:
    """Return `5 minutes` in that language, the plural by CLDR.

    Raises ValueError where Babel has no words for minutes in it.
    """
    language = Locale.parse(locale, sep="-")
    # CLDR leaves out the long form where it is the short one.
    for length in ("long", "short"):
        words = format_unit(count, MINUTES, length, locale=language)
        if MINUTES not in words:
            return words
    raise ValueError(f"Babel has no words for minutes in {locale}")
