"""API keys on both databases: only digests are kept, and a revoked key stops working."""

import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from hudhud import api_keys
from hudhud.api_keys import KeyRing
from hudhud.db.engine import Database
from hudhud.errors import BadRequest
from support.services import wait_until


def create(database: Database, name: str, *scopes: str) -> str:
    """A new key."""
    with database.write() as connection:
        return api_keys.create(connection, name, scopes or ("send",))


def revoke(database: Database, which: str) -> str | None:
    """The name of the key that was revoked."""
    with database.write() as connection:
        return api_keys.revoke(connection, which)


def names_in_use(database: Database) -> list[str]:
    """The names of the keys that are not revoked."""
    with database.read() as connection:
        return [key.name for key in api_keys.list_keys(connection) if key.revoked_at is None]


@contextmanager
def running(database: Database, environment_key: str | None = None) -> Iterator[KeyRing]:
    """A key ring that is stopped at the end of the block."""
    ring = KeyRing(database, environment_key)
    ring.start()
    try:
        yield ring
    finally:
        ring.stop()


def test_a_key_has_256_random_bits_behind_its_mark(database: Database) -> None:
    first, second = create(database, "shop"), create(database, "bank")
    assert re.fullmatch(r"hh_live_[A-Za-z0-9_-]{43}", first)
    assert first != second


def test_the_database_holds_neither_the_key_nor_more_of_it_than_its_prefix(
    database: Database,
) -> None:
    key = create(database, "shop")
    with database.read() as connection:
        (row,) = connection.execute(text("SELECT * FROM api_keys"))
    assert row.prefix == key[:14]
    assert len(row.digest) == 32
    assert key[14:] not in str(tuple(row))


def test_a_list_shows_every_key_the_oldest_first(database: Database) -> None:
    keys = [create(database, name) for name in ("shop", "bank")]
    revoke(database, "shop")
    with database.read() as connection:
        shop, bank = api_keys.list_keys(connection)
    assert (shop.name, shop.prefix, bank.name) == ("shop", keys[0][:14], "bank")
    assert shop.revoked_at >= shop.created_at
    assert bank.revoked_at is None


@pytest.mark.parametrize("part", [0, 9, 11, 14, 51])
def test_a_key_is_revoked_by_its_name_or_its_beginning(database: Database, part: int) -> None:
    key = create(database, "shop")
    assert revoke(database, key[:part] if part else "shop")
    assert names_in_use(database) == []


def test_revoking_what_does_not_exist_or_is_revoked_changes_nothing(database: Database) -> None:
    create(database, "shop")
    assert not revoke(database, "bank")
    assert not revoke(database, "hh_live_??????")
    assert not revoke(database, "%")
    assert names_in_use(database) == ["shop"]
    assert revoke(database, "shop")
    assert not revoke(database, "shop")


def test_a_beginning_in_other_letters_is_another_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _bytes: "AbCdEf" + "x" * 37)
    create(database, "shop")
    assert not revoke(database, "hh_live_aBcDeF")
    assert revoke(database, "hh_live_AbCdEf")


def test_a_beginning_that_fits_several_keys_is_refused_with_their_prefixes(
    database: Database,
) -> None:
    keys = [create(database, name) for name in ("shop", "bank")]
    with pytest.raises(BadRequest) as refused:
        revoke(database, "hh_live_")
    assert all(key[:14] in str(refused.value) for key in keys)
    assert names_in_use(database) == ["shop", "bank"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "shop", " shop "])
def test_a_name_that_cannot_tell_keys_apart_is_refused(database: Database, name: str) -> None:
    create(database, "shop")
    with pytest.raises(BadRequest):
        create(database, name)
    assert names_in_use(database) == ["shop"]


def test_the_name_of_a_revoked_key_is_free_again(database: Database) -> None:
    create(database, "shop")
    revoke(database, "shop")
    create(database, "shop")
    assert names_in_use(database) == ["shop"]


def test_keys_are_recognised_by_their_prefix_and_the_environments_by_its_word(
    database: Database,
) -> None:
    key = create(database, "shop")
    with running(database, "key of the environment") as ring:
        assert ring.identify(key) == key[:14]
        assert ring.identify("key of the environment") == "environment"


def test_anything_else_is_no_key(database: Database) -> None:
    key = create(database, "shop")
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
    with running(database, "other key") as ring:
        assert [ring.identify(presented) for presented in wrong] == [None] * len(wrong)


def test_without_a_key_in_the_environment_nothing_passes_for_it(database: Database) -> None:
    with running(database, None) as ring:
        assert ring.identify("") is None
        assert ring.identify("None") is None


def test_the_environments_key_is_compared_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with running(database, "key of the environment") as ring:
        ring.identify("wrong")
    assert [len(part) for part in compared[0]] == [32, 32]


def test_a_new_key_works_and_a_revoked_one_stops_without_a_restart(database: Database) -> None:
    with running(database) as ring:
        key = create(database, "shop")
        wait_until(lambda: ring.identify(key) == key[:14], 10, "the new key to work")
        revoke(database, "shop")
        wait_until(lambda: ring.identify(key) is None, 10, "the revoked key to stop working")


def test_known_keys_go_on_while_the_database_cannot_be_read(database: Database) -> None:
    key = create(database, "shop")
    with running(database) as ring:
        with database.write() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
        wait_until(lambda: not ring._readable, 10, "the ring to notice")
        assert ring.identify(key) == key[:14]
        with database.write() as connection:
            connection.execute(text("UPDATE away SET revoked_at = 1"))
            connection.execute(text("ALTER TABLE away RENAME TO api_keys"))
        wait_until(lambda: ring.identify(key) is None, 10, "the ring to read again")


def test_each_key_may_do_what_its_scopes_say(database: Database) -> None:
    send, admin = create(database, "shop"), create(database, "office", "admin")
    both = create(database, "all", "admin", "send")
    with running(database, "key of the environment") as ring:
        keys = (send, admin, both, "key of the environment", "wrong")
        assert [ring.identify(key) for key in keys] == [
            send[:14],
            None,
            both[:14],
            "environment",
            None,
        ]
        assert [ring.admin_name(key) for key in keys] == [None, "office", "all", None, None]


@pytest.mark.parametrize("scopes", [(), ("everything",), ("send", "")])
def test_a_key_without_a_known_scope_is_refused(
    database: Database, scopes: tuple[str, ...]
) -> None:
    with database.write() as connection, pytest.raises(BadRequest):
        api_keys.create(connection, "shop", scopes)
    assert names_in_use(database) == []


def test_a_key_for_admins_alone_does_not_stand_for_one_that_sends(database: Database) -> None:
    def may_any_send() -> bool:
        with database.read() as connection:
            return api_keys.any_in_use(connection)

    create(database, "office", "admin")
    assert not may_any_send()
    create(database, "shop")
    assert may_any_send()


def test_a_revoked_key_is_named_by_its_name(database: Database) -> None:
    key = create(database, "shop")
    assert revoke(database, key[:14]) == "shop"
