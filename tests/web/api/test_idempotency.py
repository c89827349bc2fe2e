"""Idempotency-Key on checks, links and resends: the same answer again, marked as replayed.

`test_send_options.py` has the tests of sends.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hudhud.core.clock import now_ms
from support.keyed_api import OTP, VERIFY, KeyedApi, keyed, new_number, refusal, wrong
from support.web_server import WebServer

LINK = f"{OTP}/link"
INVALID = (400, "invalid_parameter")
REUSED = (422, "idempotency_key_reused")
REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def shop(api: WebServer) -> KeyedApi:
    """A key that sends and checks."""
    return keyed(api)


def ask(shop: KeyedApi, path: str, body: Any, key: str = "order-1") -> httpx.Response:
    """A request with an Idempotency-Key."""
    return shop.ask("POST", path, body, {"Idempotency-Key": key})


def sent(shop: KeyedApi) -> dict[str, Any]:
    """Start a verification whose message was sent half a minute ago."""
    one = shop.accepted()
    at = now_ms() - 30_000
    shop.change_job(one["jobId"], status="sent", sent_at=at, created_at=at)
    return one


def a_wrong_code(shop: KeyedApi) -> tuple[str, Any]:
    one = shop.accepted()
    return VERIFY, {"jobId": one["jobId"], "otp": wrong(one["otp"])}


def a_right_code(shop: KeyedApi) -> tuple[str, Any]:
    one = shop.accepted()
    return VERIFY, {"jobId": one["jobId"], "otp": one["otp"]}


def a_link(_: KeyedApi) -> tuple[str, Any]:
    return LINK, {"phoneNumber": new_number(), "locale": "en"}


def a_resend(shop: KeyedApi) -> tuple[str, Any]:
    return f"{OTP}/{sent(shop)['verificationId']}/resend", None


Making = Callable[[KeyedApi], tuple[str, Any]]
EACH = pytest.mark.parametrize("make", [a_wrong_code, a_right_code, a_link, a_resend])


@EACH
def test_repeated_request_gets_the_same_answer_marked_as_replayed(
    shop: KeyedApi, make: Making
) -> None:
    path, body = make(shop)
    first, second = (ask(shop, path, body) for _ in range(2))
    assert first.is_success, first.text
    assert (second.status_code, second.text) == (first.status_code, first.text)
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"


@EACH
def test_simultaneous_requests_with_one_key_are_done_once(shop: KeyedApi, make: Making) -> None:
    path, body = make(shop)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: ask(shop, path, body), range(32)))
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert answers[0].is_success
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1


@EACH
def test_another_body_under_the_same_key_is_refused(shop: KeyedApi, make: Making) -> None:
    path, body = make(shop)
    assert ask(shop, path, body).is_success
    assert refusal(ask(shop, path, {**(body or {}), "reference": "7"})) == REUSED


@EACH
@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_has_1_to_255_characters(shop: KeyedApi, make: Making, key: str) -> None:
    path, body = make(shop)
    answer = ask(shop, path, body, key)
    assert refusal(answer) == INVALID
    assert "Idempotency-Key" in answer.json()["message"]


def test_repeated_wrong_code_uses_one_attempt(shop: KeyedApi) -> None:
    path, body = a_wrong_code(shop)
    remaining = [ask(shop, path, body, key).json()["attemptsRemaining"] for key in "aaba"]
    assert remaining == [4, 4, 3, 4]


def test_repeated_link_contains_its_token_and_is_not_cached(shop: KeyedApi) -> None:
    path, body = a_link(shop)
    first, second = (ask(shop, path, body) for _ in range(2))
    assert second.json()["token"] in second.json()["whatsappLink"]
    assert second.json()["token"] == first.json()["token"]
    assert second.headers["Cache-Control"] == "no-store"
    phone = body["phoneNumber"]
    assert len(shop.get(phoneNumber=phone).json()["verifications"]) == 1


def test_resend_of_a_job_is_the_same_request_as_that_of_its_verification(shop: KeyedApi) -> None:
    one = sent(shop)
    first, second = (
        ask(shop, f"{OTP}/{one[name]}/resend", None) for name in ("jobId", "verificationId")
    )
    assert second.text == first.text
    assert second.headers[REPLAYED] == "true"
    shown = shop.get(f"/{one['verificationId']}").json()
    assert len(shown["jobs"]) == 2


def test_refused_request_may_be_repeated_with_its_key(shop: KeyedApi) -> None:
    phone = new_number()
    body = {"phoneNumber": phone, "otp": "0471"}
    assert refusal(ask(shop, VERIFY, body)) == (404, "nothing_pending")
    one = shop.accepted(phone, code="0471")
    assert refusal(ask(shop, f"{OTP}/{one['jobId']}/resend", None)) == (409, "still_queued")
    shop.change_job(one["jobId"], status="sent", created_at=now_ms() - 30_000)
    for path, asked, status in (
        (f"{OTP}/{one['jobId']}/resend", None, 202),
        (VERIFY, body, 200),
    ):
        answer = ask(shop, path, asked)
        assert answer.status_code == status, answer.text
        assert REPLAYED not in answer.headers


def test_limits_are_not_reported_with_a_replayed_answer(api: WebServer) -> None:
    shop = keyed(api, limits="per_number=0 per_prefix=0 per_key=2/1h")
    path, body = a_link(shop)
    first, second = (ask(shop, path, body) for _ in range(2))
    assert first.headers["RateLimit"].startswith('"per_key-1h";r=1')
    assert "RateLimit" not in second.headers


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_resend_without_a_key_ignores_its_body(shop: KeyedApi, content: bytes) -> None:
    path, _ = a_resend(shop)
    headers = {"X-API-KEY": shop.key, "Content-Type": "application/json"}
    with_key = {**headers, "Idempotency-Key": "order-1"}
    assert shop.server.client.post(path, content=content, headers=with_key).status_code == 400
    assert shop.server.client.post(path, content=content, headers=headers).status_code == 202
