"""Killing any process at any moment loses no accepted request."""

import asyncio
import secrets
import signal
import time
from collections.abc import Mapping
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Row, func, select

from hudhud.db.engine import Database
from hudhud.db.tables import messages
from support.services import API_KEY, Service, StartService, wait_until

REQUESTS = 5000
PER_SECOND = 250
CONNECTIONS = 32
KILL_EVERY_SECONDS = 2
VALIDITY_SECONDS = 60
ORPHAN_SECONDS = 5


class Load:
    """Sends requests at a steady rate until enough were accepted; a killed server is retried."""

    def __init__(self, url: str) -> None:
        self._url = url + "/api/v1/otp/send"
        self.accepted: dict[int, str] = {}

    async def run(self, count: int) -> None:
        """Send until `count` were accepted."""
        limits = httpx.Limits(max_connections=CONNECTIONS)
        headers = {"X-API-KEY": API_KEY}
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=10) as client:
            async with asyncio.timeout(240):
                while len(self.accepted) < count:
                    missing = min(PER_SECOND // 10, count - len(self.accepted))
                    await asyncio.gather(
                        *(self._send(client) for _ in range(missing)), asyncio.sleep(0.1)
                    )

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


async def kill_somebody_every_two_seconds(service: Service) -> dict[str, int]:
    """Kill the web process (and start it again) or the sender, until canceled."""
    kills = {"web": 0, "sender": 0}
    try:
        while True:
            await asyncio.sleep(KILL_EVERY_SECONDS)
            if secrets.randbelow(2):
                await asyncio.to_thread(service.kill)
                await asyncio.to_thread(service.start)
                kills["web"] += 1
            else:
                for child in service.children():
                    child.kill()
                    kills["sender"] += 1
    except asyncio.CancelledError:
        return kills


def unfinished(database: Database) -> int:
    with database.read() as connection:
        open_states = messages.c.status.in_(["queued", "sending"])
        count = select(func.count()).select_from(messages).where(open_states)
        return connection.scalar(count) or 0


def rows(database: Database) -> Mapping[int, Row[Any]]:
    with database.read() as connection:
        return {row.id: row for row in connection.execute(select(messages))}


def database_of(service: Service, variables: Mapping[str, str]) -> Database:
    file = service.folder / "data" / "hudhud.db"
    return Database(variables.get("DATABASE_URL", f"sqlite:///{file}"))


def check_nothing_is_lost(database: Database, accepted: Mapping[int, str]) -> None:
    """Every accepted request was sent in time or, past its validity, expired."""
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


def test_nothing_is_lost_while_a_random_process_is_killed_every_two_seconds(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    service = start_service(
        CHANNEL="sandbox", OTP_TTL_SECONDS=str(VALIDITY_SECONDS), **database_variables
    )
    load = Load(service.url)

    async def scenario() -> dict[str, int]:
        killing = asyncio.create_task(kill_somebody_every_two_seconds(service))
        try:
            await load.run(REQUESTS)
        finally:
            killing.cancel()
        return await killing

    kills = asyncio.run(scenario())
    assert kills["web"] + kills["sender"] >= 5
    if service.process is None or service.process.poll() is not None:
        service.start()
    database = database_of(service, database_variables)
    check_nothing_is_lost(database, load.accepted)
    database.close()


def test_a_sender_does_not_outlive_its_killed_supervisor(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    service = start_service(
        CHANNEL="sandbox", OTP_TTL_SECONDS=str(VALIDITY_SECONDS), **database_variables
    )
    load = Load(service.url)
    asyncio.run(load.run(500))
    sender = service.wait_for_sender()
    service.kill()
    gone, alive = psutil.wait_procs([sender], timeout=ORPHAN_SECONDS)
    assert gone
    assert not alive
    service.start()
    database = database_of(service, database_variables)
    check_nothing_is_lost(database, load.accepted)
    database.close()


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_everything_within_ten_seconds(
    start_service: StartService, signal_name: str
) -> None:
    service = start_service(CHANNEL="sandbox")
    sender = service.wait_for_sender()
    started = time.monotonic()
    assert service.stop(getattr(signal, signal_name)) == 0
    assert time.monotonic() - started < 10
    assert not sender.is_running()
