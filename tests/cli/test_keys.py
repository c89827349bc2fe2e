"""`hudhud keys`: created, shown once, listed, rotated, revoked."""

import re
from pathlib import Path
from typing import Any

import pytest

from hudhud.auth import api_keys, audit_log
from hudhud.auth.api_key_cache import ApiKeyCache
from hudhud.auth.caller import Caller
from hudhud.core.clock import HOUR_MS, now_ms
from support.command_line import Installation, Run, rows


def who_presents(installation: Installation, key: str) -> Caller | None:
    """Return the owner that a server recognizes by this key."""
    cache = ApiKeyCache(installation.database, None)
    cache.start()
    try:
        return cache.identify(key)
    finally:
        cache.stop()


def stored(installation: Installation, key: str) -> Any:
    """Return the stored row of a secret."""
    with installation.database.read() as connection:
        return api_keys.stored(connection, key)


def notes(installation: Installation) -> list[tuple[str, str, str | None]]:
    """Return actor, action and key of the audit entries, newest first."""
    with installation.database.read() as connection:
        return [(row.who, row.what, row.subject) for row in audit_log.page(connection, limit=10)]


def details(installation: Installation) -> list[str | None]:
    """Return the details of the audit entries, newest first."""
    with installation.database.read() as connection:
        return [row.detail for row in audit_log.page(connection, limit=10)]


def test_key_is_printed_once_and_recognised(run: Run, installation: Installation) -> None:
    ended = run("keys", "create", "webshop")
    assert ended.code == 0
    key = ended.out.strip()
    caller = who_presents(installation, key)
    assert caller is not None
    assert (caller.name, caller.owner) == ("webshop", api_keys.readable_prefix(key))
    listed = run("keys", "list").out
    assert "webshop" in listed
    assert key not in listed


def test_keys_can_be_created_before_the_first_start(run: Run, tmp_path: Path) -> None:
    assert run("keys", "create", "webshop").code == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "hudhud.db").stat().st_mode & 0o777 == 0o600


def test_every_option_is_stored_and_audited(run: Run, installation: Installation) -> None:
    before = now_ms()
    ended = run(
        *("keys", "create", "webshop", "--scope", "verify", "--scope", "send"),
        *("--limit", "per_number=2/1m,9/1h", "--limit", "per_prefix=0"),
        *("--show-code", "--allow-link-verify", "--length", "8"),
        *("--from", "192.0.2.7", "--from", "2001:db8::/32", "--expires-in", "90d"),
    )
    assert ended.code == 0
    row = stored(installation, ended.out.strip())
    assert (row.scopes, row.hides_code, row.may_link_verify) == ("send verify", False, True)
    assert row.code_length == 8
    assert row.limits == "per_number=2/1m,9/1h per_prefix=0"
    assert row.networks == "192.0.2.7 2001:db8::/32"
    assert before + 90 * 24 * HOUR_MS <= row.expires_at <= now_ms() + 90 * 24 * HOUR_MS
    settings = api_keys.described(row).english()
    assert details(installation) == [f"Scopes: {settings}."]
    (listed,) = rows(run("keys", "list"))
    assert [listed[1], *listed[3:]] == ["webshop", "never", "in use, ends in 89 d", settings]
    hiding = run("keys", "create", "other", "--scope", "send", "--hide-code").out.strip()
    assert stored(installation, hiding).hides_code


def test_test_key_is_marked_and_gets_the_sandbox(run: Run, installation: Installation) -> None:
    key = run("keys", "create", "trial", "--test", "--scope", "send").out.strip()
    assert key.startswith("hh_test_")
    caller = who_presents(installation, key)
    assert caller is not None
    assert caller.is_test
    assert caller.scopes == {"send", "sandbox"}


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("name", ["webshop", "", "API_KEY", "environment"])
def test_unavailable_name_exits_with_two(run: Run, name: str) -> None:
    run("keys", "create", "webshop")
    assert run("keys", "create", name).code == 2
    assert len(rows(run("keys", "list"))) == 1


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scope", "everything"), "send, verify, read, sandbox, admin"),
        (("--test", "--scope", "admin"), "admin"),
        (("--limit", "per_number"), "per_number"),
        (("--limit", "per_moon=1/1h"), "per_moon"),
        (("--from", "the office"), "192.0.2.0/24"),
        (("--expires-in", "soon"), "90d"),
        (("--expires-in", "0d"), "future"),
        (("--expires-in", "-1d"), "90d"),
        (("--expires-in", "90"), "a number and a unit"),
    ],
)
def test_invalid_option_exits_with_two_and_creates_nothing(
    run: Run, options: tuple[str, ...], said: str
) -> None:
    ended = run("keys", "create", "webshop", *options)
    assert ended.code == 2
    assert said in ended.err
    assert not run("keys", "list").out


@pytest.mark.usefixtures("installation")
def test_empty_list_names_the_next_command(run: Run) -> None:
    ended = run("keys", "list")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "There is no key yet. Create one with: hudhud keys create NAME\n"


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("by", ["name", "prefix"])
def test_key_is_revoked_by_name_or_prefix(run: Run, by: str) -> None:
    key = run("keys", "create", "webshop").out.strip()
    prefix = api_keys.readable_prefix(key)
    shown = f"{prefix}…" if by == "prefix" else "webshop"
    assert run("keys", "revoke", shown).code == 0
    assert rows(run("keys", "list"))[0][4].startswith("revoked ")
    again = run("keys", "revoke", shown)
    assert again.code == 1
    assert "hudhud keys list" in again.err


@pytest.mark.usefixtures("installation")
def test_default_scopes_are_send_verify_and_read(run: Run) -> None:
    run("keys", "create", "webshop")
    run("keys", "create", "backoffice", "--scope", "admin", "--scope", "send")
    webshop, backoffice = rows(run("keys", "list"))
    assert [webshop[1], *webshop[3:]] == [
        "webshop",
        "never",
        "in use",
        "send, verify, read; codes hidden",
    ]
    assert [backoffice[1], *backoffice[3:]] == [
        "backoffice",
        "never",
        "in use",
        "send, admin; codes hidden",
    ]


@pytest.mark.parametrize("named", ["webshop", "its beginning"])
def test_rotated_key_has_two_secrets_during_the_overlap(
    run: Run, installation: Installation, named: str
) -> None:
    old = run("keys", "create", "webshop").out.strip()
    shown = f"{api_keys.readable_prefix(old)}…" if named == "its beginning" else named
    before = now_ms()
    ended = run("keys", "rotate", shown, "--overlap", "2h")
    assert ended.code == 0
    new = ended.out.strip()
    assert who_presents(installation, new) == who_presents(installation, old)
    end = stored(installation, old).expires_at
    assert before + 2 * HOUR_MS <= end <= now_ms() + 2 * HOUR_MS
    replaced, present = rows(run("keys", "list"))
    assert (replaced[4], present[4]) == ("replaced, ends in 1 h", "in use")
    assert notes(installation)[0] == ("cli", "key_rotated", "webshop")
    detail = details(installation)[0]
    assert detail is not None
    assert re.fullmatch(r"The previous secret works until \S+Z\.", detail)
    assert detail in ended.err


def test_default_overlap_is_one_day(run: Run, installation: Installation) -> None:
    key = run("keys", "create", "webshop").out.strip()
    before = now_ms()
    run("keys", "rotate", "webshop")
    assert 0 <= stored(installation, key).expires_at - before - 24 * HOUR_MS < HOUR_MS


def test_without_an_overlap_the_earlier_secret_ends_at_once(
    run: Run, installation: Installation
) -> None:
    old = run("keys", "create", "webshop").out.strip()
    new = run("keys", "rotate", "webshop", "--overlap", "0s").out.strip()
    assert who_presents(installation, old) is None
    assert who_presents(installation, new) is not None
    ended, present = rows(run("keys", "list"))
    assert (ended[4], present[4]) == ("expired just now", "in use")


def test_refused_rotation_changes_nothing(run: Run, installation: Installation) -> None:
    run("keys", "create", "webshop")
    assert run("keys", "rotate", "webshop", "--overlap", "31d").code == 2
    assert run("keys", "rotate", "webshop", "--overlap", "long").code == 2
    unknown = run("keys", "rotate", "nobody")
    assert unknown.code == 1
    assert "hudhud keys list" in unknown.err
    assert len(rows(run("keys", "list"))) == 1
    assert [what for _, what, _ in notes(installation)] == ["key_made"]


def test_list_shows_the_last_use_including_the_environment_key(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "key of the settings")
    key = run("keys", "create", "webshop").out.strip()
    assert "API_KEY of the settings also works, never used." in run("keys", "list").err
    cache = ApiKeyCache(installation.database, "key of the settings")
    cache.start()
    cache.identify(key)
    cache.identify("key of the settings")
    cache.stop()
    listed = run("keys", "list")
    assert re.fullmatch(r"just now|\d+ s ago", rows(listed)[0][3])
    assert rows(listed)[0][4] == "in use"
    assert "also works, last used just now." in listed.err


def test_creating_and_revoking_are_audited(run: Run, installation: Installation) -> None:
    key = run("keys", "create", "webshop").out.strip()
    run("keys", "create", "webshop")
    run("keys", "revoke", api_keys.readable_prefix(key))
    run("keys", "revoke", "webshop")
    assert notes(installation) == [
        ("cli", "key_revoked", "webshop"),
        ("cli", "key_made", "webshop"),
    ]
    assert key not in str(details(installation))
