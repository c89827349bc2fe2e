"""Links with real processes: a virtual phone writes first.

All processes are real; `linked_sender.py` shortens waits of minutes.
"""

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from hudhud.core.clock import now_ms
from hudhud.senders import records
from hudhud.verification.links import tokens
from support.keys import make_key
from support.linked import (
    FORMER_NUMBERS,
    IMPATIENT,
    PATIENCE_SECONDS,
    SENDER,
    LinkedService,
)
from support.links import text_of
from support.services import HTTP, Service, wait_until
from waemu.client import EmulatorProcess
from waemu.faults import Faults

OTP = "/api/v1/otp"
CODE = re.compile(r"^\d{6}$", re.MULTILINE)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulated WhatsApp for all tests of this module."""
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder, log=folder / "emulator.log") as running:
        yield running


@pytest.fixture(scope="module")
def linked_shop(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Shop"]:
    """A service shared by most tests, with a key."""
    service = LinkedService(tmp_path_factory.mktemp("linked"), emulator, IMPATIENT)
    service.start()
    yield Shop(service)
    service.clean_up()


@pytest.fixture
def shop(linked_shop: "Shop") -> Iterator["Shop"]:
    """The shared service, linked and connected."""
    linked_shop.service.make_ready()
    yield linked_shop
    linked_shop.service.emulator.reset_faults()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for blocking requests."""
    with ThreadPoolExecutor() as threads:
        yield threads


class Shop:
    """A business whose users write first, over one service."""

    def __init__(self, service: LinkedService) -> None:
        self.service = service
        self.emulator = service.emulator
        self.key = make_key(
            service.database,
            f"shop {secrets.token_hex(4)}",
            "send",
            "verify",
            "read",
            may_link_verify=True,
            limits="per_number=0 per_prefix=0",
        )
        service.wait(lambda: self.status_of("v" + "0" * 43) == 404, "the key to be known")

    def ask(
        self, method: str, path: str, *, at: Service | None = None, **options: Any
    ) -> httpx.Response:
        url = (at or self.service.service).url + OTP + path
        return HTTP.request(
            method, url, headers={"X-API-KEY": self.key}, timeout=PATIENCE_SECONDS, **options
        )

    def status_of(self, identifier: str) -> int:
        return self.ask("GET", f"/{identifier}").status_code

    def start(self, **fields: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/link", json=fields)
        assert answer.status_code == 201, answer.text
        started: dict[str, Any] = answer.json()
        return started

    def show(
        self, link: dict[str, Any], wait: int = 0, at: Service | None = None
    ) -> dict[str, Any]:
        answer = self.ask("GET", f"/{link['verificationId']}", params={"wait": wait}, at=at)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def state_of(self, link: dict[str, Any]) -> dict[str, Any]:
        """Return a verification without WhatsApp's number, which may become known meanwhile."""
        return {name: value for name, value in self.show(link).items() if name != "whatsappNumber"}

    def wait_for(
        self, pool: ThreadPoolExecutor, link: dict[str, Any], at: Service | None = None
    ) -> Future[dict[str, Any]]:
        return pool.submit(self.show, link, 60, at)

    def check(self, link: dict[str, Any], typed: str) -> dict[str, Any]:
        body = {"verificationId": link["verificationId"], "otp": typed}
        checked: dict[str, Any] = self.ask("POST", "/verify", json=body).json()
        return checked

    def write(self, phone: str, text: str, **options: Any) -> str:
        """Write from a virtual phone to the shop; return the message's id."""
        return self.emulator.send_text(phone, self.service.account, text, **options)

    def wait_until_taken(self, message: str) -> None:
        self.service.wait(
            lambda: message in {row.provider_message_id for row in self.service.inbound()},
            "the text",
        )

    def texts(self, phone: str) -> list[str]:
        """Return the texts that the phone received."""
        return [message.text for message in self.service.received(phone)]

    def wait_for_texts(self, phone: str, count: int = 1) -> list[str]:
        self.service.wait(lambda: len(self.texts(phone)) >= count, f"{count} messages")
        return self.texts(phone)

    def settle(self) -> None:
        """Wait until every earlier text has been answered."""
        probe = self.service.add_phone()
        self.write(probe, self.start()["token"])
        self.wait_for_texts(probe)


def open_connections(service: Service) -> int:
    """Return the number of clients connected to the service."""
    assert service.process is not None
    found = psutil.Process(service.process.pid).net_connections("tcp")
    return sum(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == service.port for each in found
    )


def code_in(text: str) -> str:
    found = CODE.search(text)
    assert found is not None, text
    return found.group()


def test_text_approves_and_the_waiting_request_returns_the_number(
    shop: Shop, pool: ThreadPoolExecutor
) -> None:
    phone, thief = shop.service.add_phone(), shop.service.add_phone()
    link = shop.start(mode="verify", phoneNumber=phone, redirectUrl="https://example.com/done")
    assert urlsplit(link["whatsappLink"]).path == "/" + shop.service.account[1:]
    answer = shop.wait_for(pool, link)
    shop.write(phone, text_of(link["whatsappLink"]))
    approved = answer.result(PATIENCE_SECONDS)
    assert (approved["status"], approved["provedNumber"]) == ("approved", phone)
    assert approved["redirectUrl"] == "https://example.com/done"
    [confirmation] = shop.wait_for_texts(phone)
    assert "Hudhud" in confirmation
    assert CODE.search(confirmation) is None

    shop.write(thief, text_of(link["whatsappLink"]))
    [refusal] = shop.wait_for_texts(thief)
    assert refusal != confirmation
    again = shop.show(link)
    assert {**again, "jobs": []} == {**approved, "jobs": []}
    assert [job["jobId"] for job in again["jobs"]] == [job["jobId"] for job in approved["jobs"]]


def test_answer_to_the_text_holds_a_code_that_proves_the_number(
    shop: Shop, pool: ThreadPoolExecutor
) -> None:
    phone = shop.service.add_phone()
    link = shop.start()
    answer = shop.wait_for(pool, link)
    shop.write(phone, text_of(link["whatsappLink"]))
    [text] = shop.wait_for_texts(phone)
    checked = shop.check(link, code_in(text))
    assert (checked["valid"], checked["provedNumber"]) == (True, phone)
    shown = answer.result(PATIENCE_SECONDS)
    assert (shown["status"], shown["phoneNumber"]) == ("approved", phone)


@pytest.mark.parametrize(("registered", "expected"), FORMER_NUMBERS)
def test_expected_number_is_proved_from_the_account_that_whatsapp_has(
    shop: Shop, registered: str, expected: str
) -> None:
    shop.service.add_phone(registered, expected)
    link = shop.start(phoneNumber=expected)
    shop.write(registered, text_of(link["whatsappLink"]))
    [text] = shop.wait_for_texts(registered)
    checked = shop.check(link, code_in(text))
    assert (checked["valid"], checked["provedNumber"]) == (True, expected)
    assert shop.show(link)["whatsappNumber"] == registered


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("+5215512345679", "+525512345679"),
        ("+22507123457", "+2250707123457"),
        ("+6834012", "+6834012"),
    ],
)
def test_number_is_proved_in_its_present_form(shop: Shop, phone: str, number: str) -> None:
    shop.service.add_phone(phone)
    link = shop.start()
    shop.write(phone, text_of(link["whatsappLink"]))
    [text] = shop.wait_for_texts(phone)
    checked = shop.check(link, code_in(text))
    assert (checked["valid"], checked["provedNumber"]) == (True, number)
    assert shop.show(link)["whatsappNumber"] == phone


def test_token_from_an_unexpected_number_changes_nothing(shop: Shop) -> None:
    phone, other = shop.service.add_phone(), shop.service.add_phone()
    for mode in ("verify", "reply"):
        link = shop.start(mode=mode, phoneNumber=phone)
        before = shop.state_of(link)
        shop.wait_until_taken(shop.write(other, text_of(link["whatsappLink"])))
        assert shop.state_of(link) == before
    assert len(shop.wait_for_texts(other)) == 1  # one answer an hour
    shop.write(phone, text_of(link["whatsappLink"]))
    assert shop.check(link, code_in(shop.wait_for_texts(phone)[0]))["valid"]


def test_unknown_tokens_are_answered_once_an_hour_and_other_texts_never(shop: Shop) -> None:
    phone = shop.service.add_phone()
    shop.wait_until_taken(shop.write(phone, "What is this?"))
    for _ in range(3):
        shop.wait_until_taken(shop.write(phone, f"Hello {tokens.new_token()}"))
    shop.wait_until_taken(shop.write(phone, "Thank you"))
    shop.settle()
    assert len(shop.texts(phone)) == 1


def test_duplicate_text_is_answered_once(shop: Shop) -> None:
    phone = shop.service.add_phone()
    link = shop.start()
    message = shop.write(phone, text_of(link["whatsappLink"]))
    shop.wait_for_texts(phone)
    shop.write(phone, text_of(link["whatsappLink"]), message_id=message)
    shop.wait_until_taken(shop.write(phone, "Thank you"))
    shop.settle()
    assert len(shop.texts(phone)) == 1


def test_edited_text_changes_nothing(shop: Shop) -> None:
    phone = shop.service.add_phone()
    link = shop.start(mode="verify", phoneNumber=phone)
    before = shop.state_of(link)
    message = shop.write(phone, "hello")
    shop.write(phone, text_of(link["whatsappLink"]), edits=message)
    shop.wait_until_taken(shop.write(phone, "Thank you"))
    shop.settle()
    assert shop.state_of(link) == before
    assert shop.texts(phone) == []

    message = shop.write(phone, text_of(link["whatsappLink"]))
    shop.wait_for_texts(phone)
    shop.write(phone, f"hello {tokens.new_token()}", edits=message)
    shop.settle()
    assert shop.show(link)["status"] == "approved"
    assert len(shop.texts(phone)) == 1


def test_text_with_a_lid_as_sender_proves_the_number(shop: Shop, pool: ThreadPoolExecutor) -> None:
    phone = shop.service.add_phone()
    shop.service.wait_for_delivery(shop.service.send(phone)["jobId"], "read")
    shop.emulator.set_faults(Faults(hide_numbers=True))
    link = shop.start(mode="verify", phoneNumber=phone)
    answer = shop.wait_for(pool, link)
    shop.write(phone, text_of(link["whatsappLink"]))
    assert answer.result(PATIENCE_SECONDS)["provedNumber"] == phone


def test_text_with_a_hidden_number_proves_nothing(shop: Shop) -> None:
    phone = shop.service.add_phone()
    link = shop.start()
    shop.emulator.set_faults(Faults(hide_numbers=True))
    start = shop.service.now()
    shop.write(phone, text_of(link["whatsappLink"]))
    shop.service.wait(
        lambda: (
            "did not reveal the sender's number" in shop.service.service.output.read_text()[start:]
        ),
        "the text to be passed over",
    )
    assert shop.show(link)["provedNumber"] is None
    shop.emulator.reset_faults()
    shop.write(phone, text_of(link["whatsappLink"]))
    assert shop.check(link, code_in(shop.wait_for_texts(phone)[0]))["provedNumber"] == phone


def test_restricted_account_answers_people_who_write_first(shop: Shop) -> None:
    """463 refuses strangers only until they write."""
    strangers = [shop.service.add_phone() for _ in range(3)]
    numbers = [phone.removeprefix("+") for phone in strangers]
    shop.emulator.set_faults(Faults(ack_error="463", ack_error_for=numbers))
    start = shop.service.now()
    jobs = [shop.service.send(phone)["jobId"] for phone in strangers]
    shop.service.wait_for_state("restricted", since=start)
    phone = shop.service.add_phone()
    link = shop.start()
    shop.write(phone, text_of(link["whatsappLink"]))
    assert shop.check(link, code_in(shop.wait_for_texts(phone)[0]))["provedNumber"] == phone
    assert shop.service.sender().state == "restricted"
    shop.emulator.reset_faults()
    for job in jobs:
        shop.service.wait_for_delivery(job, "read")


def test_code_of_a_link_is_sent_before_waiting_messages(shop: Shop) -> None:
    phone, *others = (shop.service.add_phone() for _ in range(12))
    with shop.service.database.write() as connection:
        records.pause(connection, name=SENDER, now=now_ms())
    waiting = [shop.service.send(other)["jobId"] for other in others]
    last = shop.emulator.stats().messages
    link = shop.start()
    shop.wait_until_taken(shop.write(phone, text_of(link["whatsappLink"])))
    shop.service.resume()
    for job in waiting:
        shop.service.wait_for_delivery(job, "read")
    arrived = shop.emulator.messages(since=last)
    assert arrived[0].to_number == phone.removeprefix("+")
    assert len(arrived) == len(waiting) + 1


def test_text_written_while_the_sender_was_away_is_answered(
    shop: Shop, pool: ThreadPoolExecutor
) -> None:
    phone = shop.service.add_phone()
    link = shop.start(mode="verify", phoneNumber=phone)
    answer = shop.wait_for(pool, link)
    start = shop.service.now()
    shop.emulator.set_faults(Faults(upgrade_status=503))
    shop.emulator.kick(shop.service.account)
    shop.service.wait_for_state("reconnecting", since=start)
    shop.write(phone, text_of(link["whatsappLink"]))
    shop.emulator.reset_faults()
    assert answer.result(PATIENCE_SECONDS)["provedNumber"] == phone


def test_waiting_request_does_not_delay_a_stop(
    emulator: EmulatorProcess, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    service = LinkedService(tmp_path / "service", emulator, IMPATIENT)
    try:
        service.start()
        service.link()
        shop = Shop(service)
        link = shop.start()
        answers = [shop.wait_for(pool, link) for _ in range(4)]
        service.wait(lambda: open_connections(service.service) == len(answers), "the requests")
        shop.show(link)  # later answers show that the requests were read
        assert service.service.stop() == 0
        for answer in answers:
            assert answer.result(PATIENCE_SECONDS)["status"] == "pending"
    finally:
        service.clean_up()


def test_each_machine_sees_texts_that_arrived_at_another(
    emulator: EmulatorProcess, tmp_path: Path, postgres_url: str, pool: ThreadPoolExecutor
) -> None:
    shared = {"DATABASE_URL": postgres_url, "SESSION_SECRET": secrets.token_hex(32)}
    service = LinkedService(tmp_path / "first", emulator, IMPATIENT, **shared)
    (tmp_path / "second").mkdir()
    variables = {**shared, **emulator.environment(), "WHATSAPP_CLIENT_ID": "second"}
    other = Service(tmp_path / "second", ("hudhud.cli.demo.launcher", "serve"), variables)
    try:
        service.start()
        service.link()
        other.start()
        shop = Shop(service)
        wait_until(
            lambda: shop.ask("GET", "/7", at=other).status_code == 404,
            PATIENCE_SECONDS,
            "the key to be known",
        )
        phone = service.add_phone()
        started = shop.ask("POST", "/link", at=other, json={"mode": "verify", "phoneNumber": phone})
        link = started.json()
        assert f"wa.me/{service.account[1:]}?" in link["whatsappLink"]
        answers = [shop.wait_for(pool, link, at) for at in (other, service.service)]
        shop.write(phone, text_of(link["whatsappLink"]))
        for answer in answers:
            shown = answer.result(PATIENCE_SECONDS)
            assert (shown["status"], shown["provedNumber"]) == ("approved", phone)
    finally:
        other.clean_up()
        service.clean_up()
