"""The limit of password guesses: five in 15 minutes per address."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from hudhud.auth import audit_log, login_attempts
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.web.admin.login.password_slots import HASHES_AT_ONCE
from hudhud.web.timing import Timing
from support.admin import LOGIN, PASSWORD, USERNAME, Person, log_in_script, script
from support.web_server import ServeWeb, WebServer

LIMITED = {"message": "Too many login attempts from this IP, please try again after 15 minutes."}


def statuses(client: httpx.Client, count: int, **headers: str) -> list[int]:
    """Return the statuses of this many wrong logins."""
    client.headers.update(headers)
    return [log_in_script(client, password="wrong").status_code for _ in range(count)]


def counted(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(tables.login_attempts)) or 0


def test_address_is_blocked_after_five_failures(client: httpx.Client) -> None:
    assert statuses(client, 5) == [401] * 5
    answer = log_in_script(client)
    assert (answer.status_code, answer.json()) == (429, LIMITED)
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert not client.cookies


def test_blocked_person_sees_a_page_with_the_time_to_retry(dashboard: WebServer) -> None:
    with Person(dashboard) as person:
        for _ in range(5):
            person.log_in(password="wrong")
        answer = person.log_in()
    assert answer.status_code == 429
    assert LIMITED["message"] in answer.text
    assert "Possible again at" in answer.text
    assert "Retry-After" in answer.headers


def test_people_and_scripts_are_counted_together(
    dashboard: WebServer, client: httpx.Client
) -> None:
    with Person(dashboard) as person:
        for _ in range(3):
            person.log_in(password="wrong")
        assert statuses(client, 3) == [401, 401, 429]
        assert person.log_in().status_code == 429


def test_successful_login_resets_the_failures(client: httpx.Client) -> None:
    for _ in range(3):
        assert statuses(client, 4) == [401] * 4
        assert log_in_script(client).status_code == 200


def test_session_works_while_its_address_is_blocked(dashboard: WebServer) -> None:
    with Person(dashboard) as person, script(dashboard) as guesser:
        person.log_in()
        statuses(guesser, 6)
        assert person.is_in()


@pytest.mark.usefixtures("cheap_hashes")
def test_failures_survive_a_restart(serve_web: ServeWeb) -> None:
    with script(serve_web(admin_password=PASSWORD)) as client:
        statuses(client, 5)
    with script(serve_web(admin_password=PASSWORD)) as client:
        assert log_in_script(client).status_code == 429


def test_forged_forwarded_address_does_not_help(client: httpx.Client) -> None:
    answers = []
    for number in range(7):
        address = f"198.51.100.{number}"
        forwarded = {"X-Forwarded-For": address, "Forwarded": f"for={address}"}
        answers += statuses(client, 1, **forwarded, **{"X-Real-IP": address})
    assert answers == [401] * 5 + [429] * 2


@pytest.mark.usefixtures("cheap_hashes")
def test_clients_behind_a_trusted_proxy_count_separately(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, trusted_proxies="127.0.0.0/8")
    with script(server) as client:
        assert statuses(client, 6, **{"X-Forwarded-For": "198.51.100.1"}) == [401] * 5 + [429]
        assert statuses(client, 1, **{"X-Forwarded-For": "198.51.100.2"}) == [401]
        # The proxy appends its entry to the right of the client's own.
        assert statuses(client, 1, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}) == [429]
        assert statuses(client, 1, **{"X-Forwarded-For": "198.51.100.1, 127.0.0.9"}) == [429]
        del client.headers["X-Forwarded-For"]
        lines = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "127.0.0.9")]
        body = {"username": USERNAME, "password": "wrong"}
        assert client.post(LOGIN, json=body, headers=lines).status_code == 429


@pytest.mark.usefixtures("cheap_hashes")
def test_ipv6_network_behind_a_trusted_proxy_counts_as_one(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, trusted_proxies="127.0.0.1")
    with script(server) as client:
        answers = []
        for number in range(6):
            answers += statuses(client, 1, **{"X-Forwarded-For": f"2001:db8:1:2::{number}"})
        assert answers == [401] * 5 + [429]
        assert statuses(client, 1, **{"X-Forwarded-For": "2001:db8:1:3::1"}) == [401]


@pytest.mark.usefixtures("cheap_hashes")
def test_an_account_cannot_be_locked_out(serve_web: ServeWeb) -> None:
    timing = Timing(login_delay=0.01)
    server = serve_web(admin_password=PASSWORD, trusted_proxies="127.0.0.1", timing=timing)
    with script(server) as client:
        for number in range(12):
            statuses(client, 1, **{"X-Forwarded-For": f"198.51.100.{number}"})
        client.headers["X-Forwarded-For"] = "192.0.2.1"
        assert log_in_script(client).status_code == 200


def test_login_is_possible_after_the_wait(dashboard: WebServer, client: httpx.Client) -> None:
    statuses(client, 5)
    with dashboard.database.write() as connection:
        earlier = tables.login_attempts.c.at - login_attempts.WINDOW_MS
        connection.execute(update(tables.login_attempts).values(at=earlier))
    assert log_in_script(client).status_code == 200


def test_fifth_failure_is_audited_with_its_consequence(
    dashboard: WebServer, client: httpx.Client
) -> None:
    statuses(client, 7)
    with dashboard.database.read() as connection:
        details = [row.detail for row in audit_log.page(connection, limit=10)]
    assert details == [
        "Failed 5 times: no further attempt from this address for 15 minutes",
        *["Wrong username or password"] * 4,
    ]


class Hashes:
    """Counts the password checks that run simultaneously.

    A check goes on once `at_once` of them run, because a cheap hash ends before the next begins.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at_once: int = 1) -> None:
        together = threading.Barrier(at_once, timeout=30)
        self.most = 0
        self.total = 0
        self._running = 0
        self._lock = threading.Lock()
        check = PasswordHasher.verify

        def verify(hasher: PasswordHasher, stored: Any, password: Any) -> bool:
            self._change(1)
            try:
                together.wait()
                return check(hasher, stored, password)
            finally:
                self._change(-1)

        monkeypatch.setattr(PasswordHasher, "verify", verify)

    def _change(self, by: int) -> None:
        with self._lock:
            self._running += by
            self.most = max(self.most, self._running)
            self.total += by == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_twelve_simultaneous_logins_hash_two_at_a_time(
    serve_web: ServeWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = Hashes(monkeypatch, at_once=HASHES_AT_ONCE)
    timing = Timing(login_delay=0.0)
    server = serve_web(admin_password=PASSWORD, trusted_proxies="127.0.0.1", timing=timing)

    def log_in(number: int) -> int:
        with script(server, **{"X-Forwarded-For": f"198.51.100.{number}"}) as client:
            return log_in_script(client).status_code

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(log_in, range(12))) == [200] * 12
    assert hashes.total == 12
    assert hashes.most == HASHES_AT_ONCE


def test_only_five_of_twelve_simultaneous_wrong_logins_are_hashed(
    dashboard: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = Hashes(monkeypatch)

    def guess(_: int) -> int:
        with script(dashboard) as client:
            return log_in_script(client, password="wrong").status_code

    with ThreadPoolExecutor(12) as threads:
        answers = sorted(threads.map(guess, range(12)))
    assert answers == [401] * 5 + [429] * 7
    assert hashes.total == 5


def test_form_without_its_token_is_neither_hashed_nor_counted(
    dashboard: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = Hashes(monkeypatch)
    with script(dashboard) as client:
        client.post(LOGIN, data={"username": USERNAME, "password": "wrong"})
    assert hashes.total == 0
    assert counted(dashboard.database) == 0
