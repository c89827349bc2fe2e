"""Request bodies: forms, broken, too large, or chunked."""

import json
import socket

import httpx
import pytest
from structlog.testing import capture_logs

from support.queued import stored
from support.services import wait_until
from support.web_server import KEY, PHONE, SEND, WebServer

REQUIRED = r'{"message":"Bad Request: \"phoneNumber\" is required in the request body."}'
INVALID = (
    '{"message":"Bad Request: Invalid phone number format. Please provide the number in '
    'international format starting with + and country code (e.g., +966XXXXXXXXX)."}'
)
NOT_JSON = '{"message":"Bad Request: The request body is not valid JSON."}'
TOO_LARGE = '{"message":"request entity too large"}'
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LARGEST = 100 * 1024  # the limit of the earlier application
OBJECT = b'{"phoneNumber":"+201001234567"}'


def post(api: WebServer, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return api.client.post(SEND, content=content, headers=headers)


def head(length: str, *more: str) -> bytes:
    lines = [f"POST {SEND} HTTP/1.1", "Host: localhost", f"X-API-KEY: {KEY}", *more]
    lines += ["Content-Type: application/json", length]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"phoneNumber=%2B201001234567",
        b"phoneNumber=+201001234567",  # an unescaped plus is a space
        b"phoneNumber=%2B201001234567&name=x&phone=1",
        b"name=%FF%FE&phoneNumber=%2B201001234567",
        b"phoneNumber=%20%2B201001234567%20",
    ],
)
def test_a_form_is_accepted(api: WebServer, content: bytes) -> None:
    response = post(api, content, FORM)
    assert response.status_code == 202, response.text
    assert stored(api.database, response.json()["jobId"]).phone == PHONE


def test_a_form_may_name_its_charset(api: WebServer) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert post(api, b"phoneNumber=%2B201001234567", headers).status_code == 202


@pytest.mark.parametrize(
    "content", [b"", b"phoneNumber=", b"phoneNumber", b"phone=1", b"&&&", b"{}"]
)
def test_form_without_the_number_is_refused_with_a_reason(api: WebServer, content: bytes) -> None:
    response = post(api, content, FORM)
    assert (response.status_code, response.text) == (400, REQUIRED)


@pytest.mark.parametrize(
    "content",
    [
        b"phoneNumber=201001234567",
        b"phoneNumber=++201001234567",
        b"phoneNumber=%2B20+100+123+4567",
        b"phoneNumber=%2B201001234567&phoneNumber=%2B201001234567",
        b"phoneNumber=%FF",
        "phoneNumber=+٢٠١٠٠١٢٣٤٥٦٧".encode(),
        b"phoneNumber=%00",
    ],
)
def test_form_with_an_invalid_number_or_several_is_refused(api: WebServer, content: bytes) -> None:
    response = post(api, content, FORM)
    assert (response.status_code, response.text) == (400, INVALID)


def test_form_with_too_many_fields_is_refused(api: WebServer) -> None:
    response = post(api, b"&".join([b"a=1"] * 20_000), FORM)
    assert (response.status_code, response.text) == (
        400,
        '{"message":"Bad Request: The form has too many fields."}',
    )


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"}",
        b" ",
        b"phoneNumber=%2B201001234567",
        b"{'phoneNumber': '+201001234567'}",
        OBJECT + b"}",
        OBJECT + OBJECT,
        b'{"phoneNumber":"+201001234567",}',
        b'{"phoneNumber":+201001234567}',
        b'{"phoneNumber":NaN}',
        b'{"phoneNumber":01}',
        b'{"phoneNumber":"\xff',
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
        b'{"phoneNumber":"+201001234567","a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_invalid_json_is_refused_with_a_reason(api: WebServer, content: bytes) -> None:
    response = post(api, content, JSON)
    assert (response.status_code, response.text) == (400, NOT_JSON)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + OBJECT,  # a byte order mark
        b" \r\n\t" + OBJECT + b"\n",
        b'{"name":"Andr\xe9","phoneNumber":"+201001234567"}',  # not UTF-8, but in an ignored field
        b'{"phoneNumber":"no","phoneNumber":"+201001234567"}',  # the last one counts
        rb'{"phone\u004eumber":"\u002b201001234567"}',
        b'{"a":' + b"9" * 300 + b',"phoneNumber":"+201001234567"}',
        b'{"a":' + b"[" * 100 + b"]" * 100 + b',"phoneNumber":"+201001234567"}',
    ],
)
def test_bodies_of_the_earlier_application_are_accepted(api: WebServer, content: bytes) -> None:
    response = post(api, content, JSON)
    assert response.status_code == 202, response.text
    assert stored(api.database, response.json()["jobId"]).phone == PHONE


@pytest.mark.parametrize(
    "content",
    [
        b'{"phoneNumber":' + b"9" * 300 + b"}",
        b'{"phoneNumber":-5}',
        b'{"phoneNumber":"\xff201001234567"}',
        rb'{"phoneNumber":"\u0000"}',
    ],
)
def test_malformed_number_is_refused(api: WebServer, content: bytes) -> None:
    response = post(api, content, JSON)
    assert (response.status_code, response.text) == (400, INVALID)


@pytest.mark.parametrize(
    "content", [b'{"a":1e400}', rb'{"a":"\ud800"}', b'{"a":' + b"9" * 9000 + b"}"]
)
def test_impossible_numbers_and_characters_are_client_errors(
    api: WebServer, content: bytes
) -> None:
    response = post(api, content, JSON)
    assert (response.status_code, response.text) == (400, NOT_JSON)


def padded(size: int) -> bytes:
    """Return a valid body of exactly `size` bytes."""
    empty = json.dumps({"phoneNumber": PHONE, "padding": ""}).encode()
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')


def test_a_body_of_exactly_100_kib_is_accepted(api: WebServer) -> None:
    assert post(api, padded(LARGEST), JSON).status_code == 202


def test_a_larger_body_is_refused(api: WebServer) -> None:
    response = post(api, padded(LARGEST + 1), JSON)
    assert (response.status_code, response.text) == (413, TOO_LARGE)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_larger_body_without_a_content_length_is_refused(api: WebServer) -> None:
    pieces = (b"x" * 65_536 for _ in range(20))
    response = api.client.post(SEND, content=pieces, headers=JSON)
    assert "content-length" not in response.request.headers
    assert (response.status_code, response.text) == (413, TOO_LARGE)


def test_large_body_of_another_type_is_refused(api: WebServer) -> None:
    response = post(api, b"x" * (2 * LARGEST), {"Content-Type": "text/plain"})
    assert (response.status_code, response.text) == (413, TOO_LARGE)


def test_connection_stays_usable_after_a_refused_large_body(api: WebServer) -> None:
    for _ in range(3):
        assert post(api, b"x" * 3_000_000, JSON).status_code == 413
        assert api.send().status_code == 202


def test_chunked_body_is_accepted(api: WebServer) -> None:
    pieces = (OBJECT[place : place + 5] for place in range(0, len(OBJECT), 5))
    assert api.client.post(SEND, content=pieces, headers=JSON).status_code == 202


def test_expect_100_continue_is_answered(api: WebServer) -> None:
    request = head(f"Content-Length: {len(OBJECT)}", "Expect: 100-continue", "Connection: close")
    with socket.create_connection(("127.0.0.1", api.port), 20) as connection:
        connection.sendall(request)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(OBJECT)
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")


def test_large_body_with_expect_100_continue_is_refused_at_once(api: WebServer) -> None:
    length = f"Content-Length: {5 * LARGEST}"
    with socket.create_connection(("127.0.0.1", api.port), 20) as connection:
        connection.sendall(head(length, "Expect: 100-continue"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_disconnect_during_the_body_is_no_server_error(
    api: WebServer,
) -> None:
    with capture_logs() as lines:
        with socket.create_connection(("127.0.0.1", api.port), 20) as connection:
            connection.sendall(head(f"Content-Length: {len(OBJECT)}") + OBJECT[:10])
        left = "the client disconnected before its request was complete"
        wait_until(lambda: any(line["event"] == left for line in lines), 10, left)
    assert not [line for line in lines if line["log_level"] in ("error", "critical")]
    assert api.send().status_code == 202


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        head("Content-Length: -1"),
    ],
)
def test_invalid_http_is_refused_without_side_effects(api: WebServer, request_bytes: bytes) -> None:
    assert b" 202 " not in api.raw(request_bytes)
    assert api.send().status_code == 202
