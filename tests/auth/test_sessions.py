"""Sessions: found by token, ended by time, logout or new password."""

from typing import Any

import pytest
from sqlalchemy import select

from hudhud.auth import sessions
from hudhud.auth.sessions import ABSOLUTE_MS, IDLE_MS, INCOMPLETE_MS, SEEN_MS, Session
from hudhud.db import tables
from hudhud.db.engine import Database

NOW = 1_800_000_000_000
MARK = b"the password's mark"


def begin(database: Database, *, now: int = NOW, **changes: Any) -> str:
    """Begin a session and return its token."""
    chosen = {
        "username": "admin",
        "password_mark": MARK,
        "is_complete": True,
        "address": "192.0.2.1",
        **changes,
    }
    with database.write() as connection:
        token, _ = sessions.begin(connection, now=now, **chosen)
    return token


def find(
    database: Database, token: str, *, now: int = NOW, password_mark: bytes = MARK
) -> Session | None:
    with database.read() as connection:
        return sessions.find(connection, token, password_marks=[password_mark], now=now)


def use(database: Database, token: str, *, now: int) -> None:
    """Request a page with the session."""
    session = find(database, token, now=now)
    assert session is not None
    with database.write() as connection:
        sessions.touch(connection, session, now=now)


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(tables.sessions)).all())


def test_token_has_256_random_bits_and_is_not_stored(database: Database) -> None:
    first, second = begin(database), begin(database)
    assert first != second
    assert len(first) == 43
    with database.read() as connection:
        kept = str([tuple(row) for row in connection.execute(select(tables.sessions))])
    assert first not in kept
    assert second not in kept


def test_session_is_found_only_by_its_token(database: Database) -> None:
    token = begin(database)
    found = find(database, token)
    assert found is not None
    assert (found.username, found.is_complete) == ("admin", True)
    wrong = [token[:-1], token.swapcase(), token + "x", "", "\udcff", found.digest.hex()]
    assert [find(database, other) for other in wrong] == [None] * len(wrong)


def test_new_password_ends_a_session(database: Database) -> None:
    token = begin(database)
    assert find(database, token, password_mark=b"of another password") is None


def test_unused_session_ends(database: Database) -> None:
    token = begin(database)
    assert find(database, token, now=NOW + IDLE_MS - 1) is not None
    assert find(database, token, now=NOW + IDLE_MS) is None


def test_use_extends_a_session_until_its_absolute_end(database: Database) -> None:
    token = begin(database)
    step = IDLE_MS - 1
    for now in range(NOW + step, NOW + ABSOLUTE_MS, step):
        use(database, token, now=now)
    assert find(database, token, now=NOW + ABSOLUTE_MS - 1) is not None
    assert find(database, token, now=NOW + ABSOLUTE_MS) is None


def test_session_without_its_second_factor_ends_soon(database: Database) -> None:
    token = begin(database, is_complete=False)
    assert find(database, token, now=NOW + INCOMPLETE_MS - 1) is not None
    assert find(database, token, now=NOW + INCOMPLETE_MS) is None


def test_use_is_recorded_once_a_minute(database: Database) -> None:
    found = find(database, begin(database))
    assert found is not None
    assert not sessions.wants_touch(found, now=NOW + SEEN_MS - 1)
    assert sessions.wants_touch(found, now=NOW + SEEN_MS)


def test_use_does_not_revive_an_ended_session(database: Database) -> None:
    token = begin(database)
    found = find(database, token)
    assert found is not None
    with database.write() as connection:
        sessions.end(connection, token)
        sessions.touch(connection, found, now=NOW + SEEN_MS)
    assert count(database) == 0


def test_late_record_of_an_earlier_use_changes_nothing(database: Database) -> None:
    token = begin(database)
    before = find(database, token)
    assert before is not None
    use(database, token, now=NOW + 2 * SEEN_MS)
    with database.write() as connection:
        sessions.touch(connection, before, now=NOW + SEEN_MS)
    after = find(database, token)
    assert after is not None
    assert after.seen_at == NOW + 2 * SEEN_MS


def test_login_ends_the_browsers_earlier_session(database: Database) -> None:
    other, before = begin(database), begin(database)
    after = begin(database, replaces=before)
    assert find(database, before) is None
    assert find(database, after) is not None
    assert find(database, other) is not None


def test_every_other_session_of_an_admin_can_be_ended(database: Database) -> None:
    mine, other = begin(database), begin(database)
    strangers = begin(database, username="somebody")
    session = find(database, mine)
    assert session is not None
    with database.write() as connection:
        sessions.end_others(connection, session)
    assert [find(database, token) is not None for token in (mine, other, strangers)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("age", "is_complete", "left"),
    [
        (IDLE_MS - 1, True, 1),
        (IDLE_MS, True, 0),
        (INCOMPLETE_MS - 1, False, 1),
        (INCOMPLETE_MS, False, 0),
    ],
)
def test_expired_sessions_are_purged(
    database: Database, age: int, *, is_complete: bool, left: int
) -> None:
    begin(database, is_complete=is_complete)
    with database.write() as connection:
        sessions.purge(connection, before=NOW + age, limit=9)
    assert count(database) == left


def test_session_in_use_is_purged_at_its_absolute_end(database: Database) -> None:
    token = begin(database, now=NOW - ABSOLUTE_MS + 1)
    with database.write() as connection:
        connection.execute(tables.sessions.update().values(seen_at=NOW))
        sessions.purge(connection, before=NOW, limit=9)
        assert sessions.find(connection, token, password_marks=[MARK], now=NOW) is not None
        sessions.purge(connection, before=NOW + 1, limit=9)
    assert count(database) == 0
