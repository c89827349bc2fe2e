"""The supervisor's reaction to a hanging sender."""

import signal

import httpx

from hudhud.senders import records
from support.services import API_KEY, Service, StartService, wait_until

KILL_SECONDS = 2 * records.SILENCE_MS / 1000 + 30


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


def test_hanging_sender_is_killed_and_restarted(start_service: StartService) -> None:
    service = start_service(CHANNEL="sandbox")
    hung = service.wait_for_sender()
    job = accept(service)
    wait_until(lambda: delivery_of(job) in ("sent", "delivered"), 15, "the first message")
    hung.send_signal(signal.SIGSTOP)
    job = accept(service)
    wait_until(lambda: not hung.is_running(), KILL_SECONDS, "the end of the hung sender")
    wait_until(lambda: delivery_of(job) in ("sent", "delivered"), 30, "the message")
