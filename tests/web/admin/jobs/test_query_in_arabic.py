"""Search for errors in Arabic by the words that the list shows."""

import pytest

from hudhud.core.sentences import say
from hudhud.web.admin.ui.translate import codes_for, holds
from support.admin import Person
from support.html import Page
from support.stored_jobs import StoredJob, put_jobs
from support.web_server import WebServer

NO_ACCOUNT = say("job.no_account")
NOT_TAKEN = say("job.not_taken", detail="server returned error 479")


def rows(person: Person, search: str, language: str) -> list[int]:
    answer = person.client.get(
        "/admin/status",
        params={"searchQuery": search},
        headers={"Accept-Language": language},
    )
    assert answer.status_code == 200
    found = Page(answer.text).elements
    return [int(attributes["data-id"]) for _tag, attributes in found if "data-id" in attributes]


def test_search_finds_a_job_by_its_error_in_the_readers_language(
    dashboard: WebServer, person: Person
) -> None:
    person.log_in()
    no_account, not_taken, odd = put_jobs(
        dashboard.database,
        *(StoredJob(status="failed", error=error) for error in (NO_ACCOUNT, NOT_TAKEN, "Odd.")),
    )
    assert rows(person, "ليس على واتساب", "ar") == [no_account]
    assert rows(person, "لم يقبلها", "ar") == [not_taken]
    assert rows(person, "Odd", "ar") == [odd]
    assert rows(person, "account for this", "ar") == [no_account]
    assert rows(person, "ليس على واتساب", "en") == []
    for language in ("ar", "en"):
        assert rows(person, "no_account", language) == [no_account]
        assert rows(person, "error 479", language) == [not_taken]
        assert rows(person, "accept it: server returned", language) == [not_taken]
    assert rows(person, "واتساب: server returned error 479", "ar") == [not_taken]


@pytest.mark.parametrize(
    "words", ["صلاحية الرمز قبل أن", "انتهت صلاحية الرمز قبل أن يُرسَل.", "الرمز قبل ان يرسل"]
)
def test_vowel_signs_and_hamza_seats_are_ignored(words: str) -> None:
    assert codes_for(words, "ar") == ("job.expired",)
    assert codes_for(words, "en") == ()


def test_parameters_of_a_sentence_do_not_match_its_code() -> None:
    assert codes_for("لم يقبلها واتساب", "ar") == ("job.not_taken",)
    assert codes_for("479", "ar") == ()


@pytest.mark.parametrize("search", ["job.no_account", "no_account", " NO_ACCOUNT "])
def test_sentence_code_matches_by_name(search: str) -> None:
    assert codes_for(search, "en") == ("job.no_account",)


def test_english_words_match_in_every_language() -> None:
    assert codes_for("DID not accept it", "en") == codes_for("did not accept it", "ar")
    assert codes_for("DID not accept it", "en") == ("job.not_taken",)


@pytest.mark.parametrize("words", ["", "\u064e", "{detail}", "job", "other", "text"])
def test_words_of_no_sentence_match_nothing(words: str) -> None:
    assert not {code for code in codes_for(words, "ar") if code.startswith(("job.", "other"))}


def test_sentence_matches_the_displayed_words() -> None:
    sentence = say("job.not_taken", detail="server returned error 479")
    assert holds(sentence, "واتساب: server RETURNED", "ar")
    assert not holds(sentence, "واتساب: server", "en")
    assert holds(sentence, "accept it: server", "en")


@pytest.mark.parametrize("search", ["\u064b", "\u0301", "\u2068", ""])
def test_ignored_characters_alone_match_nothing(search: str) -> None:
    assert not holds(say("job.not_taken", detail="error 479"), search, "ar")
