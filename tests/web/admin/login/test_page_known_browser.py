"""Browsers that logged in before get in while others take the places and fail."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from hudhud.auth import admin_password
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.web.admin.login.password_slots import PasswordSlots
from hudhud.web.timing import Timing
from support.admin import PASSWORD, USERNAME, Person, log_in_script, script
from support.services import wait_until
from support.web_server import SECONDS, ServeWeb, WebServer

pytestmark = pytest.mark.usefixtures("cheap_hashes")

COOKIE = "hudhud_browser"
# Longer than the client waits: attempts of known browsers must not be delayed.
DELAYED = Timing(login_delay=10 * SECONDS)


@pytest.fixture
def server(serve_web: ServeWeb) -> WebServer:
    """A server behind a proxy, with a few places."""
    return behind_proxy(serve_web)


def behind_proxy(serve_web: ServeWeb, **changes: Any) -> WebServer:
    chosen: dict[str, Any] = {"admin_password": PASSWORD, "timing": Timing(login_delay=0.0)}
    served = serve_web(trusted_proxies="127.0.0.1", **{**chosen, **changes})
    slots = PasswordSlots(8, for_known=2, of_a_site=3)
    served.web.state.access = replace(served.web.state.access, password_slots=slots)
    return served


def of_site(site: int, number: int = 0) -> dict[str, str]:
    """Return the header of an address in the site, each in another /56."""
    return {"X-Forwarded-For": f"2001:db8:{site:x}:{number:x}00::1"}


def known_cookie(server: WebServer) -> str:
    """Log in and out, and return what the browser keeps."""
    with Person(server, **of_site(0xFFFF)) as owner:
        owner.log_in()
        owner.fill("/admin/second-factor", "/admin/logout")
        assert owner.session is None
        return str(owner.client.cookies[COOKIE])


def log_in(server: WebServer, cookie: str | None = None, **headers: str) -> httpx.Response:
    """Log in by form with the right password."""
    with Person(server, **headers) as person:
        if cookie is not None:
            person.client.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/admin")
        return person.log_in()


def guess(server: WebServer, **headers: str) -> int:
    """Return the status of a wrong login without a cookie."""
    with script(server, **headers) as client:
        return log_in_script(client, password="wrong").status_code


@contextmanager
def hashing_stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no check of a password end inside this block."""
    gate = threading.Event()
    check = PasswordHasher.verify

    def verify(hasher: PasswordHasher, stored: Any, password: Any) -> bool:
        gate.wait(SECONDS)
        return check(hasher, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    try:
        yield
    finally:
        gate.set()


def test_owner_gets_in_while_many_addresses_take_the_places(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = known_cookie(server)
    slots = server.web.state.access.password_slots

    def wait_for(taken: int) -> None:
        wait_until(lambda: slots.taken == taken, SECONDS, "the logins in progress")

    with ThreadPoolExecutor(7) as threads:
        with hashing_stopped(monkeypatch):
            guesses = [threads.submit(guess, server, **of_site(1, n)) for n in range(3)]
            wait_for(3)
            unknown = log_in(server, **of_site(1, 9))
            assert unknown.status_code == 503, "the site has its share"
            guesses += [threads.submit(guess, server, **of_site(2, n)) for n in range(3)]
            wait_for(6)
            assert log_in(server, **of_site(3)).status_code == 503, (
                "only known browsers have places"
            )
            forged = f"{cookie[:-2]}{'A' if cookie[-2] != 'A' else 'B'}="
            assert log_in(server, forged, **of_site(3)).status_code == 503
            owner = threads.submit(log_in, server, cookie, **of_site(1, 9))
            wait_for(7)
        assert owner.result().status_code == 303
        assert [one.result() for one in guesses] == [401] * 6


def test_owner_gets_in_after_failures_of_the_network(serve_web: ServeWeb) -> None:
    server, other = behind_proxy(serve_web), behind_proxy(serve_web, timing=DELAYED)
    cookie = known_cookie(server)
    tried = [guess(server, **of_site(1, number)) for number in range(21)]
    assert tried == [401] * 20 + [429]
    # Another process counts the same, and knows the browser without a delay.
    for foreign in (None, f"x{cookie[1:]}", cookie.upper(), "x"):
        assert log_in(other, foreign, **of_site(1, 30)).status_code == 429
    assert log_in(other, cookie, **of_site(1, 30)).status_code == 303


def test_stolen_cookie_is_no_login_and_gives_five_guesses(server: WebServer) -> None:
    cookie = known_cookie(server)
    answers = []
    with Person(server) as thief:
        thief.client.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/admin")
        assert not thief.is_in()
        for number in range(6):
            thief.client.headers.update(of_site(number))
            answers.append(thief.log_in(password="wrong").status_code)
        assert answers == [401] * 5 + [429]
    assert log_in(server, cookie).status_code == 429
    assert log_in(server, **of_site(9)).status_code == 303


def test_cookie_counts_only_for_the_name_that_it_was_made_for(server: WebServer) -> None:
    cookie = known_cookie(server)
    with Person(server, **of_site(1)) as person:
        person.client.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/admin")
        assert person.log_in("amal").status_code == 401
    with server.database.read() as connection:
        (counted,) = connection.scalars(select(tables.login_attempts.c.address))
    assert counted == "2001:0db8:0001:0000::/64"


def test_browser_stays_the_same_at_its_next_login(server: WebServer) -> None:
    cookie = known_cookie(server)
    renewed = log_in(server, cookie).cookies[COOKIE]
    assert renewed.split(".")[0] == cookie.split(".")[0]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_new_password_makes_the_browser_unknown(serve_web: ServeWeb, database: Database) -> None:
    def store(password: str) -> None:
        hashed = admin_password.hash_password(password)
        with database.write() as connection:
            admin_password.store(connection, username=USERNAME, password_hash=hashed)

    store("the first password")
    server = behind_proxy(serve_web, admin_password=None)
    with Person(server, **of_site(1)) as owner:
        owner.log_in(password="the first password")
        owner.client.cookies.delete("hudhud_session")
        store(PASSWORD)
        owner.log_in(password="wrong")
    with server.database.read() as connection:
        (counted,) = connection.scalars(select(tables.login_attempts.c.address))
    assert counted.startswith("2001:")
