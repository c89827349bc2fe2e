"""The logs contain neither codes nor phone numbers nor keys."""

from collections.abc import Iterator

import httpx
import pytest

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from hudhud.core.settings import Settings
from support.services import API_KEY, Service, wait_until

PHONE = "+201001234567"
WRONG_PHONE = "+20109876543219999"
WRONG_KEY = "hh_live_a-key-that-somebody-mistyped"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on the sandbox with verbose logs."""
    # Empty variables count as unset, which hides the developer's own environment.
    unset = {name.upper() for name in Settings.model_fields} - {"HOST", "PORT", "API_KEY"}
    chosen = {"CHANNEL": "sandbox", "LOG_LEVEL": "debug", "OTP_LENGTH": "10"}
    variables = dict.fromkeys(unset, "") | chosen
    started = Service(tmp_path_factory.mktemp("service"), ("hudhud", "serve"), variables)
    started.start()
    yield started
    started.clean_up()


def test_no_log_holds_a_code_a_phone_number_or_a_key(service: Service) -> None:
    client = httpx.Client(base_url=service.url, headers={"X-API-KEY": API_KEY})

    def send(phone: object, **headers: str) -> httpx.Response:
        body = {"phoneNumber": phone}
        return client.post("/api/v1/otp/send", json=body, headers=headers)

    def job(number: int) -> str:
        return str(client.get(f"/api/v1/otp/{number}").json()["delivery"])

    accepted = [send(phone).json() for phone in (PHONE, PHONE, NOT_ON_WHATSAPP)]
    send(WRONG_PHONE)
    send(PHONE, **{"X-API-KEY": WRONG_KEY})
    client.get("/nope", params={"phoneNumber": PHONE})
    shown = {"delivered", "failed"}
    jobs = [answer["jobId"] for answer in accepted]
    wait_until(lambda: {job(number) for number in jobs} == shown, 20, "all messages to end")
    taken = client.get("/api/v1/sandbox/messages", params={"phoneNumber": PHONE}).json()
    assert {accepted[0]["otp"], accepted[1]["otp"]} == {
        line for message in taken["messages"] for line in message["text"].splitlines()
    } & {answer["otp"] for answer in accepted}
    client.close()

    logs = [file.read_text() for file in (service.folder / "logs").iterdir()]
    written = service.output.read_text() + "".join(logs)
    assert '"job"' in written
    assert "+2010*****67" in written
    secrets = [API_KEY, WRONG_KEY, PHONE[1:], WRONG_PHONE[1:], NOT_ON_WHATSAPP[1:]]
    secrets += [answer["otp"] for answer in accepted]
    assert not [secret for secret in secrets if secret in written]


def test_a_request_id_is_found_in_the_log_of_the_sender(service: Service) -> None:
    headers = {"X-API-KEY": API_KEY, "X-Request-ID": "order-4711"}
    url = f"{service.url}/api/v1/otp/send"
    assert httpx.post(url, json={"phoneNumber": PHONE}, headers=headers).status_code == 202

    def lines() -> list[str]:
        log = service.folder / "logs" / "combined.log"
        return [line for line in log.read_text().splitlines() if "order-4711" in line]

    def in_the_log_of_the_sender() -> bool:
        return any('"sender-' in line and '"event":"sent"' in line for line in lines())

    wait_until(in_the_log_of_the_sender, 20, "the sender's line")
