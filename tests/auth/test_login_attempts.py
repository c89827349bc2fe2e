"""The limit of failed logins: refused per address, slowed per account."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from hudhud.auth import login_attempts
from hudhud.auth.login_attempts import LONGEST_DELAY_SECONDS, WINDOW_MS, Attempt, TooManyAttempts
from hudhud.db import tables
from hudhud.db.engine import Database

NOW = 1_800_000_000_000
HERE = "192.0.2.1"
THERE = "192.0.2.2"


def attempt(
    database: Database, address: str = HERE, *, username: str = "admin", now: int = NOW
) -> Attempt:
    """Attempt a login that fails unless it is settled otherwise."""
    with database.write() as connection:
        return login_attempts.reserve(connection, address=address, username=username, now=now)


def is_refused(database: Database, address: str = HERE, *, now: int = NOW) -> bool:
    try:
        attempt(database, address, now=now)
    except TooManyAttempts:
        return True
    return False


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(tables.login_attempts)).all())


def test_sixth_attempt_of_an_address_is_refused(database: Database) -> None:
    assert [attempt(database).is_last for _ in range(5)] == [False] * 4 + [True]
    assert is_refused(database)
    assert not is_refused(database, THERE)


def test_refusal_says_when_to_retry_and_does_not_extend_the_wait(
    database: Database,
) -> None:
    for minute in range(5):
        attempt(database, now=NOW + minute * 60_000)
    for later in (5, 6):
        with pytest.raises(TooManyAttempts) as refused:
            attempt(database, now=NOW + later * 60_000)
        assert refused.value.again_at == NOW + WINDOW_MS
    assert is_refused(database, now=NOW + WINDOW_MS - 1)
    assert not is_refused(database, now=NOW + WINDOW_MS)
    assert is_refused(database, now=NOW + WINDOW_MS)


def test_simultaneous_attempts_cannot_exceed_the_limit(database: Database) -> None:
    with ThreadPoolExecutor(6) as threads:
        refused = list(threads.map(lambda _: is_refused(database), range(12)))
    assert refused.count(False) == 5
    assert count(database) == 5


def test_limit_is_stored_in_the_database(database: Database) -> None:
    for _ in range(5):
        attempt(database)
    reopened = Database(database.url.render_as_string(hide_password=False))
    assert is_refused(reopened)
    reopened.close()


def test_success_resets_only_the_failures_of_its_address(database: Database) -> None:
    for _ in range(5):
        attempt(database, THERE)
    for _ in range(3):
        attempt(database)
    right = attempt(database)
    with database.write() as connection:
        login_attempts.clear(connection, right)
    assert count(database) == 5
    assert not is_refused(database)
    assert is_refused(database, THERE)


def test_release_uncounts_only_its_own_attempt(database: Database) -> None:
    first = attempt(database)
    attempt(database)
    with database.write() as connection:
        login_attempts.release(connection, first)
    assert count(database) == 1


def test_account_attacked_from_many_addresses_is_only_slowed_down(database: Database) -> None:
    delays = [attempt(database, f"198.51.100.{number}").delay for number in range(30)]
    assert delays[:5] == [0.0] * 5
    assert delays[5] > 0
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_SECONDS
    assert attempt(database, THERE, username="somebody").delay == 0
    assert attempt(database, THERE, now=NOW + WINDOW_MS).delay == 0


def test_long_or_hostile_username_is_counted_like_any_other(database: Database) -> None:
    for name in ("x" * 100_000, "nul\0", "\udcff"):
        attempt(database, username=name)
    assert count(database) == 3


def test_operator_unlocks_one_address_or_all(database: Database) -> None:
    for address in (HERE, HERE, "2001:db8::1"):
        attempt(database, address)
    with database.write() as connection:
        assert login_attempts.unlock(connection, "2001:db8::2") == 1
        assert login_attempts.unlock(connection, "2001:db8::2") == 0
        assert login_attempts.unlock(connection) == 2
    assert count(database) == 0


def test_expired_attempts_are_purged(database: Database) -> None:
    attempt(database)
    attempt(database, now=NOW + 1)
    with database.write() as connection:
        login_attempts.purge(connection, before=NOW, limit=9)
    assert count(database) == 1
