"""The cache of API keys: ownership, expiry and last use."""

import asyncio
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import event, text

from hudhud.auth import api_keys
from hudhud.auth.api_key_cache import USED_MS, ApiKeyCache
from hudhud.auth.api_key_settings import SCOPES, Scope
from hudhud.auth.caller import Caller
from hudhud.auth.look_limit import MOST_LOOKS, LookLimit
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from support.keys import make_key, revoke_key
from support.services import wait_until

pytestmark = pytest.mark.slow

NOW = 1_700_000_000_000
OF_THE_ENVIRONMENT = "key of the environment"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@contextmanager
def running(database: Database, environment_key: str | None = None) -> Iterator[ApiKeyCache]:
    """A cache that is stopped at the end of the block."""
    cache = ApiKeyCache(database, environment_key)
    cache.start()
    try:
        yield cache
    finally:
        cache.stop()


def works(cache: ApiKeyCache, key: str) -> bool:
    """Present a key, as a request does."""
    return asyncio.run(cache.find(key)) is not None


@contextmanager
def during_the_look(database: Database, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen after the next statement on the keys has read its rows."""
    waiting = [happens]

    def happen(*executed: Any) -> None:
        if waiting and "FROM api_keys" in executed[2]:
            waiting.pop()()

    event.listen(database.engine, "after_cursor_execute", happen)
    yield
    event.remove(database.engine, "after_cursor_execute", happen)
    assert not waiting


@contextmanager
def another_process(database: Database) -> Iterator[Database]:
    """The same database with connections of its own."""
    elsewhere = Database(database.url.render_as_string(hide_password=False))
    try:
        yield elsewhere
    finally:
        elsewhere.close()


def last_uses(database: Database) -> dict[str, int | None]:
    """Return when each key was last used, from the database."""
    with database.read() as connection:
        uses = {key.name: key.last_used_at for key in api_keys.list_keys(connection)}
        return {**uses, "environment": api_keys.environment_used_at(connection)}


def test_key_yields_its_owner_with_all_settings(database: Database) -> None:
    settings: dict[str, Any] = {"limits": "per_key=9/1h", "networks": ["192.0.2.0/24"]}
    key = make_key(database, "shop", "send", hides_code=True, may_link_verify=True, **settings)
    trial = make_key(database, "trial", is_test=True)
    with running(database) as cache:
        assert cache.identify(key) == Caller(
            owner=key[:14],
            name="shop",
            scopes=frozenset({"send"}),
            hides_code=True,
            may_link_verify=True,
            limits="per_key=9/1h",
            networks=(ip_network("192.0.2.0/24"),),
        )
        caller = cache.identify(trial)
    assert caller is not None
    assert (caller.is_test, caller.is_environment) == (True, False)


def test_key_of_the_environment_has_all_scopes_but_admin(database: Database) -> None:
    with running(database, OF_THE_ENVIRONMENT) as cache:
        caller = cache.identify(OF_THE_ENVIRONMENT)
    scopes: frozenset[Scope] = frozenset({"send", "verify", "read", "sandbox"})
    assert caller == Caller("environment", "API_KEY", scopes)
    assert caller.is_environment


def test_both_secrets_of_a_rotated_key_yield_the_same_owner(database: Database) -> None:
    old = make_key(database, "shop")
    with database.write() as connection:
        new = api_keys.rotate(connection, old[:14], now=now_ms())
    assert new is not None
    with running(database) as cache:
        callers = [cache.identify(key) for key in (old, new.key)]
    assert [caller.owner for caller in callers if caller is not None] == [old[:14], old[:14]]


def test_unknown_and_malformed_keys_are_rejected(database: Database) -> None:
    key = make_key(database, "shop")
    wrong = [
        key[:-1],
        key + "x",
        key.swapcase(),
        f" {key}",
        "",
        "ключ",
        "\udcff\xff\0",
        "x" * 10**6,
    ]
    with running(database, "other key") as cache:
        assert [cache.identify(presented) for presented in wrong] == [None] * len(wrong)


def test_without_a_key_in_the_environment_no_text_matches_it(database: Database) -> None:
    with running(database, None) as cache:
        assert cache.identify("") is None
        assert cache.identify("None") is None


def test_key_of_the_environment_is_compared_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with running(database, OF_THE_ENVIRONMENT) as cache:
        cache.identify("wrong")
    assert [len(part) for part in compared[0]] == [32, 32]


def test_created_and_revoked_keys_take_effect_without_a_restart(database: Database) -> None:
    with running(database) as cache:
        key = make_key(database, "shop")
        wait_until(lambda: cache.identify(key) is not None, 10, "the new key to work")
        revoke_key(database, "shop")
        wait_until(lambda: cache.identify(key) is None, 10, "the revoked key to stop working")


def test_key_made_by_another_process_works_at_the_very_first_request(database: Database) -> None:
    cache = ApiKeyCache(database, None)
    cache._renew()
    with another_process(database) as elsewhere:
        key = make_key(elsewhere, "shop")
    assert works(cache, key)
    assert cache.identify(key) is not None


def test_unknown_keys_are_looked_up_twenty_times_a_second(database: Database) -> None:
    seconds = [100.0]
    cache = ApiKeyCache(database, None, look_limit=LookLimit(lambda: seconds[0]))
    for number in range(MOST_LOOKS - 1):
        assert not works(cache, f"wrong {number}")
    for _ in range(MOST_LOOKS):  # known to be wrong: not looked up again
        assert not works(cache, "wrong 0")
    first, second = make_key(database, "first"), make_key(database, "second")
    assert works(cache, first)
    assert MOST_LOOKS == 20
    seconds[0] += 0.999
    assert not works(cache, second)
    seconds[0] += 0.001
    assert works(cache, second)


def test_key_that_has_ended_is_not_found_by_a_look(database: Database) -> None:
    clock = Clock()
    revoked = make_key(database, "revoked", now=NOW)
    expired = make_key(database, "expired", now=NOW, expires_at=NOW + 1)
    revoke_key(database, "revoked")
    clock.now = NOW + 1
    cache = ApiKeyCache(database, None, clock)
    assert [works(cache, key) for key in (revoked, expired)] == [False, False]


def test_key_revoked_during_its_look_stays_revoked(database: Database) -> None:
    key = make_key(database, "shop")
    cache = ApiKeyCache(database, None)
    with another_process(database) as elsewhere:

        def revoke() -> None:
            revoke_key(elsewhere, "shop")
            reader = ApiKeyCache(elsewhere, None)
            reader._renew()
            cache._keys = reader._keys  # a refresh that has seen the revocation

        with during_the_look(database, revoke):
            works(cache, key)
    assert not works(cache, key)


def test_new_keys_are_refused_while_the_database_is_unavailable(database: Database) -> None:
    key = make_key(database, "shop")
    cache = ApiKeyCache(database, None)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
    assert not works(cache, key)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO api_keys"))
    assert works(cache, key)


def test_key_expires_on_the_millisecond_without_a_database_read(database: Database) -> None:
    clock = Clock()
    key = make_key(database, "shop", now=NOW, expires_at=NOW + 1000)
    cache = ApiKeyCache(database, None, clock)
    cache._renew()
    clock.now = NOW + 999
    assert cache.identify(key) is not None
    clock.now = NOW + 1000
    assert cache.identify(key) is None


def test_cached_keys_work_while_the_database_is_unavailable(database: Database) -> None:
    key = make_key(database, "shop")
    with running(database) as cache:
        with database.write() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
        wait_until(lambda: not cache._readable, 10, "the cache to notice")
        assert cache.identify(key) is not None
        with database.write() as connection:
            connection.execute(text("UPDATE away SET revoked_at = 1"))
            connection.execute(text("ALTER TABLE away RENAME TO api_keys"))
        wait_until(lambda: cache.identify(key) is None, 10, "the cache to read again")


def test_only_scope_admin_makes_a_key_an_admin(database: Database) -> None:
    keys = [
        make_key(database, "shop", "send"),
        make_key(database, "office", "admin"),
        make_key(database, "all", "admin", "send"),
        OF_THE_ENVIRONMENT,
        "wrong",
    ]
    with running(database, OF_THE_ENVIRONMENT) as cache:
        names = [asyncio.run(cache.admin_name(key)) for key in keys]
    assert names == [None, "office", "all", None, None]


def test_scope_admin_allows_everything() -> None:
    admin = Caller("hh_live_office", "office", frozenset({"admin"}))
    shop = Caller("hh_live_shop", "shop", frozenset({"send"}))
    assert all(admin.may(scope) for scope in SCOPES)
    assert [scope for scope in SCOPES if shop.may(scope)] == ["send"]
    assert admin.sees("hh_live_shop")
    assert not shop.sees("hh_live_office")
    assert shop.sees("hh_live_shop")


def test_last_use_is_written_outside_requests_once_a_minute(database: Database) -> None:
    clock = Clock()
    key = make_key(database, "shop")
    make_key(database, "idle")
    cache = ApiKeyCache(database, OF_THE_ENVIRONMENT, clock)
    cache._renew()
    for presented in (key, OF_THE_ENVIRONMENT, "wrong"):
        cache.identify(presented)
    assert last_uses(database) == {"shop": None, "idle": None, "environment": None}
    cache._note_uses(least_ms=USED_MS)
    assert last_uses(database) == {"shop": NOW, "idle": None, "environment": NOW}
    clock.now = NOW + USED_MS - 1
    cache.identify(key)
    cache._note_uses(least_ms=USED_MS)
    assert last_uses(database)["shop"] == NOW
    clock.now = NOW + USED_MS
    cache.identify(key)
    cache._note_uses(least_ms=USED_MS)
    assert last_uses(database)["shop"] == NOW + USED_MS


def test_later_use_recorded_by_another_process_is_kept(database: Database) -> None:
    clocks = Clock(), Clock()
    key = make_key(database, "shop")
    caches = [ApiKeyCache(database, OF_THE_ENVIRONMENT, clock) for clock in clocks]
    clocks[0].now = NOW + 5000
    for cache in caches:
        cache._renew()
        cache.identify(key)
        cache.identify(OF_THE_ENVIRONMENT)
        cache._note_uses(least_ms=USED_MS)
    assert last_uses(database) == {"shop": NOW + 5000, "environment": NOW + 5000}


def test_orderly_stop_writes_pending_uses(database: Database) -> None:
    key = make_key(database, "shop")
    with running(database) as cache:
        before = now_ms()
        cache.identify(key)
        wait_until(lambda: last_uses(database)["shop"] is not None, 10, "the first note")
        cache.identify(key)
        (last,) = cache._used.values()
    assert before <= last
    assert last_uses(database)["shop"] == last


def test_uses_are_written_again_after_a_failed_write(database: Database) -> None:
    key = make_key(database, "shop")
    cache = ApiKeyCache(database, None, Clock())
    cache._renew()
    cache.identify(key)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
    cache._note_uses(least_ms=USED_MS)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO api_keys"))
    assert last_uses(database)["shop"] is None
    cache._note_uses(least_ms=USED_MS)
    assert last_uses(database)["shop"] == NOW
