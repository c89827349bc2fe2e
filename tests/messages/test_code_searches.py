"""Searches for codes: counted by person, limited, and forgotten."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from hudhud.core.crypto import CodeCipher
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import code_searches
from hudhud.messages.code_searches import KEPT_MS, MOST, WINDOW_MS, CodeSearch

NOW = 1_800_000_000_000
CIPHER = CodeCipher("s" * 32)
NEW = CodeSearch(is_allowed=True, is_new=True)
REPEATED = CodeSearch(is_allowed=True, is_new=False)
REFUSED = CodeSearch(is_allowed=False, is_new=True)
REFUSED_AGAIN = CodeSearch(is_allowed=False, is_new=False)


def search(
    database: Database, code: str, who: str = "admin", now: int = NOW, cipher: CodeCipher = CIPHER
) -> CodeSearch:
    with database.write() as connection:
        return code_searches.take(connection, cipher, who=who, code=code, now=now)


def use_up(database: Database, who: str = "admin", now: int = NOW) -> None:
    for number in range(MOST):
        assert search(database, f"{number:04}", who, now) == NEW


def test_twentieth_is_allowed_and_the_next_refused(database: Database) -> None:
    use_up(database)
    assert search(database, "9999") == REFUSED
    assert search(database, "9998") == REFUSED_AGAIN


def test_repeated_search_does_not_count_and_stays_allowed(database: Database) -> None:
    for _ in range(2 * MOST):
        found = search(database, "1234")
    assert found == REPEATED
    use_up_rest = [search(database, f"9{number:03}") for number in range(MOST - 1)]
    assert use_up_rest == [NEW] * (MOST - 1)
    assert search(database, "5555") == REFUSED
    assert search(database, "1234") == REPEATED


def test_each_person_and_key_counts_apart(database: Database) -> None:
    use_up(database)
    assert search(database, "9999", "key shop") == NEW


def test_searches_count_for_ten_minutes(database: Database) -> None:
    use_up(database)
    assert search(database, "9999", now=NOW + WINDOW_MS - 1) == REFUSED
    assert search(database, "9999", now=NOW + WINDOW_MS) == NEW


def test_change_of_the_secret_does_not_count_a_search_again(database: Database) -> None:
    search(database, "1234")
    changed = CodeCipher("t" * 32, "s" * 32)
    assert search(database, "1234", cipher=changed) == REPEATED


def test_code_itself_is_not_stored(database: Database) -> None:
    search(database, "123456")
    with database.read() as connection:
        (row,) = connection.execute(select(tables.code_searches)).all()
    assert "123456" not in repr(row)


def test_who_reached_the_limit_is_known_for_a_day(database: Database) -> None:
    use_up(database)
    use_up(database, "key shop")
    search(database, "9999", "key shop", now=NOW + 1)
    with database.write() as connection:
        lately = NOW + KEPT_MS
        assert [row.who for row in code_searches.limited(connection, now=lately)] == ["key shop"]
        assert code_searches.limited(connection, now=lately + 1) == []
        assert code_searches.purge(connection, before=lately - KEPT_MS, limit=99) == 2 * MOST


@settings(
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, WINDOW_MS // 20)), min_size=25))
def test_no_window_has_more_new_codes_than_allowed(
    database: Database, steps: list[tuple[int, int]]
) -> None:
    with database.write() as connection:
        connection.execute(delete(tables.code_searches))
    now, moments = NOW, list[int]()
    for code, pause in steps:
        now += pause
        found = search(database, f"{code:04}", now=now)
        moments += [now] if found == NEW else []
        recent = [moment for moment in moments if moment > now - WINDOW_MS]
        assert len(recent) <= MOST
        assert found.is_allowed or len(recent) == MOST
