"""`hudhud keys`: made, shown once, listed, revoked."""

from pathlib import Path

import pytest

from hudhud import api_keys, audit
from support.command_line import Installation, Run


def test_a_key_is_printed_once_and_recognised(run: Run, installation: Installation) -> None:
    ended = run("keys", "create", "webshop")
    assert ended.code == 0
    key = ended.out.strip()
    ring = api_keys.KeyRing(installation.database, None)
    ring.start()
    assert ring.identify(key) == api_keys.readable_prefix(key)
    ring.stop()
    listed = run("keys", "list").out
    assert "webshop" in listed
    assert key not in listed


def test_keys_can_be_made_before_the_first_start(run: Run, tmp_path: Path) -> None:
    assert run("keys", "create", "webshop").code == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "hudhud.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("name", ["webshop", ""])
def test_a_name_that_cannot_be_taken_ends_with_two(run: Run, name: str) -> None:
    run("keys", "create", "webshop")
    assert run("keys", "create", name).code == 2
    assert len(run("keys", "list").out.splitlines()) == 1


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("by", ["name", "prefix"])
def test_a_key_is_revoked_by_name_or_prefix(run: Run, by: str) -> None:
    key = run("keys", "create", "webshop").out.strip()
    prefix = api_keys.readable_prefix(key)
    shown = f"{prefix}…" if by == "prefix" else "webshop"
    assert run("keys", "revoke", shown).code == 0
    assert "revoked" in run("keys", "list").out
    again = run("keys", "revoke", shown)
    assert again.code == 1
    assert "hudhud keys list" in again.err


@pytest.mark.usefixtures("installation")
def test_a_key_may_send_unless_it_is_told_otherwise(run: Run) -> None:
    run("keys", "create", "webshop")
    run("keys", "create", "backoffice", "--scope", "admin", "--scope", "send")
    webshop, backoffice = run("keys", "list").out.splitlines()
    assert "  webshop  send  made " in webshop
    assert "  backoffice  send admin  made " in backoffice


@pytest.mark.usefixtures("installation")
def test_an_unknown_scope_ends_with_two(run: Run) -> None:
    ended = run("keys", "create", "webshop", "--scope", "everything")
    assert ended.code == 2
    assert "send, admin" in ended.err
    assert not run("keys", "list").out


def test_making_and_revoking_are_audited(run: Run, installation: Installation) -> None:
    key = run("keys", "create", "webshop").out.strip()
    run("keys", "create", "webshop")
    run("keys", "revoke", api_keys.readable_prefix(key))
    run("keys", "revoke", "webshop")
    with installation.database.read() as connection:
        rows = audit.page(connection, limit=10)
    assert [(row.who, row.what, row.subject) for row in rows] == [
        ("cli", "key_revoked", "webshop"),
        ("cli", "key_made", "webshop"),
    ]
