"""API keys: only digests are stored, and ended keys are refused."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, text

from hudhud.auth import api_keys
from hudhud.auth.api_key_cache import ApiKeyCache
from hudhud.auth.api_keys import Rotated
from hudhud.core.clock import DAY_MS, HOUR_MS
from hudhud.core.errors import BadRequest
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from support.keys import make_key, revoke_key

NOW = 1_700_000_000_000
# Columns in which the secrets of one key differ.
OF_ONE_SECRET = {"id", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at"}


def rotate(database: Database, owner: str, *, now: int = NOW, **settings: Any) -> Rotated | None:
    """Rotate the owner's key and return the new secret."""
    with database.write() as connection:
        lock(connection, Lock.API_KEYS)
        return api_keys.rotate(connection, owner, now=now, **settings)


def rotated(database: Database, owner: str, **settings: Any) -> Rotated:
    """Return the new secret of an owner that must have a key."""
    new = rotate(database, owner, **settings)
    assert new is not None
    return new


def names_in_use(database: Database, now: int = NOW) -> list[str]:
    """Return the names of the working secrets."""
    with database.read() as connection:
        keys = api_keys.list_keys(connection)
        return [key.name for key in keys if api_keys.still_works(key, now)]


def row_of(database: Database, key: str) -> Any:
    """Return the stored row of a secret."""
    with database.read() as connection:
        return api_keys.stored(connection, key)


def owner_of(database: Database, named: str, now: int = NOW) -> str | None:
    """Return the owner with this name."""
    with database.read() as connection:
        return api_keys.owner_of(connection, named, now=now)


def revoke_key_at(database: Database, named: str, now: int) -> str | None:
    """Revoke a key at a chosen moment."""
    with database.write() as connection:
        return api_keys.revoke(connection, named, now=now)


def test_key_has_256_random_bits_after_its_mark(database: Database) -> None:
    first, second = make_key(database, "shop"), make_key(database, "bank")
    assert re.fullmatch(r"hh_live_[A-Za-z0-9_-]{43}", first)
    assert first != second
    assert make_key(database, "trial", is_test=True).startswith("hh_test_")


def test_database_holds_only_the_prefix_of_a_key(
    database: Database,
) -> None:
    key = make_key(database, "shop")
    with database.read() as connection:
        (row,) = connection.execute(text("SELECT * FROM api_keys"))
    assert row.prefix == row.owner == key[:14]
    assert len(row.digest) == 32
    assert key[14:] not in str(tuple(row))


def test_list_shows_every_key_oldest_first_without_secrets(
    database: Database,
) -> None:
    keys = [make_key(database, name, now=NOW) for name in ("shop", "bank")]
    revoke_key(database, "shop")
    with database.read() as connection:
        shop, bank = api_keys.list_keys(connection)
    assert (shop.name, shop.prefix, bank.name) == ("shop", keys[0][:14], "bank")
    assert shop.revoked_at >= shop.created_at
    assert bank.revoked_at is None
    assert "digest" not in shop._fields


@pytest.mark.parametrize("part", [0, 9, 11, 14, 51])
def test_key_is_revoked_by_name_or_prefix(database: Database, part: int) -> None:
    key = make_key(database, "shop")
    assert revoke_key(database, key[:part] if part else "shop") == "shop"
    assert names_in_use(database) == []


def test_revoking_an_unknown_or_revoked_key_changes_nothing(database: Database) -> None:
    make_key(database, "shop")
    assert not revoke_key(database, "bank")
    assert not revoke_key(database, "hh_live_??????")
    assert not revoke_key(database, "%")
    assert names_in_use(database) == ["shop"]
    assert revoke_key(database, "shop")
    assert not revoke_key(database, "shop")


def test_prefix_is_case_sensitive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _bytes: "AbCdEf" + "x" * 37)
    make_key(database, "shop")
    assert not revoke_key(database, "hh_live_aBcDeF")
    assert revoke_key(database, "hh_live_AbCdEf")


def test_ambiguous_prefix_is_refused_with_the_matching_prefixes(
    database: Database,
) -> None:
    keys = [make_key(database, name) for name in ("shop", "bank")]
    with pytest.raises(BadRequest) as refused:
        revoke_key(database, "hh_live_")
    assert all(key[:14] in str(refused.value) for key in keys)
    assert names_in_use(database) == ["shop", "bank"]


def test_name_equal_to_another_keys_prefix_is_refused(database: Database) -> None:
    key = make_key(database, "shop")
    make_key(database, key[:14])
    with pytest.raises(BadRequest):
        revoke_key(database, key[:14])
    with pytest.raises(BadRequest):
        owner_of(database, key[:14])
    assert names_in_use(database) == ["shop", key[:14]]


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "shop", " shop ", "\u202eevil"])
def test_ambiguous_name_is_refused(database: Database, name: str) -> None:
    make_key(database, "shop")
    with pytest.raises(BadRequest):
        make_key(database, name)
    assert names_in_use(database) == ["shop"]


@pytest.mark.parametrize("name", ["API_KEY", "environment", " environment "])
def test_names_of_the_environment_key_are_refused(database: Database, name: str) -> None:
    with pytest.raises(BadRequest, match="means the key of API_KEY"):
        make_key(database, name)


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_name_of_an_ended_key_can_be_reused(database: Database, end: str) -> None:
    make_key(database, "shop", now=NOW, expires_at=NOW + 1)
    if end == "revoked":
        revoke_key_at(database, "shop", NOW)
    make_key(database, "shop", now=NOW + (end == "expired"))
    assert names_in_use(database, NOW + 1) == ["shop"]


@pytest.mark.parametrize("scopes", [[], ["everything"], ["send", ""]])
def test_key_without_a_known_scope_is_refused(database: Database, scopes: Iterable[str]) -> None:
    with database.write() as connection, pytest.raises(BadRequest):
        api_keys.create(connection, "shop", scopes, now=NOW)
    assert names_in_use(database) == []


def test_default_scopes_are_send_verify_and_read(database: Database) -> None:
    assert row_of(database, make_key(database, "shop")).scopes == "send verify read"


def test_test_key_gets_scope_sandbox_but_never_admin(database: Database) -> None:
    key = make_key(database, "trial", "send", is_test=True)
    assert row_of(database, key).scopes == "send sandbox"
    with pytest.raises(BadRequest, match="admin"):
        make_key(database, "other", "admin", is_test=True)


def test_settings_are_stored_normalized_and_described(database: Database) -> None:
    key = make_key(
        database,
        "shop",
        "read",
        "send",
        limits="per-prefix=0  per_number=5/1h,1/30s",
        networks=["192.0.2.7", " 2001:DB8::/32", "10.1.2.3/8", "192.0.2.7"],
        hides_code=True,
        may_link_verify=True,
        code_length=7,
        expires_at=NOW + DAY_MS,
        now=NOW,
    )
    row = row_of(database, key)
    assert (row.scopes, row.hides_code, row.may_link_verify) == ("send read", True, True)
    assert row.limits == "per_number=1/30s,5/1h per_prefix=0"
    assert row.networks == "192.0.2.7 2001:db8::/32 10.0.0.0/8"
    assert api_keys.described(row).english() == (
        "send, read; per_number=1/30s,5/1h per_prefix=0; "
        "from 192.0.2.7 2001:db8::/32 10.0.0.0/8; 7 digits; codes hidden; may verify by link; "
        "expires 2023-11-15T22:13:20.000Z"
    )
    plain = row_of(database, make_key(database, "plain"))
    assert (plain.limits, plain.networks, plain.expires_at) == (None, None, None)
    assert api_keys.described(plain).english() == "send, verify, read"


@pytest.mark.parametrize(
    ("scopes", "is_checked_here"),
    [(["send", "verify", "read"], True), (["admin"], True), (["send", "read"], False)],
)
def test_codes_that_are_checked_here_are_longer_and_hidden(
    database: Database, scopes: list[str], *, is_checked_here: bool
) -> None:
    row = row_of(database, make_key(database, "shop", *scopes, hides_code=None))
    assert row.hides_code is is_checked_here
    assert (row.code_length, row.usual_code_length) == (None, 6 if is_checked_here else None)
    key = api_keys.caller(row)
    assert (key.digits(None), key.digits(5)) == (6 if is_checked_here else 4, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": ["somewhere"]},
        {"networks": ["192.0.2.0/33"]},
        {"networks": [""]},
        {"networks": [f"192.0.2.{last}" for last in range(51)]},
        {"limits": "per_number=often"},
        {"limits": "per_moon=1/1h"},
        {"expires_at": NOW},
        {"code_length": 3},
        {"code_length": 11},
    ],
)
def test_invalid_setting_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        make_key(database, "shop", **{"now": NOW, **wrong})
    assert names_in_use(database) == []


def test_rotation_keeps_the_settings_and_ends_the_old_secret(database: Database) -> None:
    chosen = {"limits": "per_key=9/1h", "hides_code": True, "code_length": 7}
    old = make_key(database, "shop", "send", "verify", now=NOW, **chosen)
    before = row_of(database, old)
    new = rotated(database, before.owner, overlap_ms=HOUR_MS, now=NOW + 5)
    after = row_of(database, new.key)
    kept = set(api_keys.KEPT_BY_ROTATION)
    assert kept == set(before._fields) - OF_ONE_SECRET
    assert [getattr(after, one) for one in kept] == [getattr(before, one) for one in kept]
    assert (after.created_at, after.expires_at, after.last_used_at) == (NOW + 5, None, None)
    assert (new.name, new.earlier_end_at) == ("shop", NOW + 5 + HOUR_MS)
    assert row_of(database, old).expires_at == NOW + 5 + HOUR_MS
    assert new.key not in repr(new)


def test_zero_overlap_ends_the_old_secret_at_once(database: Database) -> None:
    key = make_key(database, "shop", now=NOW)
    rotated(database, key[:14], overlap_ms=0)
    assert row_of(database, key).expires_at == NOW
    assert names_in_use(database) == ["shop"]


def test_second_rotation_never_prolongs_an_ending_secret(database: Database) -> None:
    first = make_key(database, "shop", now=NOW)
    second = rotated(database, first[:14], overlap_ms=HOUR_MS).key
    rotated(database, first[:14], overlap_ms=DAY_MS)
    assert row_of(database, first).expires_at == NOW + HOUR_MS
    assert row_of(database, second).expires_at == NOW + DAY_MS


def test_rotated_key_gets_the_same_lifetime_again(database: Database) -> None:
    first = make_key(database, "shop", now=NOW, expires_at=NOW + 10 * DAY_MS)
    then = NOW + 9 * DAY_MS
    second = rotated(database, first[:14], overlap_ms=30 * DAY_MS, now=then)
    assert row_of(database, second.key).expires_at == then + 10 * DAY_MS
    assert row_of(database, first).expires_at == NOW + 10 * DAY_MS


def test_end_of_an_overlap_is_not_inherited_as_expiry(database: Database) -> None:
    first = make_key(database, "shop", now=NOW)
    leaked = rotated(database, first[:14], overlap_ms=DAY_MS)
    assert revoke_key_at(database, leaked.key, NOW) == "shop"
    third = rotated(database, first[:14], overlap_ms=0)
    assert row_of(database, third.key).expires_at is None


@pytest.mark.parametrize("overlap_ms", [-1, 30 * DAY_MS + 1])
def test_overlap_is_bounded(database: Database, overlap_ms: int) -> None:
    key = make_key(database, "shop", now=NOW)
    with pytest.raises(BadRequest):
        rotate(database, key[:14], overlap_ms=overlap_ms)
    assert row_of(database, key).expires_at is None


def test_ended_or_unknown_key_cannot_be_rotated(database: Database) -> None:
    key = make_key(database, "shop", now=NOW, expires_at=NOW + 1)
    assert rotate(database, "hh_live_nobody") is None
    assert rotate(database, "environment") is None
    assert rotate(database, key[:14], now=NOW + 1) is None


def test_revoking_by_name_ends_all_secrets_and_by_prefix_one(database: Database) -> None:
    first = make_key(database, "shop", now=NOW)
    second = rotated(database, first[:14]).key
    assert owner_of(database, "shop") == owner_of(database, second[:14]) == first[:14]
    assert revoke_key_at(database, first[:14], NOW) == "shop"
    assert row_of(database, second).revoked_at is None
    third = rotated(database, first[:14]).key
    assert revoke_key_at(database, "shop", NOW) == "shop"
    assert row_of(database, third).revoked_at == NOW
    assert names_in_use(database) == []


def test_revoking_an_owner_whose_first_secret_ended_ends_the_others(database: Database) -> None:
    first = make_key(database, "shop", now=NOW)
    rotated(database, first[:14], overlap_ms=0)
    rotated(database, first[:14])
    assert revoke_key_at(database, first[:14], NOW) == "shop"
    assert names_in_use(database) == []


def test_admin_only_key_does_not_count_as_a_sending_key(database: Database) -> None:
    def may_any_send(now: int = NOW) -> bool:
        with database.read() as connection:
            return api_keys.any_in_use(connection, now=now)

    make_key(database, "office", "admin")
    assert not may_any_send()
    make_key(database, "shop", expires_at=NOW + 1, now=NOW)
    assert may_any_send()
    assert not may_any_send(NOW + 1)


def test_test_keys_count_as_in_use_until_they_end(database: Database) -> None:
    def is_any_in_use(now: int = NOW) -> bool:
        with database.read() as connection:
            return api_keys.any_test_in_use(connection, now=now)

    make_key(database, "hh_test_ is only its name")
    assert not is_any_in_use()
    make_key(database, "trial", is_test=True, expires_at=NOW + 1, now=NOW)
    assert is_any_in_use()
    assert not is_any_in_use(NOW + 1)


def test_owner_name_outlives_its_key(database: Database) -> None:
    key = make_key(database, "shop")
    revoke_key(database, "shop")
    with database.read() as connection:
        assert api_keys.name_of(connection, key[:14]) == "shop"
        assert api_keys.name_of(connection, "hh_live_nobody") is None


NAMES = ("shop", "bank")
SPANS_MS = (0, 1, HOUR_MS, DAY_MS, 30 * DAY_MS)
LIFETIMES = (None, HOUR_MS + 1, 3 * DAY_MS)


class KeysMachine(RuleBasedStateMachine):
    """Keys created, rotated and revoked over time, compared with a plain model.

    The model knows the owner and the end of each secret. The cache reads the database only after
    changes, so a cached secret must end by time alone.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        with database.write() as connection:
            connection.execute(delete(tables.api_keys))
        self.now = NOW
        self.cache = ApiKeyCache(database, None, clock=lambda: self.now)
        self.owners: dict[str, str] = {}  # of the secrets
        self.names: dict[str, str] = {}  # of the owners
        self.ends: dict[str, float] = {}
        self.lifetimes: dict[str, float] = {}  # of the owners

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # A single rule: Hypothesis disables some rules in each run, and most paths need many.
        events = ["make", "wait"]
        if self.working():
            events += ["rotate", "rotate", "rotate", "revoke_name", "revoke_secret"]
        getattr(self, data.draw(st.sampled_from(events)))(data)

    def working(self) -> list[str]:
        return [key for key, end in self.ends.items() if end > self.now]

    def owner_named(self, name: str) -> str | None:
        owners = {self.owners[key] for key in self.working()}
        return next((owner for owner in owners if self.names[owner] == name), None)

    def keep(self, key: str, owner: str) -> None:
        self.owners[key] = owner
        self.ends[key] = self.now + self.lifetimes[owner]
        self.cache._renew()

    def make(self, data: st.DataObject) -> None:
        name, lifetime = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(LIFETIMES))
        expires_at = None if lifetime is None else self.now + lifetime
        if self.owner_named(name) is not None:
            with pytest.raises(BadRequest):
                make_key(self.database, name, now=self.now, expires_at=expires_at)
            return
        key = make_key(self.database, name, now=self.now, expires_at=expires_at)
        self.lifetimes[key[:14]] = float("inf") if lifetime is None else lifetime
        self.names[key[:14]] = name
        self.keep(key, key[:14])

    def rotate(self, data: st.DataObject) -> None:
        name, overlap_ms = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(SPANS_MS))
        owner = self.owner_named(name)
        assert owner_of(self.database, name, self.now) == owner
        if owner is None:
            return
        end = min(
            self.now + overlap_ms,
            max(self.ends[key] for key in self.working() if self.owners[key] == owner),
        )
        new = rotated(self.database, owner, overlap_ms=overlap_ms, now=self.now)
        assert (new.name, new.earlier_end_at) == (name, end)
        for key, whose in self.owners.items():
            if whose == owner:
                self.ends[key] = min(self.ends[key], end)
        self.keep(new.key, owner)

    def revoke_name(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(NAMES))
        owner = self.owner_named(name)
        ended = revoke_key_at(self.database, name, self.now)
        assert ended == (None if owner is None else name)
        for key, whose in self.owners.items():
            if whose == owner:
                self.ends[key] = min(self.ends[key], self.now)
        self.cache._renew()

    def revoke_secret(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.working()))
        assert revoke_key_at(self.database, key, self.now) == self.names[self.owners[key]]
        self.ends[key] = self.now
        self.cache._renew()

    def wait(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from(SPANS_MS))

    @invariant()
    def works_what_should(self) -> None:
        found = {key: self.cache.identify(key) for key in self.owners}
        seen = {key: caller.owner for key, caller in found.items() if caller is not None}
        assert seen == {key: self.owners[key] for key in self.working()}
        names = sorted(self.names[self.owners[key]] for key in self.working())
        assert sorted(names_in_use(self.database, self.now)) == names


def test_exactly_the_valid_secrets_work_after_any_sequence(database: Database) -> None:
    run_state_machine_as_test(
        lambda: KeysMachine(database),  # type: ignore[arg-type] # a factory is documented too
        settings=settings(
            max_examples=20 if database.is_sqlite else 8,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
