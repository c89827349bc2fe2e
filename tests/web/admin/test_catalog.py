"""The Arabic catalog: complete, without leftovers, and fitting what it translates."""

import re

import pytest
from babel.messages.catalog import Message

from hudhud.web.admin.sentences import ERROR_OF_A_JOB, translate
from hudhud.web.admin.view import catalog
from support.catalog import errors_of_jobs, marked, sentences

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


@pytest.mark.parametrize(
    "sentence", ["The sender is starting.", "There is no sender named {sender}."]
)
def test_sentences_of_the_database_are_looked_for(sentence: str) -> None:
    assert (sentence, None) in marked() | sentences()


def test_what_a_search_may_find_is_what_can_be_an_error_of_a_job() -> None:
    marks = {message.id for message in translated() if ERROR_OF_A_JOB in message.auto_comments}
    assert marks == errors_of_jobs(), f"write `#. {ERROR_OF_A_JOB}` above it in locale/ar.po"


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("filterStatus: must be one of pending, processing, sent, failed.", "filterStatus"),
        ("limit: must be a whole number from 1 to 200.", "200"),
        ("searchQuery: at most 100 characters.", "100"),
        ("The form has too many fields.", ""),
        ("Codes found: 12.", "12"),
        ("Scopes: send, admin.", "send, admin"),
    ],
)
def test_what_requests_and_the_audit_say_is_told_in_arabic(sentence: str, kept: str) -> None:
    said = translate(sentence, "ar")
    assert said is not None
    assert said != sentence
    assert kept in said
