"""Languages: the choice for a request or country, and plurals of minutes."""

from collections.abc import Container
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages, get_territory_language_info
from babel.units import format_unit

from hudhud.messages.templates.language_tags import lineage

MINUTES = "duration-minute"

# Countries where Arabic is an official language (CLDR, territoryInfo), even if not the only one.
ARABIC_SPEAKING = frozenset(
    "AE BH DJ DZ EG EH ER IQ JO KM KW LB LY MA MR OM PS QA SA SD SO SY TD TN YE".split()  # noqa: SIM905 -- one line reads better
)
# US includes all of +1, also the Caribbean. Hindi is one of India's 22 languages. Canada has two
# official languages of equal rank.
NO_ONE_LANGUAGE = frozenset({"CA", "IN", "US"})
MANY_PERCENT = 33


def exists(locale: str) -> bool:
    """Return whether CLDR knows this language, given in its normal form."""
    try:
        Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def closest(wanted: str, known: Container[str]) -> str | None:
    """Return the closest known language: `pt-br`, else `pt`, else None."""
    return next((locale for locale in lineage(wanted) if locale in known), None)


@cache
def language_of(country: str) -> str | None:
    """Return a country's predominant language, or None if it has several.

    This is Arabic wherever it is official; otherwise the most spoken official language, unless a
    third of the people speak another official one that is not English (CLDR, territoryInfo;
    de facto official languages if none is official by law).
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
    """Return a text like `5 minutes` in that language, with CLDR's plural.

    Raises ValueError if Babel has no words for minutes in it.
    """
    language = Locale.parse(locale, sep="-")
    # CLDR omits the long form if it equals the short one.
    for length in ("long", "short"):
        words = format_unit(count, MINUTES, length, locale=language)
        if MINUTES not in words:
            return words
    raise ValueError(f"Babel has no words for minutes in {locale}")
