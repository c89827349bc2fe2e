"""The reader's language, time zone and theme, in cookies for a year.

Standard gettext: English is in templates and code, Arabic in `locale/ar.po`, which is read at
runtime, so that no catalog must be compiled.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Literal, cast
from zoneinfo import ZoneInfo, available_timezones

from babel import negotiate_locale
from babel.localtime import get_localzone
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from hudhud.web.http.request import THEME_COOKIE, AnyRequest

Language = Literal["en", "ar"]
Theme = Literal["system", "light", "dark"]

LANGUAGES: Mapping[Language, str] = {"en": "English", "ar": "العربية"}
THEMES: tuple[Theme, ...] = ("system", "light", "dark")
LANGUAGE_COOKIE = "hudhud_language"
ZONE_COOKIE = "hudhud_zone"  # written by static/zone.js
LOCALE_FOLDER = Path(__file__).parents[2] / "locale"
_QUALITY = re.compile(r"\s*;\s*q=([\d.]+)\s*")


@dataclass(frozen=True, slots=True)
class View:
    """The language and time zone of a reader."""

    language: Language
    zone: ZoneInfo

    def gettext(self, message: str) -> str:
        """Translate a text."""
        return translations(self.language).gettext(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Translate a text in the number's plural form."""
        return translations(self.language).ngettext(one, many, number)


def N_(message: str) -> str:  # noqa: N802 -- gettext's own name for: translated later
    """Mark a text for translation."""
    return message


def view_of(request: AnyRequest) -> View:
    """Return the request's view, from `?lang=`, cookies and Accept-Language."""
    return View(_language(request), _zone(request.cookies.get(ZONE_COOKIE)))


def theme_of(request: AnyRequest) -> Theme:
    """Return the theme of the request's cookie, by default `system`."""
    chosen = request.cookies.get(THEME_COOKIE)
    return next((theme for theme in THEMES if theme == chosen), "system")


def asked_language(request: AnyRequest) -> Language | None:
    """Return the language of `?lang=`."""
    asked = request.query_params.get("lang")
    return cast("Language", asked) if asked in LANGUAGES else None


def load_zones() -> None:
    """Read all zone names and this machine's zone, slow the first time."""
    _zone_names()
    _own_zone()


@cache
def translations(language: Language) -> NullTranslations:
    """Return the translations of a language; English has none."""
    if language == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    return cast("NullTranslations", Translations(compiled))


@cache
def catalog(language: Language) -> Catalog:
    """Return the parsed catalog of a language."""
    with (LOCALE_FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def _language(request: AnyRequest) -> Language:
    asked = asked_language(request) or request.cookies.get(LANGUAGE_COOKIE)
    if asked in LANGUAGES:
        return cast("Language", asked)
    wanted = _wanted_languages(request.headers.get("accept-language", ""))
    return cast("Language", negotiate_locale(wanted, LANGUAGES, sep="-") or "en")


def _wanted_languages(header: str) -> list[str]:
    """Return the tags of an Accept-Language header, by descending preference."""
    weighted = []
    for part in header.split(","):
        tag, _, rest = part.partition(";")
        quality = _QUALITY.fullmatch(f";{rest}") if rest else None
        weight = _number(quality[1]) if quality else 1.0
        weighted.append((tag.strip().lower(), weight))
    by_weight = sorted(weighted, key=lambda tag: -tag[1])
    return [tag for tag, weight in by_weight if weight > 0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _zone(name: str | None) -> ZoneInfo:
    if name is not None and name in _zone_names():
        return ZoneInfo(name)
    return _own_zone()


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _own_zone() -> ZoneInfo:
    zone = get_localzone()
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")
