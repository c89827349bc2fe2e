"""The Arabic catalog: complete, without leftovers, and consistent with the English texts."""

import re

from babel.messages.catalog import Message

from hudhud.web.admin.ui.view import catalog
from support.catalog import marked, sentences

HOLES = re.compile(r"%\(\w+\)[sd]|\{\w+\}|%%|</?\w+>")
PLURALS = 6


def translated() -> list[Message]:
    return [message for message in catalog("ar") if message.id]


def forms(message: Message) -> tuple[str, ...]:
    """Return the translation in each plural form, or its only form."""
    text = message.string
    return tuple(text) if isinstance(text, list | tuple) else (str(text or ""),)


def test_catalog_translates_exactly_the_marked_texts() -> None:
    found = {(message.id, message.context) for message in translated()}
    wanted = marked() | sentences()
    assert found - wanted == set(), "no longer used: remove it from locale/ar.po"
    assert wanted - found == set(), "translate it in locale/ar.po"


def test_no_translation_is_empty_or_fuzzy() -> None:
    for message in translated():
        assert all(forms(message)), message.id
        assert not message.fuzzy, message.id


def test_translation_has_the_placeholders_of_its_text() -> None:
    for message in translated():
        if isinstance(message.id, str):
            assert sorted(HOLES.findall(str(message.string))) == sorted(HOLES.findall(message.id))


def test_plural_forms_name_their_number_unless_the_word_does() -> None:
    for message in translated():
        if isinstance(message.id, tuple):
            assert len(forms(message)) == PLURALS
            holes = HOLES.findall(message.id[1])
            for form in forms(message)[3:]:
                assert HOLES.findall(form) == holes, message.id
