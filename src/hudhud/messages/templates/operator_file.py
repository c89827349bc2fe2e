"""Read `templates.toml`: the operator's own wordings, and settings per API key.

docs/templates.md describes the format. A file with any mistake is rejected as a whole, with one
line per mistake.
"""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hudhud.core.errors import SettingsError
from hudhud.core.setting_types import brand
from hudhud.messages.templates import locales
from hudhud.messages.templates.language_tags import normal
from hudhud.messages.templates.shipped import (
    CODE,
    CODE_LINE,
    CODE_PLACES,
    DEFAULT_TEMPLATE,
    LINK_PLACES,
    MINUTES,
    SHIPPED,
    TOKEN,
    Texts,
)

LONGEST_WORDING = 1000
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")

KeyPath = tuple[str | int, ...]
"""Path to a value: keys of tables and indexes of lists."""

Problem = tuple[KeyPath, str]


@dataclass(frozen=True, slots=True)
class KeyTexts:
    """Settings for the texts of one API key; None means not set."""

    template: str | None = None
    brand: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class TemplatesFile:
    """The content of the file; empty if there is no file."""

    texts: Texts = field(default_factory=dict)
    keys: dict[str, KeyTexts] = field(default_factory=dict)


def read(file: Path) -> TemplatesFile:
    """Read and check the file; raise SettingsError with a line per mistake."""
    try:
        source = file.read_bytes()
    except FileNotFoundError:
        return TemplatesFile()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{file}: line {line}: not UTF-8. Save it again as UTF-8.") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not TOML: {error}.") from None
    problems = [f"{file}: {_key_path(path)}: {sentence}" for path, sentence in _problems(document)]
    if problems:
        raise SettingsError("\n".join(problems))
    return _built(document)


def _key_path(path: KeyPath) -> str:
    """Format a path as in TOML; list items count from 0."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _quoted(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _built(document: dict[str, Any]) -> TemplatesFile:
    texts = {
        name: {
            normal(locale): tuple(wording.strip() for wording in table["wordings"])
            for locale, table in by_locale.items()
        }
        for name, by_locale in document.get("templates", {}).items()
    }
    keys = {name: _key_texts(table) for name, table in document.get("keys", {}).items()}
    return TemplatesFile(texts, keys)


def _key_texts(table: dict[str, str]) -> KeyTexts:
    name = table.get("brand")
    return KeyTexts(table.get("template"), name and brand(name), table.get("locale"))


def _problems(document: dict[str, Any]) -> Iterator[Problem]:
    for name in document:
        if name not in {"templates", "keys"}:
            yield (name,), f"unknown key {name}; allowed: templates, keys."
    templates, keys = document.get("templates", {}), document.get("keys", {})
    if not isinstance(templates, dict):
        yield ("templates",), "write [templates.NAME.LOCALE], for example [templates.otp.en]."
        templates = {}
    for name, by_locale in templates.items():
        yield from _template_problems(name, by_locale)
    if not isinstance(keys, dict):
        yield ("keys",), 'write [keys."NAME"] with the name of an API key.'
        keys = {}
    known = set(SHIPPED).union(*(map(normal, one) for one in _tables(templates)))
    for name, table in keys.items():
        yield from _key_problems(name, table, {DEFAULT_TEMPLATE, *templates}, known)


def _tables(templates: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (one for one in templates.values() if isinstance(one, dict))


def _template_problems(name: str, by_locale: object) -> Iterator[Problem]:
    path = ("templates", name)
    if not _NAME.fullmatch(name):
        yield path, f"{name!r} is not a name: use 1 to 40 letters A to Z, digits, _, . and -."
    if name.startswith("link_") and name not in LINK_PLACES:
        yield path, f"there is no text {name}, only {', '.join(LINK_PLACES)}."
        return
    if not isinstance(by_locale, dict) or not by_locale:
        yield path, f"write the language too, for example [templates.{name}.en]."
        return
    seen: set[str] = set()
    for locale, table in by_locale.items():
        language = normal(locale)
        if not locales.exists(language):
            yield (*path, locale), f"{locale!r} is not a language: write one like ar or pt-BR."
        elif language in seen:
            yield (*path, locale), f"{locale} is given twice."
        seen.add(language)
        yield from _table_problems((*path, locale), name, language, table)


def _table_problems(
    path: tuple[str, ...], name: str, locale: str, table: object
) -> Iterator[Problem]:
    wordings = table.get("wordings") if isinstance(table, dict) else None
    if not isinstance(wordings, list) or not wordings:
        yield path, 'write wordings = ["…", "…"] here, with one wording or several.'
        return
    for key in table if isinstance(table, dict) else ():
        if key != "wordings":
            yield (*path, key), f"unknown key {key}; allowed: wordings."
    for number, wording in enumerate(wordings):
        for sentence in _wording_problems(name, locale, wording):
            yield (*path, "wordings", number), sentence


def _wording_problems(name: str, locale: str, wording: object) -> Iterator[str]:
    if not isinstance(wording, str):
        yield "a wording must be a text in quotes."
        return
    text = wording.strip()
    if not 0 < len(text) <= LONGEST_WORDING:
        yield f"a wording has 1 to {LONGEST_WORDING} characters."
    if any(unicodedata.category(sign) == "Cc" and sign != "\n" for sign in text):
        yield "a wording must not contain control characters other than line breaks."
    places = LINK_PLACES.get(name, CODE_PLACES)
    for found in _BRACES.findall(text):
        if found not in places:
            yield f"{found} is not a placeholder of {name}. Allowed: {', '.join(places)}."
    if CODE in places and not (text.count(CODE) == len(CODE_LINE.findall(text)) == 1):
        yield f"{CODE} must occur exactly once, alone on its line, without spaces."
    if TOKEN in places and text.count(TOKEN) != 1:
        yield f"{TOKEN} must occur exactly once."
    if MINUTES in text and locales.exists(locale) and not _counts_minutes(locale):
        yield f"there are no words for minutes in {locale}: leave {MINUTES} out."


def _counts_minutes(locale: str) -> bool:
    try:
        locales.minutes(locale, 1)
    except ValueError:
        return False
    return True


def _key_problems(
    name: str, table: object, templates: set[str], known: set[str]
) -> Iterator[Problem]:
    path = ("keys", name)
    if not isinstance(table, dict):
        yield path, f'write [keys."{name}"] and below it template, brand or locale.'
        return
    for key, value in table.items():
        sentence = _key_problem(key, value, templates, known)
        if sentence is not None:
            yield (*path, key), sentence


def _key_problem(key: str, value: object, templates: set[str], known: set[str]) -> str | None:
    if key not in {"template", "brand", "locale"}:
        return f"unknown key {key}; allowed: template, brand, locale."
    if not isinstance(value, str):
        return f"{key} must be a text in quotes."
    if key == "template" and (value not in templates or value in LINK_PLACES):
        return f"there is no template {value}."
    if key == "locale" and locales.closest(value, known) is None:
        return f"there are no texts in {value}. There are: {', '.join(sorted(known))}."
    if key == "brand":
        try:
            brand(value)
        except ValueError as error:
            return f"brand {error}."
    return None
