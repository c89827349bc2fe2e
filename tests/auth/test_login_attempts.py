"""The limit of failed logins: refused per origin and network, slowed per account."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from hudhud.auth import login_attempts
from hudhud.auth.login_attempts import LONGEST_DELAY_SECONDS, WINDOW_MS, Attempt, TooManyAttempts
from hudhud.auth.login_origins import Origin, origin_of_address, origin_of_browser
from hudhud.db import tables
from hudhud.db.engine import Database

NOW = 1_800_000_000_000
HERE = "192.0.2.1"
THERE = "192.0.2.2"


def attempt(
    database: Database, source: str | Origin = HERE, *, username: str = "admin", now: int = NOW
) -> Attempt:
    """Attempt a login that fails unless it is settled otherwise."""
    origin = origin_of_address(source) if isinstance(source, str) else source
    with database.write() as connection:
        return login_attempts.reserve(connection, origin=origin, username=username, now=now)


def limit_of(made: Attempt) -> str | None:
    """Return the limit that refuses attempts after this one."""
    return None if made.limit is None else made.limit.english()


def is_refused(database: Database, source: str | Origin = HERE, *, now: int = NOW) -> bool:
    try:
        attempt(database, source, now=now)
    except TooManyAttempts:
        return True
    return False


def count(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(tables.login_attempts)).all())


def test_sixth_attempt_of_an_address_is_refused(database: Database) -> None:
    limits = [limit_of(attempt(database)) for _ in range(5)]
    reached = "Failed 5 times: no further attempt from this address for 15 minutes"
    assert limits == [None] * 4 + [reached]
    assert is_refused(database)
    assert not is_refused(database, THERE)


def test_networks_of_ipv6_have_limits_of_their_own(database: Database) -> None:
    one_56 = [f"2001:db8:1:{number:x}::1" for number in range(11)]
    limits = [limit_of(attempt(database, address)) for address in one_56[:10]]
    reached = "no further attempt from the network 2001:db8:1::/56 for 15 minutes"
    assert limits == [None] * 9 + [f"Failed 10 times: {reached}"]
    assert is_refused(database, one_56[10])

    other_56s = [f"2001:db8:1:{number:x}00::1" for number in range(1, 12)]
    limits = [limit_of(attempt(database, address)) for address in other_56s[:10]]
    reached = "no further attempt from the network 2001:db8:1::/48 for 15 minutes"
    assert limits == [None] * 9 + [f"Failed 20 times: {reached}"]
    assert is_refused(database, other_56s[10])
    assert not is_refused(database, "2001:db8:2::1")
    assert not is_refused(database, "192.0.2.1")


def test_whole_site_gets_twenty_attempts(database: Database) -> None:
    with ThreadPoolExecutor(6) as threads:
        sources = [f"2001:db8:1:{number:04x}::1" for number in range(0, 0x10000, 0x800)]
        refused = list(threads.map(lambda source: is_refused(database, source), sources))
    assert refused.count(False) == 20


def test_known_browser_has_its_own_limit_and_no_delay(database: Database) -> None:
    for number in range(30):
        attempt(database, f"198.51.100.{number}")
    browser = origin_of_browser("one")
    attempts = [attempt(database, browser) for _ in range(5)]
    reached = "Failed 5 times: no further attempt from this browser for 15 minutes"
    assert [limit_of(made) for made in attempts] == [None] * 4 + [reached]
    assert {made.delay for made in attempts} == {0.0}
    assert is_refused(database, browser)
    assert not is_refused(database, origin_of_browser("another"))
    assert not is_refused(database, HERE)
    with database.write() as connection:
        login_attempts.clear(connection, attempts[0])
    assert not is_refused(database, browser)


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


def test_unlocked_address_is_not_refused_for_its_network(database: Database) -> None:
    for number in range(20):
        attempt(database, f"2001:db8:1:{number:x}00::1")
    attempt(database, "2001:db8:2::1")
    owner = "2001:db8:1:ffff::1"
    assert is_refused(database, owner)
    with database.write() as connection:
        assert login_attempts.unlock(connection, owner) == 20
    assert not is_refused(database, owner)


def test_expired_attempts_are_purged(database: Database) -> None:
    attempt(database)
    attempt(database, now=NOW + 1)
    with database.write() as connection:
        login_attempts.purge(connection, before=NOW, limit=9)
    assert count(database) == 1
