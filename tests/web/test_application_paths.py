"""Paths and methods: existing, missing, and their exact answers."""

import re

import pytest

from support.keyed_api import keyed
from support.web_server import KEY, PHONE, SEND, WebServer

KNOWN = [
    ("/", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    (SEND, "POST"),
    ("/api/v1/otp/1", "GET"),
    ("/api/v1/sandbox/messages", "GET"),
    ("/api/docs", "GET"),
    ("/api/openapi.json", "GET"),
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]
WRONG = [(path, method) for path, right in KNOWN for method in METHODS if method != right]


def not_found(method: str, path: str) -> str:
    return f'{{"error":"Not Found","message":"Cannot {method} {path}"}}'


@pytest.mark.parametrize(("path", "method"), WRONG)
def test_a_wrong_method_on_a_known_path_is_not_found(
    api: WebServer, path: str, method: str
) -> None:
    response = api.client.request(method, path)
    assert (response.status_code, response.text) == (404, not_found(method, path))
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path", ["/nope", "/api", "/api/v1", "/api/v2/otp/send", "/nope/", "/a/b/c"]
)
def test_an_unknown_path_is_not_found(api: WebServer, path: str, method: str) -> None:
    response = api.client.request(method, path)
    assert (response.status_code, response.text) == (404, not_found(method, path))


def test_answer_does_not_repeat_the_query(api: WebServer) -> None:
    assert api.client.get("/nope?key=secret&a=b").text == not_found("GET", "/nope")
    assert api.client.post("/nope?").text == not_found("POST", "/nope")
    assert api.client.get(f"{SEND}?a=1").text == not_found("GET", SEND)


def request(method: str, target: bytes) -> bytes:
    """Send a request whose target is transmitted unchanged."""
    return method.encode() + b" " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "target",
    [
        b"/a%20b",
        b"/%D9%85%D8%B1",
        b"/%FF%FE",
        b"/%zz",
        b"/%",
        b"/%00",
        b"/a%2Fb",
        b"/<script>alert(1)</script>",
        b"/..%2f..%2fetc/passwd",
        b"/../etc/passwd",
        b"//nope",
        b"/" + b"x" * 5000,
    ],
)
def test_answer_repeats_the_path_as_sent(api: WebServer, target: bytes) -> None:
    answer = api.raw(request("GET", target))
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert answer.endswith(b"\r\n\r\n" + not_found("GET", target.decode()).encode())


@pytest.mark.parametrize("target", [b'/"quoted"', b"/back\\slash"])
def test_path_is_escaped_in_the_json(api: WebServer, target: bytes) -> None:
    answer = api.raw(request("GET", target))
    escaped = target.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    assert answer.endswith(b'"message":"Cannot GET ' + escaped + b'"}')


@pytest.mark.parametrize("target", ["/مرحبا".encode(), b"/\xff\xfe", b"/\x01", b"nope", b"*"])
def test_invalid_target_is_refused_without_side_effects(api: WebServer, target: bytes) -> None:
    status = api.raw(request("GET", target)).split(b" ", 2)[1]
    assert status in (b"400", b"404")
    assert api.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", [f"{SEND}/", f"/{SEND}", "/api//v1/otp/send"])
def test_a_trailing_slash_is_accepted(api: WebServer, path: str) -> None:
    url = f"http://127.0.0.1:{api.port}{path}"
    assert api.client.post(url, json={"phoneNumber": PHONE}).status_code == 202


@pytest.mark.parametrize(
    "path", ["/API/v1/OTP/send", "/api/V1/otp/SEND", "/Api/v1/Otp/Send/", "/API/V1/OTP/SEND/"]
)
def test_a_code_may_be_requested_in_any_letter_case(api: WebServer, path: str) -> None:
    assert api.client.post(path, json={"phoneNumber": PHONE}).status_code == 202
    refused = api.client.post(path, json={"phoneNumber": "1"})
    assert (refused.status_code, list(refused.json())) == (400, ["message"])


@pytest.mark.parametrize("end", ["", "/"])
def test_other_paths_under_it_accept_any_letter_case(api: WebServer, end: str) -> None:
    shop = keyed(api)
    one = shop.accepted(code="4711")
    job, verification = one["jobId"], one["verificationId"]
    assert shop.ask("GET", f"/API/v1/OTP/{job}{end}").json()["jobId"] == job
    shown = shop.ask("GET", f"/Api/V1/Otp/{verification}{end}").json()
    assert shown["verificationId"] == verification
    assert shop.ask("HEAD", f"/API/V1/OTP/{job}{end}").status_code == 200
    assert "verifications" in shop.ask("GET", f"/API/V1/OTP{end}").json()
    checked = shop.ask("POST", f"/API/V1/OTP/Verify{end}", {"jobId": job, "otp": "4711"})
    assert checked.json()["valid"] is True
    other = shop.accepted()
    canceled = shop.ask("POST", f"/api/v1/OTP/{other['verificationId']}/CANCEL{end}")
    assert canceled.json()["status"] == "canceled"


def test_identifiers_keep_their_letter_case(api: WebServer) -> None:
    shop = keyed(api)
    verification = shop.accepted()["verificationId"]
    answer = shop.ask("GET", f"/api/v1/otp/{verification.upper()}")
    assert answer.status_code == 404
    assert verification.upper() in answer.json()["message"]


@pytest.mark.parametrize(
    "path",
    ["/HEALTHZ", "/API/docs", "/API/openapi.json", "/ADMIN/status", "/api/v1/SANDBOX/messages",
     "/API/v1/OTP/nope/NOPE", "/API/v1/OTPsend"],
)  # fmt: skip
def test_other_paths_have_one_letter_case(api: WebServer, path: str) -> None:
    response = api.client.get(path)
    assert (response.status_code, response.text) == (404, not_found("GET", path))


def test_answer_repeats_the_letter_case_of_the_path(api: WebServer) -> None:
    response = api.client.get("/API/v1/OTP/Send/")
    assert (response.status_code, response.text) == (404, not_found("GET", "/API/v1/OTP/Send/"))


def test_a_trailing_slash_is_accepted_of_every_path(api: WebServer) -> None:
    assert api.client.get("/healthz/").status_code == 200
    job = api.send().json()["jobId"]
    assert api.client.get(f"/api/v1/otp/{job}/").json()["jobId"] == job


def test_the_query_of_a_request_for_a_code_is_ignored(api: WebServer) -> None:
    response = api.client.post(f"{SEND}?phoneNumber=1", json={"phoneNumber": PHONE})
    assert response.status_code == 202


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/api/v1/otp/0", "/api/docs", "/nope", SEND]
)
def test_head_answers_like_get_without_a_body(api: WebServer, path: str) -> None:
    get, head = api.client.get(path), api.client.head(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.content == b""


def test_connection_stays_usable_after_head(api: WebServer) -> None:
    answers = api.raw(
        b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.count(b'{"status":"ok"}') == 1


@pytest.mark.parametrize(("path", "method"), KNOWN)
def test_options_names_the_methods_of_a_known_path(api: WebServer, path: str, method: str) -> None:
    response = api.client.options(path)
    assert response.status_code == 204
    assert method in response.headers["allow"].split(", ")


def test_options_of_an_unknown_path_is_not_found(api: WebServer) -> None:
    response = api.client.options("/nope")
    assert (response.status_code, response.text) == (404, not_found("OPTIONS", "/nope"))


def test_root_answers_as_in_the_earlier_application(api: WebServer) -> None:
    response = api.client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert re.fullmatch(
        r'\{"message":"[^"]+","status":"success",'
        r'"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}',
        response.text,
    )


def test_root_leads_a_browser_to_the_dashboard(api: WebServer) -> None:
    html = "text/html,application/xhtml+xml,*/*;q=0.8"
    response = api.client.get("/", headers={"Accept": html}, follow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (303, "/admin/status")
    for accepted in ("*/*", "application/json", "text/plain"):
        assert api.client.get("/", headers={"Accept": accepted}).status_code == 200
    assert response.headers["Vary"] == "Accept"


def test_the_root_needs_no_key(api: WebServer) -> None:
    assert b" 200 OK" in api.raw(request("GET", b"/"))


@pytest.mark.parametrize("host", [b"localhost", b"hudhud_web:3000", b"[::1]:3000", b"10.0.0.1"])
def test_every_common_host_name_is_served(api: WebServer, host: bytes) -> None:
    head = b"GET /healthz HTTP/1.1\r\nConnection: close\r\nX-API-KEY: " + KEY.encode()
    assert b" 200 OK" in api.raw(head + b"\r\nHost: " + host + b"\r\n\r\n")
