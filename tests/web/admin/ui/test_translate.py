"""The Arabic catalog: complete, without leftovers, and fitting what it translates."""

import re

from babel.messages.catalog import Message

from hudhud.web.admin.ui.view import catalog
from support.catalog import marked, sentences

HOLES = re.compile(r"%\(\w+\)[sd]|\{\w+\}|%%|</?\w+>")
PLURALS = 6


def translated() -> list[Message]:
    return [message for message in catalog("ar") if message.id]


def forms(message: Message) -> tuple[str, ...]:
    """The translation in each form of the plural; of another text, its one form."""
    text = message.string
    return tuple(text) if isinstance(text, list | tuple) else (str(text or ""),)


def test_every_text_has_a_translation_and_nothing_else_does() -> None:
    found = {(message.id, message.context) for message in translated()}
    wanted = marked() | sentences()
    assert found - wanted == set(), "no longer used: remove it from locale/ar.po"
    assert wanted - found == set(), "translate it in locale/ar.po"


def test_nothing_is_left_empty_or_uncertain() -> None:
    for message in translated():
        assert all(forms(message)), message.id
        assert not message.fuzzy, message.id


def test_a_translation_puts_in_what_the_text_puts_in() -> None:
    for message in translated():
        if isinstance(message.id, str):
            assert sorted(HOLES.findall(str(message.string))) == sorted(HOLES.findall(message.id))


def test_a_plural_names_its_number_wherever_the_number_is_not_in_the_word() -> None:
    for message in translated():
        if isinstance(message.id, tuple):
            assert len(forms(message)) == PLURALS
            holes = HOLES.findall(message.id[1])
            for form in forms(message)[3:]:
                assert HOLES.findall(form) == holes, message.id
