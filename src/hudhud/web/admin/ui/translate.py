"""Sentences in the reader's language, and searching for what a reader sees.

gettext knows the English template of each; what is put in stays as it is.
"""

import unicodedata
from functools import cache

from hudhud.core.english import ENGLISH, OTHER
from hudhud.core.sentences import HOLE, Sentence, render
from hudhud.web.admin.ui.view import Language, translations


def translate(sentence: Sentence, language: Language) -> str:
    """Return the sentence in `language`; a text without a code is the same in each."""
    if language == "en" or sentence.code == OTHER:
        return sentence.english()
    return render(sentence, translations(language).gettext, _isolated)


def codes_for(search: str, language: Language) -> tuple[str, ...]:
    """Return the codes that a search names, or whose sentences hold its words.

    The words may be English or of `language`; parameters do not count.
    """
    wanted, named = _plain(search), search.strip().casefold()
    found = {code for code in ENGLISH if named in (code, code.rpartition(".")[2])}
    if wanted:
        shown = (*_templates("en"), *_templates(language))
        found |= {code for code, text in shown if wanted in text}
    return tuple(sorted(found - {OTHER}))


def holds(sentence: Sentence, search: str, language: Language) -> bool:
    """Tell whether a reader sees the search in the sentence.

    Case, vowel signs and the seats of hamza do not matter.
    """
    wanted = _plain(search)
    return bool(wanted) and wanted in _plain(translate(sentence, language))


@cache
def _templates(language: Language) -> list[tuple[str, str]]:
    """Return code and plain text of each sentence, without its parameters."""
    gettext = translations(language).gettext
    return [(code, _plain(HOLE.sub("", gettext(text)))) for code, text in ENGLISH.items()]


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign) and sign not in _SIGNS)


def _isolated(value: object) -> str:
    """Keep a foreign text from mixing its direction with the sentence's, by Unicode's isolates."""
    return f"{_ISOLATE}{value}{_END}"


_ISOLATE, _END = _SIGNS = ("\u2068", "\u2069")
