"""Sentences that come from the database: translated where the catalog has them.

Processes write them in English, some with a detail in them, which the catalog has as `{detail}`.
"""

import re
from functools import cache

from hudhud.web.admin.view import Language, catalog, translations

_HOLE = re.compile(r"\\\{(\w+)\\\}")


def translate(sentence: str, language: Language) -> str | None:
    """Return the sentence in `language`, or None where the catalog does not know it."""
    if language == "en":
        return sentence
    translated = translations(language).gettext(sentence)
    if translated != sentence:
        return translated
    for pattern, text in _patterns(language):
        match = pattern.fullmatch(sentence)
        if match is not None:
            return text.format(
                **{name: _detail(value, language) for name, value in match.groupdict().items()}
            )
    return None


def _detail(text: str, language: Language) -> str:
    """Keep a foreign text from mixing its direction with the sentence's, by Unicode's isolates."""
    return translate(text, language) or f"\u2068{text}\u2069"


@cache
def _patterns(language: Language) -> list[tuple[re.Pattern[str], str]]:
    """Return what recognises the sentences that hold a detail."""
    found = []
    for message in catalog(language):
        if isinstance(message.id, str) and "{" in message.id:
            pattern = _HOLE.sub(r"(?P<\1>.+)", re.escape(message.id))
            found.append((re.compile(pattern, re.DOTALL), str(message.string)))
    return found
