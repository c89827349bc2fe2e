"""Killing any process at any moment loses no accepted request."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import Row, func, select

from hudhud.db.engine import Database
from hudhud.db.tables import messages
from support.services import (
    API_KEY,
    Service,
    StartService,
    has_ended,
    sqlite_of,
    wait_until,
)

REQUESTS = 1500
LOAD_SECONDS = 12  # slow machines accept fewer requests in this time
KILLS = 5
PROGRESS_SECONDS = 60
PER_SECOND = 250
CONNECTIONS = 32
KILL_EVERY_SECONDS = 1
VALIDITY_SECONDS = 60
ORPHAN_SECONDS = 5


class Load:
    """Sends requests at a steady rate, with retries after a kill."""

    def __init__(self, url: str) -> None:
        self._url = url + "/api/v1/otp/send"
        self._progress_at = time.monotonic()
        self.accepted: dict[int, str] = {}

    async def run(self, is_over: Callable[[int], bool]) -> None:
        """Send until `is_over` holds for the accepted number."""
        limits = httpx.Limits(max_connections=CONNECTIONS)
        headers = {"X-API-KEY": API_KEY}
        self._progress_at = time.monotonic()
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=10) as client:
            while not is_over(len(self.accepted)):
                requests = (self._send(client) for _ in range(PER_SECOND // 10))
                await asyncio.gather(*requests, asyncio.sleep(0.1))
                waited = time.monotonic() - self._progress_at
                assert waited < PROGRESS_SECONDS, f"nothing was accepted for {waited:.0f} s"

    async def _send(self, client: httpx.AsyncClient) -> None:
        phone = f"+2010{secrets.randbelow(10**8):08d}"
        try:
            answer = await client.post(self._url, json={"phoneNumber": phone})
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            return
        assert answer.status_code == 202, answer.text
        number = answer.json()["jobId"]
        assert number not in self.accepted, "a job id was given twice"
        self.accepted[number] = phone
        self._progress_at = time.monotonic()


class Killer:
    """Kills the web process (and restarts it) or the sender, at random."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.kills = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(KILL_EVERY_SECONDS)
            if secrets.randbelow(2):
                await asyncio.to_thread(self._service.kill)
                await asyncio.to_thread(self._service.start)
                self.kills += 1
            else:
                for child in self._service.children():
                    child.kill()
                    self.kills += 1


def unfinished(database: Database) -> int:
    with database.read() as connection:
        open_states = messages.c.status.in_(["queued", "sending"])
        count = select(func.count()).select_from(messages).where(open_states)
        return connection.scalar(count) or 0


def rows(database: Database) -> Mapping[int, Row[Any]]:
    with database.read() as connection:
        return {row.id: row for row in connection.execute(select(messages))}


def database_of(service: Service, variables: Mapping[str, str]) -> Database:
    if "DATABASE_URL" in variables:
        return Database(variables["DATABASE_URL"])
    return sqlite_of(service)


def check_nothing_is_lost(database: Database, accepted: Mapping[int, str]) -> None:
    """Assert that every accepted request was sent in time or expired."""
    wait_until(lambda: unfinished(database) == 0, VALIDITY_SECONDS + 60, "the queue to end")
    found = rows(database)
    for number, phone in accepted.items():
        row = found[number]
        assert row.phone == phone
        if row.status == "expired":
            assert row.finished_at >= row.expires_at - 1000
        else:
            assert row.status in ("sent", "delivered"), row
    late = [row for row in found.values() if row.sent_at and row.sent_at > row.expires_at]
    assert not late


def test_random_kills_every_second_lose_no_request(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    service = start_service(
        CHANNEL="sandbox", OTP_TTL_SECONDS=str(VALIDITY_SECONDS), **database_variables
    )
    load, killer = Load(service.url), Killer(service)
    begun = time.monotonic()

    def is_over(accepted: int) -> bool:
        enough = accepted >= REQUESTS or time.monotonic() - begun > LOAD_SECONDS
        return enough and killer.kills >= KILLS

    async def scenario() -> None:
        killing = asyncio.create_task(killer.run())
        try:
            await load.run(is_over)
        finally:
            killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing  # raises the exception that ended it early

    asyncio.run(scenario())
    if service.process is None or service.process.poll() is not None:
        service.start()
    database = database_of(service, database_variables)
    check_nothing_is_lost(database, load.accepted)
    database.close()


def test_sender_does_not_outlive_its_killed_supervisor(start_service: StartService) -> None:
    service = start_service(CHANNEL="sandbox", OTP_TTL_SECONDS=str(VALIDITY_SECONDS))
    load = Load(service.url)
    asyncio.run(load.run(lambda accepted: accepted >= 200))
    sender = service.wait_for_sender()
    service.kill()
    wait_until(lambda: has_ended(sender), ORPHAN_SECONDS, "the sender's end")
    service.start()
    database = sqlite_of(service)
    check_nothing_is_lost(database, load.accepted)
    database.close()


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_signal_stops_all_processes_within_ten_seconds(
    start_service: StartService, signal_name: str
) -> None:
    service = start_service(CHANNEL="sandbox")
    sender = service.wait_for_sender()
    started = time.monotonic()
    assert service.stop(getattr(signal, signal_name)) == 0
    assert time.monotonic() - started < 10
    assert has_ended(sender)
