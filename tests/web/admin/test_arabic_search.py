"""Who reads errors in Arabic finds jobs by the words that the list shows."""

import pytest

from hudhud.web.admin.sentences import MOST_MEANT, errors_in_english
from support.admin import Person
from support.html import Page
from support.stored_jobs import StoredJob, put_jobs
from support.web_server import WebServer

NO_ACCOUNT = "There is no WhatsApp account for this number."
NOT_TAKEN = "WhatsApp did not take it: server returned error 479."


def rows(person: Person, search: str, language: str) -> list[int]:
    answer = person.client.get(
        "/admin/status",
        params={"searchQuery": search},
        headers={"Accept-Language": language},
    )
    assert answer.status_code == 200
    found = Page(answer.text).elements
    return [int(attributes["data-id"]) for _tag, attributes in found if "data-id" in attributes]


def test_a_job_is_found_by_the_words_of_its_error_in_the_readers_language(
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


@pytest.mark.parametrize(
    "words", ["صلاحية الرمز قبل أن", "انتهت صلاحية الرمز قبل أن يُرسَل.", "الرمز قبل ان يرسل"]
)
def test_vowel_signs_and_the_seats_of_hamza_do_not_matter(words: str) -> None:
    assert errors_in_english(words, "ar") == ("The code expired before it could be sent.",)


def test_of_an_error_with_a_detail_the_longest_piece_is_searched_for() -> None:
    assert errors_in_english("لم يقبلها واتساب", "ar") == ("WhatsApp did not take it: ",)


@pytest.mark.parametrize("words", ["", "\u064e", "detail", "{", "الحالة", "nowhere"])
def test_what_no_error_says_means_nothing_else(words: str) -> None:
    assert errors_in_english(words, "ar") == ()


def test_a_letter_means_only_so_many_errors() -> None:
    assert len(errors_in_english("ا", "ar")) == MOST_MEANT
    assert errors_in_english("a", "en") == ()
