"""Sentences in the reader's language, and searches in their translations.

gettext translates the English template of each; its parameters stay as they are.
"""

import unicodedata
from functools import cache

from hudhud.core.english import ENGLISH, OTHER
from hudhud.core.sentences import HOLE, Sentence, render
from hudhud.web.admin.ui.view import Language, translations


def translate(sentence: Sentence, language: Language) -> str:
    """Return the sentence in `language`; a text without code stays unchanged."""
    if language == "en" or sentence.code == OTHER:
        return sentence.english()
    return render(sentence, translations(language).gettext, _isolated)


def codes_for(search: str, language: Language) -> tuple[str, ...]:
    """Return the sentence codes that match a search by name or text.

    The text may be in English or in `language`; parameters are not searched.
    """
    wanted, named = _plain(search), search.strip().casefold()
    found = {code for code in ENGLISH if named in (code, code.rpartition(".")[2])}
    if wanted:
        shown = (*_templates("en"), *_templates(language))
        found |= {code for code, text in shown if wanted in text}
    return tuple(sorted(found - {OTHER}))


def holds(sentence: Sentence, search: str, language: Language) -> bool:
    """Return whether the sentence, as a reader sees it, contains the search.

    Ignores case, vowel signs and the seats of hamza.
    """
    wanted = _plain(search)
    return bool(wanted) and wanted in _plain(translate(sentence, language))


@cache
def _templates(language: Language) -> list[tuple[str, str]]:
    """Return the code and plain text of each sentence, without parameters."""
    gettext = translations(language).gettext
    return [(code, _plain(HOLE.sub("", gettext(text)))) for code, text in ENGLISH.items()]


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign) and sign not in _SIGNS)


def _isolated(value: object) -> str:
    """Isolate the direction of an inserted text by Unicode's isolates."""
    return f"{_ISOLATE}{value}{_END}"


_ISOLATE, _END = _SIGNS = ("\u2068", "\u2069")
