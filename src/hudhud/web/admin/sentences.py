"""Sentences that come from the database: translated where the catalog has them.

Processes write them in English, some with a detail in them, which the catalog has as `{detail}`.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from hudhud.web.admin.view import Language, catalog, translations

# So many texts of one meaning are searched for at most.
MOST_MEANT = 10
# Written at the sentences in the catalog.
ERROR_OF_A_JOB = "error of a job"
_HOLE = re.compile(r"\\\{(\w+)\\\}")
_DETAIL = re.compile(r"\{\w+\}")


def translate(sentence: str, language: Language) -> str | None:
    """Return the sentence in `language`, or None where the catalog does not know it."""
    if language == "en":
        return sentence
    known = _whole(sentence, language)
    if known is not None:
        return known
    return _with_details(sentence, lambda detail: _detail(detail, language), language)


def errors_in_english(fragment: str, language: Language) -> tuple[str, ...]:
    """Return the longest piece of each job's error whose translation holds `fragment`.

    Case, vowel signs and the seats of hamza do not matter. At most `MOST_MEANT` are returned.
    """
    wanted = _plain(fragment)
    if language == "en" or not wanted:
        return ()
    found = [english for plain, english in _errors(language) if wanted in plain]
    return tuple(found[:MOST_MEANT])


@cache
def _errors(language: Language) -> list[tuple[str, str]]:
    """Return the errors of jobs: as they are shown, plainly, and their English without details."""
    return [
        (_plain(_DETAIL.sub("", str(message.string))), max(_DETAIL.split(str(message.id)), key=len))
        for message in catalog(language)
        if ERROR_OF_A_JOB in message.auto_comments
    ]


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def _whole(sentence: str, language: Language) -> str | None:
    translated = translations(language).gettext(sentence)
    return None if translated == sentence else translated


def _with_details(sentence: str, say: Callable[[str], str], language: Language) -> str | None:
    for pattern, text in _patterns(language):
        match = pattern.fullmatch(sentence)
        if match is not None:
            return text.format(**{name: say(value) for name, value in match.groupdict().items()})
    return None


def _detail(text: str, language: Language) -> str:
    """Translate a detail, but none within it: strangers may nest them without end."""
    known = _whole(text, language) or _with_details(text, _isolated, language)
    return known or _isolated(text)


def _isolated(text: str) -> str:
    """Keep a foreign text from mixing its direction with the sentence's, by Unicode's isolates."""
    return f"\u2068{text}\u2069"


@cache
def _patterns(language: Language) -> list[tuple[re.Pattern[str], str]]:
    """Return what recognises the sentences that hold a detail."""
    found = []
    for message in catalog(language):
        if isinstance(message.id, str) and "{" in message.id:
            pattern = _HOLE.sub(r"(?P<\1>.+)", re.escape(message.id))
            found.append((re.compile(pattern, re.DOTALL), str(message.string)))
    return found
