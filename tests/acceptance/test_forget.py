"""Forget a number while the service runs."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing

from sqlalchemy import select

from hudhud.db.engine import Database
from hudhud.db.tables import metadata
from support.services import API_KEY, HTTP, Service, StartService, ask_for_code, wait_until

PHONE = "+201001234567"
OTHER = "+201001234568"
SECONDS = 20


def hudhud(service: Service, variables: Mapping[str, str], *arguments: str) -> str:
    """Run a command against the running service and return its output."""
    ended = subprocess.run(
        [sys.executable, "-m", "hudhud", *arguments],
        cwd=service.folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def delivery(service: Service, job: int) -> str:
    url = f"{service.url}/api/v1/otp/{job}"
    return str(HTTP.get(url, headers={"X-API-KEY": API_KEY}).json()["delivery"])


def wait_for_delivery(service: Service, job: int) -> None:
    wait_until(lambda: delivery(service, job) == "delivered", SECONDS, "the delivery")


def dump(service: Service, variables: Mapping[str, str]) -> str:
    """Return the whole database as one text."""
    url = variables.get("DATABASE_URL", f"sqlite:///{service.folder / 'data' / 'hudhud.db'}")
    with closing(Database(url)) as database, database.read() as connection:
        return "\n".join(
            str(tuple(row))
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
        )


def test_forget_removes_a_number_while_the_service_runs(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    variables = {"CHANNEL": "sandbox", "LOG_LEVEL": "debug", **database_variables}
    service = start_service(**variables)
    jobs = [ask_for_code(service.url, phone)["jobId"] for phone in (PHONE, OTHER, PHONE)]
    for job in jobs:
        wait_for_delivery(service, job)
    assert PHONE[1:] in dump(service, variables)

    printed = hudhud(service, variables, "forget", PHONE)
    assert "2 messages, 2 verifications" in printed
    assert "No trace is left." in printed
    kept = dump(service, variables)
    assert PHONE[1:] not in kept
    assert OTHER in kept
    assert printed.split()[-1].rstrip(".") in kept
    assert delivery(service, jobs[0]) == "delivered"

    wait_for_delivery(service, ask_for_code(service.url, OTHER)["jobId"])
    assert service.stop() == 0
    logs = [file.read_text() for file in (service.folder / "logs").iterdir()]
    assert PHONE[1:] not in "".join(logs) + service.output.read_text()
