"""POST /api/v1/otp/link, its QR code, and requests that wait for its result."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from sqlalchemy import select, update

from hudhud.channels.base import StateReport
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from hudhud.senders import records
from hudhud.verification import lifecycle
from hudhud.verification.links import tokens
from support.keys import make_key
from support.links import text_of
from support.queued import put_sender
from support.services import wait_until
from support.web_server import PHONE, ServeWeb, WebServer

LINK = "/api/v1/otp/link"
INBOUND = "/api/v1/sandbox/inbound"
ACCOUNT = "+201550000001"
OTHER = "+201001234599"
SECONDS = 20.0
NOTHING = "v" + "0" * 43
MISTAKES: list[dict[str, Any]] = [
    {"mode": "call"},
    {"mode": ["reply"]},
    {"phoneNumber": "01001234567"},
    {"phoneNumber": 5},
    {"phoneNumber": []},
    {"reference": "x" * 65},
    {"reference": 7},
    {"locale": "e n"},
    {"locale": "-"},
    {"clientIp": "192.0.2.1, 198.51.100.2"},
    {"redirectUrl": "javascript:alert(1)"},
    {"redirectUrl": "//example.com"},
    {"redirectUrl": "ftp://example.com"},
    {"redirectUrl": "https://"},
    {"redirectUrl": "https://["},
    {"redirectUrl": "https://example.com/a b"},
    {"redirectUrl": "https://example.com/" + "x" * 2000},
    {"redirectUrl": {}},
]


Serve = Callable[..., WebServer]


def links_key(database: Database, name: str = "shop", *scopes: str, **own: Any) -> str:
    """Create a key that may do everything with links, unless `scopes` or `own` say otherwise."""
    chosen = scopes or ("send", "verify", "read", "sandbox")
    return make_key(database, name, *chosen, **{"limits": "per_number=0 per_prefix=0", **own})


@pytest.fixture
def lend(empty_api: WebServer) -> Iterator[Serve]:
    """Lend the shared sandbox server with a client of a key for links."""
    with ExitStack() as clients:

        def begin(*name_and_scopes: str, **own: Any) -> WebServer:
            key = links_key(empty_api.database, *name_and_scopes, **own)
            return clients.enter_context(empty_api.used_with(key))

        yield begin


@pytest.fixture
def server(lend: Serve) -> WebServer:
    """The shared server, whose client's key may use mode verify."""
    return lend(may_link_verify=True)


@pytest.fixture
def serve(serve_web: ServeWeb, database: Database) -> Serve:
    """Start servers whose client has a key for links."""

    def begin(key: str | None = None, channel: str = "sandbox", **own: Any) -> WebServer:
        # Created before the start, so that the server knows it at once.
        used = key or links_key(database, **own)
        started = serve_web(channel=channel)
        started.client.headers["X-API-KEY"] = used
        return started

    return begin


@pytest.fixture
def own_server(serve: Serve) -> WebServer:
    """A server that the test may stop, with a key that may use mode verify."""
    return serve(may_link_verify=True)


def get(server: WebServer, identifier: str, **query: Any) -> httpx.Response:
    return server.client.get(f"/api/v1/otp/{identifier}", params=query)


def start(server: WebServer, **fields: Any) -> dict[str, Any]:
    answer = server.client.post(LINK, json=fields)
    assert answer.status_code == 201, answer.text
    started: dict[str, Any] = answer.json()
    return started


def write(server: WebServer, text: str, phone: str = PHONE) -> None:
    """Write from a person to the sandbox."""
    answer = server.client.post(INBOUND, json={"phoneNumber": phone, "text": text})
    assert answer.status_code == 202, answer.text


def end(database: Database, verification_id: str) -> None:
    with database.write() as connection:
        lifecycle.cancel(connection, [verification_id], reason="caller", now=now_ms())
        database.notify(connection)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


# Start


def test_answer_contains_the_link_and_its_token(server: WebServer) -> None:
    before = now_ms()
    answer = server.client.post(LINK, json={})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    link = answer.json()
    assert list(link) == ["verificationId", "whatsappLink", "token", "otp_expires_at"]
    assert re.fullmatch(r"https://wa\.me/447700900000\?text=[!-~]+", link["whatsappLink"])
    assert link["token"] in text_of(link["whatsappLink"])
    with server.database.read() as connection:
        row = connection.execute(select(verifications)).one()
    assert row.id == link["verificationId"]
    assert before + 600_000 <= row.expires_at <= now_ms() + 600_000


def test_empty_body_and_form_are_accepted(server: WebServer) -> None:
    assert server.client.post(LINK).status_code == 201
    answer = server.client.post(LINK, data={"phoneNumber": PHONE, "reference": "7"})
    assert answer.status_code == 201
    shown = get(server, answer.json()["verificationId"]).json()
    assert (shown["phoneNumber"], shown["reference"], shown["mode"]) == (PHONE, "7", "reply")


def test_verification_shows_the_requested_options(server: WebServer) -> None:
    address = "https://example.com/done?order=7#paid"
    link = start(server, mode="verify", phoneNumber=PHONE, locale="de", redirectUrl=address)
    shown = get(server, link["verificationId"]).json()
    assert (shown["status"], shown["mode"], shown["locale"]) == ("pending", "verify", "de")
    assert (shown["redirectUrl"], shown["provedNumber"], shown["jobs"]) == (address, None, [])


def test_invalid_body_starts_no_link(server: WebServer) -> None:
    for fields in MISTAKES:
        answer = server.client.post(LINK, json=fields)
        assert answer.status_code == 400, fields
        assert "Bad Request" in answer.json()["message"]
    with server.database.read() as connection:
        assert connection.execute(select(verifications)).all() == []


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"locale": "in_ID"}, "id"),
        ({"locale": "iw"}, "en"),  # the default: the country is not known yet
        ({"locale": "iw", "phoneNumber": PHONE}, "ar"),
        ({"locale": "zh-Hant-TW", "phoneNumber": PHONE}, "ar"),
        ({"phoneNumber": PHONE}, "ar"),
        ({}, "en"),
    ],
)
def test_status_always_has_the_language_of_a_link(
    server: WebServer, fields: dict[str, str], kept: str
) -> None:
    link = start(server, **fields)
    assert get(server, link["verificationId"]).json()["locale"] == kept


def test_a_multipart_body_is_refused_with_the_accepted_types(server: WebServer) -> None:
    answer = server.client.post(LINK, files={"phoneNumber": (None, PHONE)})
    assert refusal(answer) == (415, "unsupported_media_type")
    for accepted in ("application/json", "application/x-www-form-urlencoded"):
        assert accepted in answer.json()["message"]
    with server.database.read() as connection:
        assert connection.execute(select(verifications)).all() == []


@pytest.mark.parametrize("address", ["192.0.2.1:4711", '"[2001:db8::1]:4711"', " 192.0.2.1"])
def test_users_address_may_have_a_port_and_brackets(server: WebServer, address: str) -> None:
    start(server, clientIp=address)


def test_mode_verify_requires_a_number(server: WebServer) -> None:
    answer = server.client.post(LINK, json={"mode": "verify"})
    assert refusal(answer) == (400, "invalid_parameter")


def test_mode_verify_requires_a_permitted_key(lend: Serve) -> None:
    server = lend()
    answer = server.client.post(LINK, json={"mode": "verify", "phoneNumber": PHONE})
    assert refusal(answer) == (403, "link_verify_not_allowed")


@pytest.mark.parametrize("scope", ["send", "verify"])
def test_link_requires_the_scopes_send_and_verify(lend: Serve, scope: str) -> None:
    server = lend("half", scope, "read")
    assert refusal(server.client.post(LINK, json={})) == (403, "scope_missing")


def test_qr_code_of_a_link_requires_the_scope_read(lend: Serve) -> None:
    server = lend("half", "send", "verify")
    link = start(server)
    answer = server.client.get(f"{LINK}/{link['verificationId']}/qr")
    assert refusal(answer) == (403, "scope_missing")


def test_environment_key_may_start_links_in_mode_reply(api: WebServer) -> None:
    assert api.client.post(LINK, json={}).status_code == 201
    answer = api.client.post(LINK, json={"mode": "verify", "phoneNumber": PHONE})
    assert refusal(answer) == (403, "link_verify_not_allowed")
    wrong = {"X-API-KEY": "wrong"}
    assert api.client.post(LINK, json={}, headers=wrong).status_code == 401


def test_answer_has_the_headers_of_the_limits(lend: Serve) -> None:
    server = lend(limits="per_key=1/1h")
    first = server.client.post(LINK, json={"phoneNumber": PHONE})
    assert first.headers["ratelimit"].startswith('"per_key-1h";r=0')
    second = server.client.post(LINK, json={"phoneNumber": PHONE})
    assert refusal(second) == (429, "rate_limited")
    assert int(second.headers["retry-after"]) > 0


def test_a_live_key_gets_the_number_of_a_linked_sender(serve: Serve) -> None:
    server = serve(channel="linked")
    answer = server.client.post(LINK, json={})
    assert refusal(answer) == (503, "no_linked_sender")
    put_sender(server.database, "main", channel="linked")
    with server.database.write() as connection:
        report = StateReport("connected", "all", phone=ACCOUNT)
        records.report(connection, name="main", new=report, now=now_ms())
    assert f"wa.me/{ACCOUNT[1:]}?" in start(server)["whatsappLink"]


def test_test_key_gets_the_sandbox_number_in_a_live_installation(
    serve: Serve,
) -> None:
    server = serve(channel="linked", is_test=True)
    link = start(server)
    assert "wa.me/447700900000?" in link["whatsappLink"]
    write(server, text_of(link["whatsappLink"]))
    assert get(server, link["verificationId"]).json()["provedNumber"] == PHONE


# QR code


def test_qr_code_is_dark_on_white_and_scalable(server: WebServer) -> None:
    link = start(server)
    answer = server.client.get(f"{LINK}/{link['verificationId']}/qr")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-store"
    drawn = ET.fromstring(answer.content)  # noqa: S314 -- our own drawing
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in drawn.attrib
    assert not {"width", "height"} & set(drawn.attrib)
    assert drawn[0].get("fill") == "#fff"
    assert drawn[1].get("stroke") == "#000"


def test_qr_code_contains_the_link(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudhud.web.api.links.qr_image", lambda text: text.encode())
    link = start(server)
    drawn = server.client.get(f"{LINK}/{link['verificationId']}/qr")
    assert drawn.text == link["whatsappLink"]


def test_qr_code_is_only_for_the_key_of_the_link(server: WebServer, lend: Serve) -> None:
    link = start(server)
    job = server.send().json()["verificationId"]
    for identifier in (NOTHING, "7", "x", job):
        assert server.client.get(f"{LINK}/{identifier}/qr").status_code == 404
    other = lend("other")
    assert other.client.get(f"{LINK}/{link['verificationId']}/qr").status_code == 404


def test_used_link_has_no_qr_code(server: WebServer) -> None:
    link = start(server)
    write(server, link["token"])
    answer = server.client.get(f"{LINK}/{link['verificationId']}/qr")
    assert refusal(answer) == (410, "link_over")


# Sandbox


def test_text_on_the_sandbox_yields_the_code(server: WebServer) -> None:
    link = start(server)
    write(server, text_of(link["whatsappLink"]))
    with server.database.write() as connection:  # no sender runs here
        connection.execute(update(messages).values(status="sent", sent_at=now_ms()))
    (taken,) = server.client.get("/api/v1/sandbox/messages", params={"phoneNumber": PHONE}).json()[
        "messages"
    ]
    code = re.search(r"^\d{6}$", taken["text"], re.MULTILINE)
    assert code is not None
    body = {"verificationId": link["verificationId"], "otp": code.group()}
    checked = server.client.post("/api/v1/otp/verify", json=body).json()
    assert (checked["valid"], checked["provedNumber"]) == (True, PHONE)


def test_sandbox_lists_answers_without_a_code(server: WebServer) -> None:
    write(server, f"hello {tokens.new_token()}")
    with server.database.write() as connection:
        connection.execute(update(messages).values(status="sent", sent_at=now_ms()))
    query = {"phoneNumber": PHONE}
    taken = server.client.get("/api/v1/sandbox/messages", params=query).json()["messages"]
    assert len(taken) == 1


def test_invalid_inbound_text_is_refused(server: WebServer) -> None:
    for text in (None, "", 7, "x" * 4097):
        answer = server.client.post(INBOUND, json={"phoneNumber": PHONE, "text": text})
        assert refusal(answer) == (400, "invalid_parameter")


# Waiting


@pytest.fixture
def waiters() -> Iterator[ThreadPoolExecutor]:
    """Threads for requests that wait."""
    with ThreadPoolExecutor(64) as pool:
        yield pool


def asked(server: WebServer, count: int) -> None:
    """Wait until this many requests wait."""
    found = server.web.state.app_state.waiting
    wait_until(lambda: len(found._waiters) == count, SECONDS, f"{count} waiting requests")


def wait_for(
    pool: ThreadPoolExecutor, server: WebServer, link: dict[str, Any], seconds: int = 60
) -> Future[httpx.Response]:
    return pool.submit(get, server, link["verificationId"], wait=seconds)


def test_waiting_request_returns_the_approval_and_the_number(
    server: WebServer, waiters: ThreadPoolExecutor
) -> None:
    link = start(server, mode="verify", phoneNumber=PHONE)
    answer = wait_for(waiters, server, link)
    asked(server, 1)
    write(server, text_of(link["whatsappLink"]), OTHER)
    write(server, text_of(link["whatsappLink"]))
    shown = answer.result(SECONDS).json()
    assert (shown["status"], shown["provedNumber"]) == ("approved", PHONE)
    asked(server, 0)


def test_change_by_another_process_wakes_a_waiting_request(
    own_server: WebServer, serve: Serve, waiters: ThreadPoolExecutor
) -> None:
    link = start(own_server, mode="verify", phoneNumber=PHONE)
    other = serve(key=own_server.client.headers["X-API-KEY"])
    answer = wait_for(waiters, own_server, link)
    asked(own_server, 1)
    write(other, text_of(link["whatsappLink"]))
    assert answer.result(SECONDS).json()["status"] == "approved"


def test_only_requests_for_ended_verifications_are_woken(
    own_server: WebServer, waiters: ThreadPoolExecutor
) -> None:
    links = [start(own_server) for _ in range(5)]
    answers = [wait_for(waiters, own_server, link) for link in links for _ in range(8)]
    asked(own_server, 40)
    end(own_server.database, links[3]["verificationId"])
    for answer in answers[24:32]:
        assert answer.result(SECONDS).json()["status"] == "canceled"
    asked(own_server, 32)
    assert not any(answer.done() for answer in answers[:24] + answers[32:])
    own_server.end_streams()
    for answer in answers[:24] + answers[32:]:
        assert answer.result(SECONDS).json()["status"] == "pending"


def test_request_that_times_out_gets_the_current_state(server: WebServer) -> None:
    link = start(server)
    answer = get(server, link["verificationId"], wait=1)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


def test_ended_verification_is_answered_at_once(server: WebServer) -> None:
    link = start(server)
    end(server.database, link["verificationId"])
    assert get(server, link["verificationId"], wait=60).json()["status"] == "canceled"


def test_expiry_wakes_a_waiting_request(server: WebServer, waiters: ThreadPoolExecutor) -> None:
    link = start(server)
    answer = wait_for(waiters, server, link)
    asked(server, 1)
    with server.database.write() as connection:
        connection.execute(update(verifications).values(expires_at=now_ms()))
    assert answer.result(SECONDS).json()["status"] == "expired"


def test_head_never_waits(server: WebServer) -> None:
    link = start(server)
    address = f"/api/v1/otp/{link['verificationId']}?wait=60"
    assert server.client.head(address).status_code == 200


def test_wait_is_at_most_a_minute(server: WebServer) -> None:
    link = start(server)
    for wait in ("61", "-1", "x", "1.5", "1e1"):
        answer = get(server, link["verificationId"], wait=wait)
        assert refusal(answer) == (400, "invalid_parameter")


def test_no_request_waits_after_the_close(own_server: WebServer) -> None:
    link = start(own_server)
    own_server.end_streams()
    assert get(own_server, link["verificationId"], wait=60).json()["status"] == "pending"


def test_the_thread_ends_with_the_server(
    own_server: WebServer, waiters: ThreadPoolExecutor
) -> None:
    answers = [wait_for(waiters, own_server, start(own_server)) for _ in range(3)]
    asked(own_server, 3)
    own_server.end_streams()
    for answer in answers:
        assert answer.result(SECONDS).json()["status"] == "pending"
    thread = own_server.web.state.app_state.waiting._thread
    wait_until(lambda: not thread.is_alive(), SECONDS, "its end")
