"""GET /api/v1/otp/{jobId}: the state of a message."""

import re
from typing import Any

import httpx
import pytest

from hudhud.auth.caller import ENVIRONMENT
from hudhud.channels.base import Receipt, ReceiptKind
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.messages import queue, receipts
from hudhud.messages.outcomes import Failed, Outcome, Returned, Sent
from hudhud.verification.new_verification import Accepted
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, VALIDITY_MS, caller, change
from support.verifying import request, start
from support.web_server import KEY, ServeWeb, WebServer

AT = "2026-11-24T01:31:18.036Z"  # NOW
EXPIRES = "2026-11-24T01:36:18.036Z"
SECOND = 1000


def submit(database: Database) -> tuple[int, str]:
    """Queue a message of the requesting key; return its job and verification."""
    (one,) = start(database, (caller(ENVIRONMENT), request()))
    assert isinstance(one, Accepted)
    return one.message_id, one.verification_id


def get(server: WebServer, job: object) -> httpx.Response:
    return server.client.get(f"/api/v1/otp/{job}")


def claim(database: Database, now: int) -> None:
    with database.write() as connection:
        assert queue.claim(connection, channel="sandbox", sender="s", limit=1, now=now)


def record(database: Database, outcome: Outcome) -> None:
    with database.write() as connection:
        record_outcomes(connection, sender="s", outcomes=[outcome], now=NOW)


def receipt(database: Database, kind: ReceiptKind, at: int) -> None:
    with database.write() as connection:
        assert not receipts.record_receipts(connection, [Receipt("p-1", kind, at)], now=NOW)


def test_exact_body_of_a_pending_job(empty_api: WebServer) -> None:
    database = empty_api.database
    job, verification = submit(database)
    response = get(empty_api, job)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.text == (
        f'{{"jobId":{job},"status":"pending","delivery":"queued","error":null,"attempts":0,'
        f'"created_at":"{AT}","otp_expires_at":"{EXPIRES}","sending_at":null,"sent_at":null,'
        '"delivered_at":null,"read_at":null,"finished_at":null,'
        f'"verificationId":"{verification}"}}'
    )


def test_each_step_of_a_job_is_shown_with_its_time(empty_api: WebServer) -> None:
    database = empty_api.database
    job, _ = submit(database)
    server = empty_api
    seen: dict[str, Any] = get(server, job).json()

    def step(**expected: object) -> None:
        seen.update(expected)
        assert get(server, job).json() == seen

    claim(database, NOW + 1 * SECOND)
    step(status="processing", delivery="sending", attempts=1, sending_at="2026-11-24T01:31:19.036Z")
    record(database, Sent(job, "p-1", NOW + 2 * SECOND))
    step(status="sent", delivery="sent", sent_at="2026-11-24T01:31:20.036Z")
    receipt(database, "delivered", NOW + 3 * SECOND)
    step(delivery="delivered", delivered_at="2026-11-24T01:31:21.036Z")
    receipt(database, "read", NOW + 4 * SECOND)
    step(delivery="read", read_at="2026-11-24T01:31:22.036Z")


def test_failed_job_gives_its_reason(empty_api: WebServer) -> None:
    database = empty_api.database
    job, _ = submit(database)
    claim(database, NOW)
    record(
        database, Failed(job, other("There is no WhatsApp account for this number."), NOW + SECOND)
    )
    body = get(empty_api, job).json()
    assert (body["status"], body["delivery"]) == ("failed", "failed")
    assert body["error"] == "There is no WhatsApp account for this number."
    assert body["finished_at"] == "2026-11-24T01:31:19.036Z"


def test_job_awaiting_a_retry_is_pending_with_a_reason(empty_api: WebServer) -> None:
    database = empty_api.database
    job, _ = submit(database)
    claim(database, NOW)
    record(
        database,
        Returned(job, NOW + 9 * SECOND, other("The connection broke."), spends_attempt=True),
    )
    body = get(empty_api, job).json()
    assert (body["status"], body["delivery"], body["attempts"]) == ("pending", "queued", 1)
    assert body["error"] == "The connection broke."


def test_an_expired_job_has_failed_and_says_so(empty_api: WebServer) -> None:
    database = empty_api.database
    job, _ = submit(database)
    with database.write() as connection:
        queue.expire(connection, now=NOW + VALIDITY_MS)
    body = get(empty_api, job).json()
    assert (body["status"], body["delivery"], body["finished_at"]) == ("failed", "expired", EXPIRES)
    assert body["error"] == "The code expired before it could be sent."


def test_a_canceled_job_has_failed(empty_api: WebServer) -> None:
    database = empty_api.database
    job, _ = submit(database)
    change(database, job, status="canceled", finished_at=NOW)
    body = get(empty_api, job).json()
    assert (body["status"], body["delivery"]) == ("failed", "canceled")


def test_answer_contains_neither_code_nor_number(serve_web: ServeWeb) -> None:
    server = serve_web(otp_length=10)
    accepted = server.send().json()
    body = get(server, accepted["jobId"]).text
    assert accepted["otp"] not in body
    assert "1001234567" not in body


@pytest.mark.parametrize(
    "job",
    [
        "0",
        "00",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999",
        "9" * 4000,
        "-1",
        "-9223372036854775808",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        "1_000",
        "NaN",
        "null",
        "abc",
        "%31%20",
        "%20",
        "1%00",
        "%zz",
        "%FF",
        "%D9%A1",  # Arabic digits
        "²",
        "1;DROP TABLE messages",
        "1'",
        "*",
        "..",
    ],
)
def test_unknown_job_is_not_found(api: WebServer, job: str) -> None:
    api.send()
    response = api.client.get(f"http://127.0.0.1:{api.port}/api/v1/otp/{job}")
    assert response.status_code == 404, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert "message" in response.json()


def test_the_sentence_for_a_missing_job_names_it(api: WebServer) -> None:
    assert get(api, 10**15).text == f'{{"message":"Job with ID {10**15} not found."}}'


def test_id_with_leading_zeros_is_not_found(api: WebServer) -> None:
    job = api.send().json()["jobId"]
    assert get(api, job).status_code == 200
    assert get(api, f"0{job}").status_code == 404


@pytest.mark.parametrize("job", ["1", "abc", "9" * 100])
def test_job_requires_a_valid_key(api: WebServer, job: str) -> None:
    url = f"http://127.0.0.1:{api.port}/api/v1/otp/{job}"
    missing = '{"message":"Unauthorized: API Key is missing from headers."}'
    wrong = '{"message":"Unauthorized: Invalid API Key."}'
    assert (httpx.get(url).status_code, httpx.get(url).text) == (401, missing)
    response = httpx.get(url, headers={"X-API-KEY": KEY + "x"})
    assert (response.status_code, response.text) == (401, wrong)


def test_every_time_is_written_with_milliseconds_and_z(api: WebServer) -> None:
    body = get(api, api.send().json()["jobId"]).json()
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    assert form.fullmatch(body["created_at"])
    assert form.fullmatch(body["otp_expires_at"])
