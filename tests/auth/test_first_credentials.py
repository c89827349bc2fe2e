"""The first credentials: created once and kept private."""

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from conftest import settings
from hudhud.app import credentials_of
from hudhud.auth import admin_password, api_keys, audit_log
from hudhud.auth.first_credentials import (
    FirstCredentials,
    GivenCredentials,
    announce,
    ensure_credentials,
)
from hudhud.core.errors import StartRefused
from hudhud.db.engine import Database
from hudhud.verification.build import secret_of
from support.keys import make_key, revoke_key

pytestmark = pytest.mark.usefixtures("cheap_hashes")

DATA = Path("data")
ONE = "secret number one, long enough"
TWO = "secret number two, long enough"
KNOWN = {"api_key": "known", "admin_password": "known"}


def keep(_made: FirstCredentials) -> None:
    """Accept the credentials."""


def ensure(database: Database, **changes: Any) -> FirstCredentials | None:
    """Start once with these settings."""
    chosen = settings(**{"session_secret": ONE, **changes})
    return ensure_credentials(
        database,
        credentials_of(chosen),
        keep,
        secret=secret_of(chosen),
        previous_secret=chosen.session_secret_previous,
    )


def stored(database: Database, query: str) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(text(query)))


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_wrong_previous_secret_is_rejected(database: Database) -> None:
    ensure(database, **KNOWN)
    with pytest.raises(StartRefused):
        ensure(database, **KNOWN, session_secret=TWO, session_secret_previous=TWO)


def test_first_start_creates_a_key_and_an_admin_and_stores_only_hashes(
    database: Database,
) -> None:
    made = ensure(database, admin_username="amal")
    assert made is not None
    assert made.api_key is not None
    assert made.admin_password is not None
    ((username, password_hash),) = stored(database, "SELECT username, password_hash FROM admins")
    assert username == "amal"
    assert password_hash.startswith("$argon2id$")
    assert PasswordHasher().verify(password_hash, made.admin_password)
    ((name, prefix),) = stored(database, "SELECT name, prefix FROM api_keys")
    assert (name, prefix) == ("first", made.api_key[:14])


def test_second_start_creates_nothing(database: Database) -> None:
    ensure(database)
    assert ensure(database) is None


@pytest.mark.parametrize(
    ("known", "missing"), [("api_key", "admin_password"), ("admin_password", "api_key")]
)
def test_configured_credentials_are_not_created(
    database: Database, known: str, missing: str
) -> None:
    made = ensure(database, **{known: "known"})
    assert made is not None
    assert getattr(made, known) is None
    assert getattr(made, missing) is not None


def test_new_key_is_created_when_every_key_was_revoked(database: Database) -> None:
    ensure(database)
    revoke_key(database, "first")
    made = ensure(database)
    assert made is not None
    assert made.api_key is not None
    assert made.admin_password is None


def test_first_key_avoids_the_name_of_a_key_that_cannot_send(database: Database) -> None:
    for name in ("first", "first-2"):
        make_key(database, name, "read")
    made = ensure(database)
    assert made is not None
    assert made.api_key is not None
    with database.read() as connection:
        assert api_keys.stored(connection, made.api_key).name == "first-3"
        notes = audit_log.page(connection, what="keys", text=None, before=None, limit=10)
    assert [note.subject for note in notes] == ["first-3"]


def test_simultaneous_starts_create_the_credentials_once(database: Database) -> None:
    count = 4
    barrier = threading.Barrier(count)
    made: list[FirstCredentials | None] = []

    def start() -> None:
        barrier.wait()
        made.append(ensure(database))

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == count
    assert len([one for one in made if one is not None]) == 1
    assert len(stored(database, "SELECT * FROM api_keys")) == 1


def test_credentials_that_could_not_be_shown_are_not_stored(database: Database) -> None:
    Path("data").touch()  # a file in place of the folder

    def write_to_a_file(made: FirstCredentials) -> None:
        announce(made, DATA)

    with pytest.raises(StartRefused, match="cannot be written"):
        ensure_credentials(
            database,
            GivenCredentials("admin"),
            write_to_a_file,
            secret=ONE,
            previous_secret=None,
        )
    assert stored(database, "SELECT * FROM api_keys") == []
    assert stored(database, "SELECT * FROM admins") == []
    assert ensure(database) is not None


def test_password_is_strong_and_unambiguous_to_read() -> None:
    password = admin_password.make_password()
    assert [len(group) for group in password.split("-")] == [5, 5, 5, 5]
    assert not set("01iloIO") & set(password)
    assert len(admin_password.PASSWORD_ALPHABET) ** 20 > 2**80
    assert admin_password.make_password() != password


def test_repr_hides_the_credentials() -> None:
    made = FirstCredentials("amal", api_key="hunter2", admin_password="hunter2")
    assert "hunter2" not in f"{made!r} {made}"


class Terminal(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_credentials_are_printed_and_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    announce(FirstCredentials("amal", api_key="hh_live_x", admin_password="pass"), DATA)
    assert all(part in terminal.getvalue() for part in ("hh_live_x", "amal", "pass"))
    assert not Path("data").exists()


def test_without_a_terminal_credentials_go_to_a_private_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    announce(FirstCredentials("amal", api_key="hh_live_x", admin_password="hunter2"), DATA)
    file = Path("data/first-credentials.txt")
    assert mode(file) == 0o600
    assert "hunter2" in file.read_text(encoding="utf-8")
    said = "".join(capsys.readouterr())
    assert "first-credentials.txt" in said
    assert "hunter2" not in said
    assert "hh_live_x" not in said


def test_later_credentials_are_appended_and_make_the_file_private() -> None:
    file = Path("data/first-credentials.txt")
    file.parent.mkdir()
    file.write_text("before\n", encoding="utf-8")
    file.chmod(0o644)
    announce(FirstCredentials("amal", api_key="hh_live_x"), DATA)
    content = file.read_text(encoding="utf-8")
    assert content.startswith("before\n")
    assert "hh_live_x" in content
    assert "Admin" not in content
    assert mode(file) == 0o600


def test_symbolic_link_in_place_of_the_file_is_not_followed() -> None:
    Path("data").mkdir()
    Path("data/first-credentials.txt").symlink_to(Path("elsewhere").absolute())
    with pytest.raises(StartRefused):
        announce(FirstCredentials("amal", api_key="hh_live_x"), DATA)
    assert not Path("elsewhere").exists()
