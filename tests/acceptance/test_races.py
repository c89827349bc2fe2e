"""Hundreds of simultaneous requests cause one approval or one message.

Two processes share PostgreSQL; SQLite has one.
"""

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from support.at_once import Answer, post_at_once
from support.keyed_api import NO_LIMITS, OTP, VERIFY, new_number, wrong
from support.keys import make_key
from support.services import HTTP, Service, wait_until
from support.web_server import SEND

AT_ONCE = 200
MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class Processes:
    """Running services on one database."""

    services: Sequence[Service]
    database: Database

    def make_key(self, **settings: Any) -> str:
        """Create a key; return it once every process accepts it."""
        key = make_key(self.database, secrets.token_hex(8), **settings)
        for service in self.services:
            wait_until(lambda url=service.url: knows(url, key), 10, "the key to be known")  # type: ignore[misc] # mypy cannot infer it
        return key

    def ask(self, path: str, key: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        headers = {"X-API-KEY": key, **headers}
        return HTTP.post(self.services[0].url + path, json=body, headers=headers)

    def ask_at_once(
        self, path: str, key: str, bodies: Sequence[dict[str, Any]], **headers: str
    ) -> list[Answer]:
        """Send simultaneous requests, to all processes in turn."""
        ports = [service.port for service in self.services]
        return post_at_once(ports, path, bodies, {"X-API-KEY": key, **headers})

    def count(self, table: Any, phone: str) -> int:
        """Return the number of rows of a phone number."""
        with self.database.read() as connection:
            counted = select(func.count()).select_from(table).where(table.c.phone == phone)
            return connection.scalar(counted) or 0


def knows(url: str, key: str) -> bool:
    return HTTP.get(url + OTP, headers={"X-API-KEY": key}).status_code == 200


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def processes(
    request: pytest.FixtureRequest,
    migrated_database: MigratedDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Processes]:
    """Services on each kind of database."""
    kind = str(request.param)
    with ExitStack() as stack:
        url = stack.enter_context(migrated_database(kind))
        variables = {"CHANNEL": "sandbox", "SESSION_SECRET": secrets.token_hex(32)}
        if kind == "sqlite":
            variables["DB_FILENAME"] = url.removeprefix("sqlite:///")
        else:
            variables["DATABASE_URL"] = url
        services = []
        for _ in range(1 if kind == "sqlite" else 2):
            folder = tmp_path_factory.mktemp("service")
            services.append(Service(folder, ("hudhud", "serve"), variables))
            stack.callback(services[-1].clean_up)
            services[-1].start()
        database = Database(url)
        stack.callback(database.close)
        yield Processes(services, database)
        assert [service.stop() for service in services] == [0] * len(services)


def test_exactly_one_of_200_simultaneous_right_checks_is_approved(processes: Processes) -> None:
    key = processes.make_key(limits=NO_LIMITS)
    phone = new_number()
    one = processes.ask(SEND, key, {"phoneNumber": phone}).json()
    names: list[dict[str, Any]] = [
        {"phoneNumber": phone},
        {"verificationId": one["verificationId"]},
        {"jobId": one["jobId"]},
    ]
    asked = [{**names[place % 3], "otp": one["otp"]} for place in range(AT_ONCE)]
    answers = processes.ask_at_once(VERIFY, key, asked)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    assert [answer.json()["valid"] for answer in answers if answer.status_code == 200] == [True]


def test_200_simultaneous_wrong_checks_use_at_most_five_attempts(
    processes: Processes,
) -> None:
    key = processes.make_key(limits=NO_LIMITS)
    one = processes.ask(SEND, key, {"phoneNumber": new_number()}).json()
    asked = [{"jobId": one["jobId"], "otp": wrong(one["otp"])}] * AT_ONCE
    answers = processes.ask_at_once(VERIFY, key, asked)
    assert Counter(answer.status_code for answer in answers) == {
        200: MOST_ATTEMPTS,
        429: AT_ONCE - MOST_ATTEMPTS,
    }
    right = processes.ask(VERIFY, key, {"jobId": one["jobId"], "otp": one["otp"]})
    assert right.status_code == 429


def test_200_simultaneous_sends_with_one_idempotency_key_create_one_message(
    processes: Processes,
) -> None:
    key = processes.make_key(limits=NO_LIMITS)
    phone = new_number()
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    answers = processes.ask_at_once(SEND, key, [{"phoneNumber": phone}] * AT_ONCE, **headers)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert "otp" in answers[0].json()
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": AT_ONCE - 1}
    assert processes.count(messages, phone) == processes.count(verifications, phone) == 1


def test_limit_admits_one_of_200_simultaneous_sends_to_one_number(
    processes: Processes,
) -> None:
    key = processes.make_key()
    phone = new_number()
    answers = processes.ask_at_once(SEND, key, [{"phoneNumber": phone}] * AT_ONCE)
    assert Counter(answer.status_code for answer in answers) == {202: 1, 429: AT_ONCE - 1}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["error"] for answer in refused} == {"rate_limited"}
    assert all(0 < int(answer.headers["retry-after"]) <= 30 for answer in refused)
    assert processes.count(messages, phone) == 1
