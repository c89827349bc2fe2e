"""`hudhud admin`: passwords and unlocking, each recorded in the audit."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hudhud.auth import admin_password, audit_log, login_attempts, second_factor
from hudhud.auth.admin_password import AdminPassword
from hudhud.auth.first_credentials import CREDENTIALS_FILE, FirstCredentials, announce
from hudhud.auth.login_origins import origin_of_address
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher
from support.command_line import Installation, Run

PASSWORD = "correct horse battery"
Types = Callable[[str], None]


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Types:
    """Replace the standard input by a text."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def is_right(installation: Installation, password: str) -> bool:
    judge = AdminPassword("admin", of_environment=None, secret="any secret", previous_secret=None)
    with installation.database.read() as connection:
        stored = judge.stored(connection)
    return judge.is_right("admin", password, stored=stored)


def notes(installation: Installation) -> list[tuple[str, str, str | None, str | None]]:
    with installation.database.read() as connection:
        rows = audit_log.page(connection, limit=10)
    return [(row.who, row.what, row.subject, row.address) for row in rows]


def fail_to_log_in(installation: Installation, *addresses: str) -> None:
    database = installation.database
    for address in addresses:
        with database.write() as connection:
            login_attempts.reserve(
                connection,
                origin=origin_of_address(address),
                username="admin",
                now=now_ms(),
            )


def test_password_is_read_from_standard_input(
    run: Run, installation: Installation, types: Types
) -> None:
    types(f"{PASSWORD}\nand another line\n")
    ended = run("admin", "set-password")
    assert (ended.code, ended.err) == (0, "")
    assert PASSWORD not in ended.out
    assert is_right(installation, PASSWORD)
    assert notes(installation) == [("cli", "password_changed", "admin", None)]


def test_first_password_leaves_the_file_of_the_first_credentials(
    run: Run, installation: Installation, types: Types, tmp_path: Path
) -> None:
    first = FirstCredentials("admin", api_key="hh_live_first", admin_password="the-first-one")
    data = tmp_path / "data"
    announce(first, data)
    types(PASSWORD)
    assert run("admin", "set-password").code == 0
    left = (data / CREDENTIALS_FILE).read_text()
    assert "the-first-one" not in left
    assert "hh_live_first" in left
    assert is_right(installation, PASSWORD)


def test_new_password_replaces_the_first(
    run: Run, installation: Installation, types: Types
) -> None:
    types(PASSWORD)
    run("admin", "set-password")
    types("another long password\r\n")
    run("admin", "set-password")
    assert is_right(installation, "another long password")
    assert not is_right(installation, PASSWORD)


@pytest.mark.parametrize("text", ["", "\n", "short\n", "x" * 2000])
def test_invalid_password_changes_nothing(
    run: Run, installation: Installation, types: Types, text: str
) -> None:
    types(text)
    ended = run("admin", "set-password")
    assert ended.code == 2
    assert "characters" in ended.err
    with installation.database.read() as connection:
        assert admin_password.stored_hash(connection, "admin") is None
    assert notes(installation) == []


def test_terminal_prompts_for_the_password_twice(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([PASSWORD, "something else", PASSWORD, PASSWORD])
    monkeypatch.setattr("hudhud.cli.admin.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    ended = run("admin", "set-password")
    assert ended.code == 2
    assert "differ" in ended.err
    assert run("admin", "set-password").code == 0
    assert is_right(installation, PASSWORD)


@pytest.mark.usefixtures("installation")
def test_password_of_the_environment_can_only_be_changed_there(
    run: Run, types: Types, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "of the environment")
    types(PASSWORD)
    ended = run("admin", "set-password")
    assert ended.code == 2
    assert "ADMIN_PASSWORD" in ended.err


def test_password_can_be_set_before_the_first_start(run: Run, types: Types) -> None:
    types(PASSWORD)
    assert run("admin", "set-password").code == 0
    assert is_right(Installation(), PASSWORD)


def test_unlock_releases_one_address(run: Run, installation: Installation) -> None:
    fail_to_log_in(installation, "192.0.2.1", "192.0.2.1", "192.0.2.2")
    assert run("admin", "unlock", "192.0.2.1").out == "Failed logins cleared: 2.\n"
    assert run("admin", "unlock", "192.0.2.1").out == "Failed logins cleared: 0.\n"
    assert notes(installation)[0] == ("cli", "unlocked", "192.0.2.1", None)


def test_unlock_releases_every_address(run: Run, installation: Installation) -> None:
    fail_to_log_in(installation, "192.0.2.1", "2001:db8::1", "192.0.2.2")
    assert run("admin", "unlock").out == "Failed logins cleared: 3.\n"


def test_second_factor_is_reset(run: Run, installation: Installation) -> None:
    ended = run("admin", "reset-second-factor")
    assert (ended.code, notes(installation)) == (1, [])
    with installation.database.write() as connection:
        second_factor.begin_setup(connection, Cipher("test", "a secret"), "admin")
    assert run("admin", "reset-second-factor").code == 0
    assert notes(installation) == [("cli", "second_factor_off", "admin", None)]


@pytest.mark.parametrize("command", ["unlock", "reset-second-factor"])
def test_without_an_installation_there_is_nothing_to_unlock(run: Run, command: str) -> None:
    ended = run("admin", command)
    assert ended.code == 1
    assert "hudhud serve" in ended.err
