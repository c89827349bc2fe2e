"""Numbers in requests: one documented form for sends, and any spelling elsewhere."""

from typing import Any

import pytest
from sqlalchemy import select

from hudhud.channels.base import Account
from hudhud.db.tables import messages
from hudhud.messages import whatsapp_accounts
from hudhud.web.api.phone_number import INVALID
from support.keyed_api import KeyedApi, keyed, refusal
from support.web_server import WebServer

SHORT, LONG = "+541112345678", "+5491112345678"


@pytest.fixture
def shop(empty_api: WebServer) -> KeyedApi:
    """A key that sends and checks, without limits."""
    return keyed(empty_api)


def stored(shop: KeyedApi, job: int) -> Any:
    with shop.server.database.read() as connection:
        return connection.execute(select(messages).where(messages.c.id == job)).one()


def join(shop: KeyedApi) -> None:
    """Store WhatsApp's answer that both numbers are one account."""
    with shop.server.database.write() as connection:
        for phone in (SHORT, LONG):
            account = Account(phone=LONG, lid="1")
            whatsapp_accounts.remember(connection, phone=phone, account=account)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+9660501234567", "+966501234567"),
        ("+2001001234567", "+201001234567"),
        ("+9710501234567", "+971501234567"),
        ("+9005321234567", "+905321234567"),
        ("+9203001234567", "+923001234567"),
        ("+4407911123456", "+447911123456"),
        ("+789161234567", "+79161234567"),
        ("+3606201234567", "+36201234567"),
        ("+112025550123", "+12025550123"),
        ("+54111512345678", "+5491112345678"),
        ("+390612345678", "+390612345678"),
        ("+5215512345678", "+525512345678"),
        ("+22507123456", "+2250707123456"),
        ("\ufeff+201001234567", "+201001234567"),
    ],
)
def test_a_code_is_sent_to_the_number_in_its_one_form(
    shop: KeyedApi, written: str, kept: str
) -> None:
    sent = shop.accepted(written)
    assert stored(shop, sent["jobId"]).phone == kept
    assert shop.get(f"/{sent['verificationId']}").json()["phoneNumber"] == kept


@pytest.mark.parametrize(
    "written",
    [
        "+12530000",
        "+4479460018",
        "+541234567",
        "+20212345",
        "+966 50 123 4567",
        "00966501234567",
        "966501234567",
        "+6834012",
        "+٩٦٦٥٠١٢٣٤٥٦٧",
    ],
)
def test_other_numbers_get_the_documented_refusal(shop: KeyedApi, written: str) -> None:
    answer = shop.send(written)
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID)


@pytest.mark.parametrize(
    "written",
    ["+966501234567", "+9660501234567", "00966 50-123-4567", "\u202a+966 (0) 50.123.4567\u202c"],
)
def test_check_and_list_read_the_number_as_people_write_it(shop: KeyedApi, written: str) -> None:
    sent = shop.accepted("+9660501234567")
    listed = shop.get(phoneNumber=written).json()["verifications"]
    assert [one["verificationId"] for one in listed] == [sent["verificationId"]]
    assert shop.check(phoneNumber=written, otp=sent["otp"]).json()["valid"]


def test_unescaped_plus_in_a_query_is_read(shop: KeyedApi) -> None:
    sent = shop.accepted("+966501234567")
    answer = shop.server.client.get(
        "/api/v1/otp?phoneNumber=+966501234567", headers={"X-API-KEY": shop.key}
    )
    assert [one["verificationId"] for one in answer.json()["verifications"]] == [
        sent["verificationId"]
    ]


def test_number_that_a_send_refuses_now_is_found(shop: KeyedApi) -> None:
    sent = shop.accepted()
    shop.change(sent["verificationId"], phone="+12530000")
    listed = shop.get(phoneNumber="+12530000").json()["verifications"]
    assert [one["phoneNumber"] for one in listed] == ["+12530000"]
    assert shop.check(phoneNumber="+12530000", otp=sent["otp"]).json()["valid"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("+966501234567", "+9660501234567"), ("+5491112345678", "+54111512345678")],
)
def test_another_spelling_does_not_evade_a_limit(
    empty_api: WebServer, first: str, second: str
) -> None:
    limited = keyed(empty_api, limits="per_number=1/30s per_prefix=0")
    assert limited.send(first).status_code == 202
    assert refusal(limited.send(second)) == (429, "rate_limited")


def test_two_numbers_of_one_account_share_a_limit(empty_api: WebServer) -> None:
    limited = keyed(empty_api, limits="per_number=2/1h per_prefix=0")
    assert limited.send(SHORT).status_code == 202  # WhatsApp has not been asked yet
    join(limited)
    second = limited.send(LONG)
    assert second.headers["ratelimit"].startswith('"per_number-1h";r=0')
    assert second.headers["ratelimit-policy"].count("per_number") == 1
    for phone in (SHORT, LONG):
        assert refusal(limited.send(phone)) == (429, "rate_limited")


def test_newer_code_supersedes_that_to_another_number_of_the_account(shop: KeyedApi) -> None:
    join(shop)
    older, newer = shop.accepted(SHORT), shop.accepted(LONG)
    assert shop.verification(older["verificationId"]).reason == "superseded"
    assert shop.verification(newer["verificationId"]).status == "pending"
    checked = shop.check(phoneNumber=SHORT, otp=newer["otp"]).json()
    assert (checked["valid"], checked["verificationId"]) == (True, newer["verificationId"])


def test_whatsapps_form_of_the_number_is_a_separate_field(shop: KeyedApi) -> None:
    join(shop)
    sent = shop.accepted(SHORT)
    shown = shop.get(f"/{sent['verificationId']}").json()
    assert (shown["phoneNumber"], shown["whatsappNumber"]) == (SHORT, LONG)
    (listed,) = shop.get(phoneNumber=LONG).json()["verifications"]
    assert (listed["phoneNumber"], listed["whatsappNumber"]) == (SHORT, LONG)
