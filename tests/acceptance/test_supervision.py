"""The supervisor's reaction to a hanging sender."""

import signal
from pathlib import Path

import httpx
import pytest

from hudhud.worker.program import SILENCE_SECONDS
from support.services import API_KEY, Service, StartService, has_ended, wait_until

SCRIPTS = str(Path(__file__).parent)
KILL_SECONDS = 2 * SILENCE_SECONDS + 30


def accept(service: Service) -> str:
    answer = httpx.post(
        f"{service.url}/api/v1/otp/send",
        headers={"X-API-KEY": API_KEY},
        json={"phoneNumber": "+201001234567"},
    )
    assert answer.status_code == 202
    return f"{service.url}/api/v1/otp/{answer.json()['jobId']}"


def delivery_of(job: str) -> str:
    return str(httpx.get(job, headers={"X-API-KEY": API_KEY}).json()["delivery"])


@pytest.mark.parametrize(
    "module",
    [
        pytest.param("watched_hudhud", id="after 6 s"),
        pytest.param("hudhud", id="after 30 s", marks=pytest.mark.chaos),
    ],
)
def test_hanging_sender_is_killed_and_restarted(start_service: StartService, module: str) -> None:
    service = start_service(module, "serve", CHANNEL="sandbox", PYTHONPATH=SCRIPTS)
    hung = service.wait_for_sender()
    job = accept(service)
    wait_until(lambda: delivery_of(job) in ("sent", "delivered"), 15, "the first message")
    hung.send_signal(signal.SIGSTOP)
    job = accept(service)
    wait_until(lambda: has_ended(hung), KILL_SECONDS, "the end of the hung sender")
    wait_until(lambda: delivery_of(job) in ("sent", "delivered"), 30, "the message")
