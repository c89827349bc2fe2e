"""A running service sends webhooks for a code and stops in time."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping

from support.receivers import SECONDS, Received, Reply, receiving
from support.services import API_KEY, HTTP, Service, StartService, ask_for_code, wait_until

PHONE = "+201001234567"
ALLOWED = {"CHANNEL": "sandbox", "WEBHOOK_ALLOW_PRIVATE": "true"}


def add_endpoint(service: Service, url: str, variables: Mapping[str, str]) -> str:
    """Add an endpoint while the service runs; return its secret."""
    ended = subprocess.run(
        [sys.executable, "-m", "hudhud", "webhooks", "add", url],
        cwd=service.folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


def cancel(service: Service, job: int) -> None:
    url = f"{service.url}/api/v1/otp/{job}/cancel"
    answer = HTTP.post(url, headers={"X-API-KEY": API_KEY})
    assert answer.status_code == 200, answer.text


def test_events_of_a_code_arrive_signed_and_in_order(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    variables = {**ALLOWED, **database_variables}
    with receiving() as receiver:
        service = start_service(**variables)
        secret = add_endpoint(service, receiver.url, variables)
        accepted = ask_for_code(service.url, PHONE)

        def of_the_code() -> list[Received]:
            return [one for one in receiver.received if "verificationId" in one.event["data"]]

        wait_until(lambda: len(of_the_code()) == 3, SECONDS, "the delivery of the message")
        cancel(service, accepted["jobId"])
        wait_until(lambda: len(of_the_code()) == 4, SECONDS, "the end")
        assert service.stop() == 0
    assert [one.event["type"] for one in of_the_code()] == [
        "verification.created",
        "message.sent",
        "message.delivered",
        "verification.canceled",
    ]
    assert all(one.is_signed_by(secret) for one in receiver.received)
    assert accepted["otp"] not in "".join(one.body for one in receiver.received)
    assert {one.event["data"]["verificationId"] for one in of_the_code()} == {
        accepted["verificationId"]
    }


def test_hanging_receiver_does_not_delay_the_stop(
    start_service: StartService,
) -> None:
    release = threading.Event()

    def hang(_: Received) -> Reply:
        release.wait(SECONDS)
        return Reply()

    with receiving(hang) as receiver:
        service = start_service(**ALLOWED)
        add_endpoint(service, receiver.url, ALLOWED)
        ask_for_code(service.url, PHONE)
        wait_until(lambda: bool(receiver.received), SECONDS, "a request")
        assert service.stop() == 0
        release.set()
        held = receiver.received[0].id
        service.start()
        wait_until(lambda: receiver.ids.count(held) == 2, SECONDS, "the event once more")
