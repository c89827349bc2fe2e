"""Cookies of known browsers: signed, and bound to name, password and secret."""

import pytest

from hudhud.auth import admin_password
from hudhud.auth.admin_password import AdminPassword
from hudhud.auth.known_browsers import LIFETIME_MS, KnownBrowsers
from hudhud.db.engine import Database

NOW = 1_800_000_000_000
SECRET = "the secret of the browsers"
BEFORE = "the secret before it, unused"


class Admin:
    """An admin and the browsers of one process."""

    def __init__(
        self,
        database: Database,
        *,
        username: str = "admin",
        password: str | None = "correct horse",
        secret: str = SECRET,
        previous: str | None = None,
    ) -> None:
        self._database = database
        self._browsers = KnownBrowsers(secret, previous)
        self._password = AdminPassword(
            username, of_environment=password, secret=secret, previous_secret=previous
        )

    def cookie(self, browser: str | None = None) -> str:
        with self._database.read() as connection:
            mark = self._password.mark(connection)
        return self._browsers.cookie(browser, password_mark=mark, now=NOW)

    def find(self, cookie: str, *, now: int = NOW) -> str | None:
        with self._database.read() as connection:
            marks = self._password.marks(connection)
        return self._browsers.find(cookie, password_marks=marks, now=now)


def test_browser_keeps_its_id_at_each_login(database: Database) -> None:
    admin = Admin(database)
    cookie = admin.cookie()
    browser = admin.find(cookie)
    assert browser is not None
    assert admin.find(admin.cookie(browser)) == browser
    assert admin.find(admin.cookie()) not in (None, browser)
    assert Admin(database).find(cookie) == browser, "other processes know it"


def test_cookie_expires_after_a_year(database: Database) -> None:
    admin = Admin(database)
    cookie = admin.cookie()
    assert admin.find(cookie, now=NOW + LIFETIME_MS - 1) is not None
    assert admin.find(cookie, now=NOW + LIFETIME_MS) is None


def test_another_name_password_or_secret_ends_it(database: Database) -> None:
    cookie = Admin(database).cookie()
    for other in (
        Admin(database, username="amal"),
        Admin(database, password="another horse"),
        Admin(database, password=None),
        Admin(database, secret=BEFORE),
    ):
        assert other.find(cookie) is None


def test_new_stored_password_ends_it(database: Database) -> None:
    def store(password_hash: str) -> None:
        with database.write() as connection:
            admin_password.store(connection, username="admin", password_hash=password_hash)

    admin = Admin(database, password=None)
    store("one hash")
    cookie = admin.cookie()
    assert admin.find(cookie) is not None
    store("another hash")
    assert admin.find(cookie) is None


def test_change_of_the_secret_keeps_it(database: Database) -> None:
    cookie = Admin(database, secret=BEFORE).cookie()
    during = Admin(database, secret=SECRET, previous=BEFORE)
    browser = during.find(cookie)
    assert browser is not None
    assert Admin(database).find(during.cookie(browser)) == browser
    assert Admin(database).find(cookie) is None


@pytest.mark.parametrize("place", ["id", "end", "signature"])
def test_changed_cookie_is_unknown(database: Database, place: str) -> None:
    admin = Admin(database)
    name, ends_at, signature = admin.cookie("A" * 22).split(".")
    changed = {
        "id": f"{'B' * 22}.{ends_at}.{signature}",
        "end": f"{name}.{int(ends_at) + 1}.{signature}",
        "signature": f"{name}.{ends_at}.{'A' * 43}=",
    }[place]
    assert admin.find(changed) is None


def test_malformed_cookie_is_unknown(database: Database) -> None:
    admin = Admin(database)
    cookie = admin.cookie()
    for text in (
        "",
        ".",
        "..",
        "\udcff",
        "٣" * 9,
        cookie + "x",
        cookie[:-1],
        f" {cookie}",
        f"{cookie}\n",
    ):
        assert admin.find(text) is None
