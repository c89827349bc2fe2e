"""POST /api/v1/otp/send: accepted and refused requests, byte by byte."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from hudhud.auth import api_keys
from hudhud.channels.base import State, StateReport
from hudhud.core.clock import iso, now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.db.tables import verifications
from hudhud.messages import contacts
from hudhud.senders import records
from support.keys import make_key, revoke_key
from support.queued import put_sender, stored, verification_of
from support.services import wait_until
from support.web_server import KEY, PHONE, SECRET, SEND, ServeWeb, WebServer

REQUIRED = r'{"message":"Bad Request: \"phoneNumber\" is required in the request body."}'
INVALID = (
    '{"message":"Bad Request: Invalid phone number format. Please provide the number in '
    'international format starting with + and country code (e.g., +966XXXXXXXXX)."}'
)
KEY_MISSING = '{"message":"Unauthorized: API Key is missing from headers."}'
KEY_WRONG = '{"message":"Unauthorized: Invalid API Key."}'
ACCEPTED = re.compile(
    r'\{"message":"OTP request accepted and has been queued for sending\.",'
    r'"otp":"(?P<otp>[0-9]+)",'
    r'"jobId":(?P<job>[1-9][0-9]*),'
    r'"otp_expires_at":"(?P<expires>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}'
    r'\.[0-9]{3}Z)",'
    r'"verificationId":"(?P<id>v[0-9a-f]{43})"\}'
)


def check(response: httpx.Response, status: int, body: str) -> None:
    assert (response.status_code, response.text) == (status, body)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def accepted(response: httpx.Response) -> re.Match[str]:
    assert response.status_code == 202, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    found = ACCEPTED.fullmatch(response.text)
    assert found, response.text
    return found


def test_a_request_is_accepted_with_the_documented_body(api: WebServer) -> None:
    before = datetime.now(UTC)
    found = accepted(api.send())
    expires = datetime.fromisoformat(found["expires"])
    validity = timedelta(seconds=300)
    millisecond = timedelta(milliseconds=1)
    assert before + validity - millisecond <= expires <= datetime.now(UTC) + validity
    assert len(found["otp"]) == 4


def test_message_is_stored_before_the_answer(api: WebServer) -> None:
    found = accepted(api.send())
    row = stored(api.database, int(found["job"]))
    assert (row.phone, row.status, row.attempts) == (PHONE, "queued", 0)
    assert verification_of(api.database, row.id).status == "pending"
    assert verification_of(api.database, row.id).api_key == "environment"


def test_job_ids_increase(api: WebServer) -> None:
    jobs = [int(accepted(api.send())["job"]) for _ in range(5)]
    assert jobs == sorted(set(jobs))


def test_concurrent_requests_get_distinct_jobs_and_codes(api: WebServer) -> None:
    phones = [f"+2010012345{number:02d}" for number in range(80)]
    with ThreadPoolExecutor(16) as threads:
        found = dict(zip(phones, map(accepted, threads.map(api.send, phones)), strict=True))
    assert len({one["job"] for one in found.values()}) == 80
    cipher = CodeCipher(SECRET)
    for phone, answer in found.items():
        assert stored(api.database, int(answer["job"])).phone == phone
        verification = verification_of(api.database, int(answer["job"]))
        assert cipher.codes.open(verification.id, verification.code_sealed) == answer["otp"]


@pytest.mark.parametrize("length", [4, 6, 10])
def test_code_has_the_configured_length(serve_web: ServeWeb, length: int) -> None:
    found = accepted(serve_web(otp_length=length).send())
    assert len(found["otp"]) == length


def test_code_has_the_configured_validity(serve_web: ServeWeb) -> None:
    before = datetime.now(UTC)
    expires = datetime.fromisoformat(accepted(serve_web(otp_ttl_seconds=77).send())["expires"])
    assert abs((expires - before).total_seconds() - 77) < 20


@pytest.mark.parametrize("phone", [" +201001234567", "+201001234567\n", "\t+201001234567 \r\n"])
def test_white_space_around_a_number_is_ignored(api: WebServer, phone: str) -> None:
    found = accepted(api.send(phone))
    assert stored(api.database, int(found["job"])).phone == PHONE


def test_other_fields_are_ignored(api: WebServer) -> None:
    body = {"phoneNumber": PHONE, "otp": "9999", "jobId": 1, "more": {"deep": [1, 2]}}
    accepted(api.client.post(SEND, json=body))


@pytest.mark.parametrize("phone", [None, "", 0, False, 0.0, -0.0])
def test_empty_number_counts_as_missing(api: WebServer, phone: Any) -> None:
    check(api.send(phone), 400, REQUIRED)


@pytest.mark.parametrize("body", [{}, {"phone": PHONE}, {"phonenumber": PHONE}, [], [PHONE]])
def test_body_without_the_number_is_refused_with_a_reason(api: WebServer, body: Any) -> None:
    check(api.client.post(SEND, json=body), 400, REQUIRED)


@pytest.mark.parametrize("body", ["null", "5", "true", '"+201001234567"'])
def test_body_that_is_no_object_counts_as_without_number(api: WebServer, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    check(api.client.post(SEND, content=body, headers=headers), 400, REQUIRED)


def test_an_empty_body_has_no_number(api: WebServer) -> None:
    check(api.client.post(SEND), 400, REQUIRED)
    check(api.client.post(SEND, headers={"Content-Type": "application/json"}), 400, REQUIRED)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/octet-stream",
        "application/xml",
        "multipart/form-data",
        "",
        "json",
    ],
)
def test_a_body_of_another_type_counts_as_empty(api: WebServer, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = api.client.post(SEND, content=json.dumps({"phoneNumber": PHONE}), headers=headers)
    check(response, 400, REQUIRED)


def test_a_body_without_a_type_counts_as_empty(api: WebServer) -> None:
    response = api.client.post(SEND, content=b'{"phoneNumber":"+201001234567"}')
    assert "content-type" not in response.request.headers
    check(response, 400, REQUIRED)


def test_a_multipart_body_counts_as_empty(api: WebServer) -> None:
    check(api.client.post(SEND, files={"phoneNumber": (None, PHONE)}), 400, REQUIRED)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        "APPLICATION/JSON; CHARSET=UTF-8",
        "application/json ; boundary=x",
    ],
)
def test_content_type_may_have_parameters_and_capitals(api: WebServer, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    accepted(api.client.post(SEND, content=json.dumps({"phoneNumber": PHONE}), headers=headers))


@pytest.mark.parametrize(
    "phone",
    [
        201001234567,
        1.5,
        True,
        [],
        {},
        [PHONE],
        {"number": PHONE},
        "   ",
        "201001234567",
        "00201001234567",
        "+0201001234567",
        "+20100abc4567",
        "+20 100 123 4567",
        "+1234567",
        "+1234567890123456",
        "+96650123",
        "+999123456789",
        "+٢٠١٠٠١٢٣٤٥٦٧",
        "+201001234567\u0000",
        "+201001234567, +201001234568",
    ],
)
def test_impossible_number_is_refused(api: WebServer, phone: Any) -> None:
    check(api.send(phone), 400, INVALID)


def test_request_without_a_key_is_refused(api: WebServer) -> None:
    check(httpx.post(f"{api.client.base_url}{SEND}", json={"phoneNumber": PHONE}), 401, KEY_MISSING)


@pytest.mark.parametrize("key", [b"", b" ", b"\t "])
def test_an_empty_key_counts_as_missing(api: WebServer, key: bytes) -> None:
    request = b"POST /api/v1/otp/send HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    answer = api.raw(request + b"Content-Length: 0\r\nX-API-KEY:" + key + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"\r\n\r\n" + KEY_MISSING.encode())


@pytest.mark.parametrize(
    "key",
    [
        b"wrong",
        KEY.upper().encode(),
        KEY.encode() + b"x",
        KEY.encode()[:-1],
        "مفتاح".encode(),
        b"\xff\xfe\x80",
        b"k" * 8000,
        b"environment",
        b"hh_live_",
    ],
)
def test_a_wrong_key_is_refused_whatever_its_bytes(api: WebServer, key: bytes) -> None:
    response = api.client.post(SEND, json={"phoneNumber": PHONE}, headers={b"X-API-KEY": key})
    check(response, 401, KEY_WRONG)


def test_header_name_is_case_insensitive(api: WebServer) -> None:
    url = f"{api.client.base_url}{SEND}"
    accepted(httpx.post(url, json={"phoneNumber": PHONE}, headers={"x-Api-keY": KEY}))


@pytest.mark.parametrize("content", [b"", b"{", b"no json", b'{"phoneNumber":"bad"}', b"x" * 2**21])
def test_key_is_checked_before_the_body(api: WebServer, content: bytes) -> None:
    headers = {"X-API-KEY": "wrong", "Content-Type": "application/json"}
    check(api.client.post(SEND, content=content, headers=headers), 401, KEY_WRONG)


def test_a_key_of_the_database_works_until_it_is_revoked(
    serve_web: ServeWeb, database: Database
) -> None:
    key = make_key(database, "shop")
    server = serve_web(api_key=None)

    def response() -> httpx.Response:
        return server.client.post(SEND, json={"phoneNumber": PHONE}, headers={"X-API-KEY": key})

    job = int(accepted(response())["job"])
    assert verification_of(database, job).api_key == api_keys.readable_prefix(key)
    assert revoke_key(database, "shop")
    wait_until(lambda: response().status_code == 401, 10, "the key to be refused")
    check(response(), 401, KEY_WRONG)


def test_stranger_is_refused_while_every_sender_is_restricted(
    serve_web: ServeWeb, database: Database
) -> None:
    server = serve_web(channel="linked")
    until = now_ms() + 3_600_000
    put_sender(database, "main", "restricted", channel="linked", until=until)
    keyed = {"Idempotency-Key": "order-1"}
    with capture_logs() as lines:
        refused = server.client.post(SEND, json={"phoneNumber": PHONE}, headers=keyed)
    check(
        refused,
        503,
        '{"message":"Service temporarily unavailable due to a queueing issue. Please try again '
        'shortly.","error":"sender_restricted",'
        f'"detail":"Until {iso(until)}, WhatsApp lets no sender write to people who never wrote to '
        "it. Create a link with POST /api/v1/otp/link instead: the user writes first, and the code "
        'is sent into that chat."}',
    )
    assert 3590 <= int(refused.headers["retry-after"]) <= 3600
    (line,) = [line for line in lines if line["event"] == "request refused"]
    assert line["reason"] == f"every sender is restricted until {iso(until)}"
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=PHONE, at=now_ms(), proves=True)
    accepted(server.client.post(SEND, json={"phoneNumber": PHONE}, headers=keyed))


@pytest.mark.parametrize("state", ["pairing", "logged_out", "reconnecting", "stopped", "paused"])
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_stranger_is_accepted_while_no_sender_runs_or_is_linked(
    serve_web: ServeWeb, database: Database, state: State | Literal["paused"]
) -> None:
    server = serve_web(channel="linked")
    accepted(server.send())  # no sender has ever run
    until = now_ms() + 3_600_000
    if state == "paused":
        put_sender(database, "main", "restricted", channel="linked", until=until)
        with database.write() as connection:
            records.pause(connection, name="main", now=now_ms())
    else:
        put_sender(database, "main", state, channel="linked")
    accepted(server.send())


def test_restricted_account_without_a_way_to_anyone_suggests_no_link(
    serve_web: ServeWeb, database: Database
) -> None:
    server = serve_web(channel="linked")
    put_sender(database, "main", channel="linked")
    banned = StateReport("restricted", until=now_ms() + 3_600_000)
    with database.write() as connection:
        records.report(connection, name="main", new=banned, now=now_ms())
    refused = server.send().json()
    assert refused["error"] == "sender_restricted"
    assert "/link" not in refused["detail"]


@pytest.mark.parametrize("given", ["abc-123", "A.b_9", "x" * 64])
def test_request_id_is_returned_and_stored_with_the_message(api: WebServer, given: str) -> None:
    response = api.client.post(SEND, json={"phoneNumber": PHONE}, headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given
    assert stored(api.database, int(accepted(response)["job"])).request_id == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\tb", "é"])
def test_malformed_request_id_is_replaced(api: WebServer, given: str) -> None:
    headers = {b"X-Request-ID": given.encode()}
    response = api.client.post(SEND, json={"phoneNumber": PHONE}, headers=headers)
    made = response.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert stored(api.database, int(accepted(response)["job"])).request_id == made


def test_code_is_never_stored_in_plain_text(serve_web: ServeWeb, database: Database) -> None:
    found = accepted(serve_web(otp_length=10).send())
    job = int(found["job"])
    with database.read() as connection:
        everything = [*stored(database, job), *connection.execute(select(verifications)).one()]
    assert not any(found["otp"].encode() in _as_bytes(value) for value in everything)


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
