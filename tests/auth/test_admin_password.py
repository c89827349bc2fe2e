"""The admin's password, stored or from the environment."""

from typing import Any

import pytest
from argon2 import PasswordHasher

from conftest import settings
from hudhud.app import build_admin_password
from hudhud.auth import admin_password
from hudhud.auth.admin_password import AdminPassword
from hudhud.core.errors import BadRequest
from hudhud.db.engine import Database

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cheap_hashes")]

SECRET = "a secret of these tests"
PASSWORD = "correct horse battery"


def admin(secret: str = SECRET, **changes: Any) -> AdminPassword:
    return build_admin_password(settings(session_secret=secret, **changes))


def store(database: Database, password: str = PASSWORD, username: str = "admin") -> None:
    password_hash = admin_password.hash_password(password)
    with database.write() as connection:
        admin_password.store(connection, username=username, password_hash=password_hash)


def is_right(
    database: Database, judge: AdminPassword, username: str = "admin", password: str = PASSWORD
) -> bool:
    with database.read() as connection:
        stored = judge.stored(connection)
    return judge.is_right(username, password, stored=stored)


def mark(database: Database, judge: AdminPassword) -> bytes:
    with database.read() as connection:
        return judge.mark(connection)


def test_stored_password_is_valid_only_for_its_admin(database: Database) -> None:
    store(database)
    judge = admin()
    assert is_right(database, judge)
    assert not is_right(database, judge, password=PASSWORD + " ")
    assert not is_right(database, judge, username="Admin")
    assert not is_right(database, judge, username="")
    assert not is_right(database, admin(admin_username="other"))


def test_password_of_the_environment_takes_precedence(database: Database) -> None:
    store(database)
    judge = admin(admin_password="of the environment")
    assert not is_right(database, judge)
    assert is_right(database, judge, password="of the environment")
    assert not is_right(database, judge, username="other", password="of the environment")


def test_without_a_password_every_attempt_fails(database: Database) -> None:
    judge = admin()
    assert not is_right(database, judge, password="")
    assert not is_right(database, judge)


@pytest.mark.parametrize("password", ["", "\0", "\udcff", "x" * 16_000, "كلمة السر الطويلة"])
def test_any_text_is_accepted_as_an_attempt(database: Database, password: str) -> None:
    store(database)
    assert not is_right(database, admin(), password=password)


def test_damaged_hash_matches_no_password(database: Database) -> None:
    with database.write() as connection:
        admin_password.store(connection, username="admin", password_hash="no hash")
    assert not is_right(database, admin())


@pytest.mark.parametrize("of_environment", [None, PASSWORD])
def test_every_attempt_costs_one_hash_check(
    database: Database, monkeypatch: pytest.MonkeyPatch, of_environment: str | None
) -> None:
    store(database)
    judge = admin(admin_password=of_environment)
    checked = []
    check = PasswordHasher.verify

    def verify(self: PasswordHasher, stored: str, password: bytes) -> bool:
        checked.append(password)
        return check(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    tried = [("admin", PASSWORD), ("admin", "wrong"), ("stranger", PASSWORD), ("", "")]
    right = [is_right(database, judge, *one) for one in tried]
    assert right == [True, False, False, False]
    assert len(checked) == len(tried)


def test_changed_password_name_or_secret_ends_sessions(database: Database) -> None:
    store(database)
    before = mark(database, admin())
    assert mark(database, admin()) == before
    others = [
        admin(admin_password=PASSWORD),
        admin(admin_password="another one of it"),
        admin(admin_username="other"),
        admin("another secret of these tests"),
    ]
    marks = [mark(database, other) for other in others]
    store(database, "another password")
    marks.append(mark(database, admin()))
    assert len({before, *marks}) == 6


def test_hash_is_as_expensive_as_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_password, "PasswordHasher", PasswordHasher)
    hashed = admin_password.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 1025])
def test_new_password_has_12_to_1024_characters(password: str) -> None:
    with pytest.raises(BadRequest):
        admin_password.hash_password(password)
