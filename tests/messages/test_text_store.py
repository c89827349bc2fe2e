"""The text store: each text once, without code, found by fragment."""

import threading

import pytest
from sqlalchemy import select

from hudhud.core.sentences import say
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import text_store

BODY = "Your Acme code:\n\n{code}\n\nNever share it."


def keep(database: Database, *found: str) -> dict[str, int]:
    with database.write() as connection:
        return text_store.keep(connection, found)


def kept(database: Database) -> dict[int, str]:
    with database.read() as connection:
        return {row.key: row.text for row in connection.execute(select(tables.texts))}


def containing(database: Database, fragment: str) -> list[int]:
    with database.read() as connection:
        return text_store.find(connection, fragment)


def test_a_text_is_kept_once(database: Database) -> None:
    first = keep(database, "No account.", "No account.")
    assert keep(database, "No account.", "Offline.") == first | {
        "Offline.": text_store.key("Offline.")
    }
    assert kept(database) == {text_store.key(one): one for one in ("No account.", "Offline.")}


def test_key_is_deterministic_and_fits_the_column(database: Database) -> None:
    # The first 8 bytes of `printf %s text | sha256sum`.
    assert text_store.key("text") == 0x982D9E3EB996F559 - 2**64
    many = keep(database, *(str(number) for number in range(100)))
    assert set(kept(database)) == set(many.values())
    assert all(-(2**63) <= key < 2**63 for key in many.values())


def test_code_placeholder_is_masked(database: Database) -> None:
    keys = keep(database, BODY)
    assert kept(database)[keys[BODY]] == "Your Acme code:\n\n••••\n\nNever share it."
    assert keys[BODY] == text_store.key(BODY)


def test_storing_no_text_is_no_error(database: Database) -> None:
    assert keep(database) == {}


def test_text_is_found_by_a_fragment_in_any_case(database: Database) -> None:
    keys = keep(database, BODY, "No account.", "رمز التحقق")
    assert containing(database, "ACME CODE") == [keys[BODY]]
    assert containing(database, "aCC") == [keys["No account."]]
    assert containing(database, "••••\n\nnever") == [keys[BODY]]
    assert containing(database, "التحقق") == [keys["رمز التحقق"]]
    assert containing(database, "nowhere") == []


def test_errors_are_found_by_code_and_by_displayed_text(database: Database) -> None:
    lost, odd = say("job.lost"), say("job.not_taken", detail="odd")
    keep(database, BODY, odd.english())
    with database.write() as connection:
        text_store.keep_errors(connection, [lost, odd, odd])
    with database.read() as connection:
        found = text_store.find(connection, "nowhere", codes=["job.lost", "job.offline"])
        assert found == [text_store.key(lost.english())]
        found = text_store.find(connection, "nowhere", reads=lambda sentence: sentence == odd)
        assert found == [text_store.key(odd.english())], "also of a text that had no code before"
        found = text_store.find(
            connection, "not take it: odd", reads=lambda sentence: sentence == odd
        )
        assert found == [text_store.key(odd.english())]


@pytest.mark.parametrize("sign", ["%", "_", "\\", "/", "'", '"', "*", "--", "[a]", "?"])
def test_wildcards_are_matched_literally(database: Database, sign: str) -> None:
    keys = keep(database, f"100{sign} x", "1000 x")
    assert containing(database, f"100{sign}") == [keys[f"100{sign} x"]]
    assert containing(database, f"100{sign}X") == []


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\ud800b\0", "{code}", "%s %(x)s :y ?"])
def test_any_text_can_be_kept_and_searched_for(database: Database, text: str) -> None:
    keys = keep(database, text)
    assert set(kept(database)) == {keys[text]}
    assert containing(database, text) in ([keys[text]], [])


def test_search_with_very_many_matches_is_bounded(database: Database) -> None:
    keep(database, *(f"error {number}" for number in range(20)))
    with database.read() as connection:
        assert len(set(text_store.find(connection, "error", most=7))) == 7


def test_concurrent_writers_of_the_same_texts_all_get_the_keys(database: Database) -> None:
    start = threading.Barrier(4)
    failures: list[Exception] = []

    def work(first: int) -> None:
        start.wait()
        try:
            for number in range(first, first + 12):
                keep(database, *(f"text {one % 15}" for one in range(number, number + 4)))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(kept(database).values()) == {f"text {number}" for number in range(15)}
