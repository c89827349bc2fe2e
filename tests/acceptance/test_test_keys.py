"""Messages of test keys reach the sandbox despite a live backlog."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import select

from hudhud.db.tables import messages
from hudhud.senders import records
from support.linked import PLAIN, SENDER, LinkedService
from support.services import HTTP, ask_for_code, wait_until
from waemu.client import EmulatorProcess

PHONE = "+201001234567"
LAST_PHONE = "+201001234568"
SANDBOX = f"{SENDER}-sandbox"
SECONDS = 30


class TestKey:
    """A test key, created and revoked while the service runs."""

    __test__ = False  # not a test class

    def __init__(self, live: LinkedService, variables: dict[str, str]) -> None:
        self._live = live
        self._environment = {**os.environ, **variables}
        self.key = self._keys("create", "ci", "--test", "--show-code").strip()
        wait_until(self._is_known, SECONDS, "the key to be known")

    def _keys(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "hudhud", "keys", *arguments]
        folder = self._live.service.folder
        ended = subprocess.run(
            command, cwd=folder, env=self._environment, capture_output=True, text=True, check=True
        )
        return ended.stdout

    def _is_known(self) -> bool:
        return self._get("/api/v1/otp").status_code == 200

    def _get(self, path: str, **query: str) -> httpx.Response:
        url = self._live.service.url + path
        return HTTP.get(url, headers={"X-API-KEY": self.key}, params=query)

    def revoke(self) -> None:
        self._keys("revoke", "ci")

    def ask_for_code(self, phone: str = PHONE) -> dict[str, Any]:
        url = f"{self._live.service.url}/api/v1/otp/send"
        answer = HTTP.post(url, headers={"X-API-KEY": self.key}, json={"phoneNumber": phone})
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    def taken(self) -> list[dict[str, Any]]:
        """Return the messages of this key that the sandbox took."""
        answer = self._get("/api/v1/sandbox/messages", phoneNumber=PHONE)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulated WhatsApp without a linked phone."""
    with EmulatorProcess(tmp_path, log=tmp_path / "emulator.log") as running:
        yield running


@pytest.fixture
def live(
    emulator: EmulatorProcess, tmp_path: Path, database_variables: dict[str, str]
) -> Iterator[LinkedService]:
    """An unpaired live installation on each kind of database."""
    service = LinkedService(tmp_path / "service", emulator, PLAIN, **database_variables)
    service.start()
    yield service
    service.clean_up()


def processes(live: LinkedService) -> dict[str, int]:
    """Return the process id of each sender that has a process."""
    running = {}
    for child in live.service.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            running[child.cmdline()[-1]] = child.pid
    return {name: pid for name, pid in running.items() if name in (SENDER, SANDBOX)}


def is_given_back(live: LinkedService) -> bool:
    with live.database.read() as connection:
        record: Any = records.find(connection, SANDBOX)
    assert (record.channel, record.state) == ("sandbox", "stopped")
    return record.lease_owner is None


def heartbeat(live: LinkedService) -> int:
    """Return the time of the sandbox's last heartbeat."""
    with live.database.read() as connection:
        record: Any = records.find(connection, SANDBOX)
    return int(record.heartbeat_at)


def is_strictly_ready(live: LinkedService) -> bool:
    return HTTP.get(f"{live.service.url}/readyz?strict").status_code == 200


def test_messages_of_a_test_key_arrive_while_live_messages_wait(
    live: LinkedService, database_variables: dict[str, str]
) -> None:
    live.wait_for_qr()
    waiting = ask_for_code(live.service.url, PHONE)
    linked = processes(live)[SENDER]
    with live.database.read() as connection:
        assert records.find(connection, SANDBOX) is None

    test_key = TestKey(live, database_variables)
    wait_until(lambda: SANDBOX in processes(live), SECONDS, "the sandbox's process")
    accepted = test_key.ask_for_code()
    wait_until(lambda: bool(test_key.taken()), SECONDS, "the message in the sandbox")
    (message,) = test_key.taken()
    assert message["jobId"] == accepted["jobId"]
    assert accepted["otp"] in message["text"]
    assert live.job(waiting["jobId"])["delivery"] == "queued"
    assert not is_strictly_ready(live)

    last = revoke_with_a_waiting_message(live, test_key)
    live.wait(lambda: _delivery(live, last) in ("sent", "delivered"), "the message to be taken")
    gone = {SENDER: linked}
    wait_until(lambda: processes(live) == gone, SECONDS, "the end of the sandbox's process")
    wait_until(lambda: is_given_back(live), SECONDS, "the end of its lease")
    assert live.job(waiting["jobId"])["delivery"] == "queued"
    assert live.service.stop() == 0


def revoke_with_a_waiting_message(live: LinkedService, test_key: TestKey) -> int:
    """Revoke the key while the paused sandbox holds its message; return the job."""
    with live.database.write() as connection:
        records.pause(connection, name=SANDBOX, now=1)
    job: int = test_key.ask_for_code(LAST_PHONE)["jobId"]
    test_key.revoke()
    for _ in range(2):  # the supervisor asks more often whether the sandbox is wanted
        before = heartbeat(live)
        wait_until(lambda before=before: heartbeat(live) > before, SECONDS, "a heartbeat")  # type: ignore[misc] # mypy cannot infer it
    assert HTTP.get(f"{live.service.url}/healthz").status_code == 200
    assert _delivery(live, job) == "queued"
    with live.database.write() as connection:
        records.resume(connection, name=SANDBOX)
        live.database.notify(connection)
    return job


def _delivery(live: LinkedService, job: int) -> str:
    with live.database.read() as connection:
        return str(connection.scalar(select(messages.c.status).where(messages.c.id == job)))
