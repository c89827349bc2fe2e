"""GET /api/v1/sandbox/messages: the messages that the sandbox took."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from hudhud.channels.sandbox import SandboxChannel
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from hudhud.messages import queue
from hudhud.worker.outcomes import record_outcomes
from hudhud.worker.send import MessageSender
from support.keys import make_key
from support.web_server import KEY, PHONE, SECRET, SEND, ServeWeb, WebServer

PATH = "/api/v1/sandbox/messages"
OTHER = "+966501234567"
REQUIRED = 'Bad Request: "phoneNumber" is required in the request body.'


def send_all(database: Database) -> None:
    """Send all waiting messages as the sandbox's sender does."""
    sender = MessageSender(database, SandboxChannel(), CodeCipher(SECRET))
    with database.write() as connection:
        claimed = queue.claim(connection, channel="sandbox", sender="s", limit=100, now=now_ms())
    outcomes = [sender.send(message) for message in claimed]
    with database.write() as connection:
        record_outcomes(connection, sender="s", outcomes=outcomes, now=now_ms())


def taken(server: WebServer, phone: str = PHONE, *, key: str = KEY) -> httpx.Response:
    return server.client.get(PATH, params={"phoneNumber": phone}, headers={"X-API-KEY": key})


def ask(server: WebServer, key: str) -> httpx.Response:
    return server.client.post(SEND, json={"phoneNumber": PHONE}, headers={"X-API-KEY": key})


def test_taken_message_is_shown_with_its_code(empty_api: WebServer) -> None:
    accepted = empty_api.send().json()
    assert taken(empty_api).text == '{"messages":[]}'
    send_all(empty_api.database)
    response = taken(empty_api)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    (message,) = response.json()["messages"]
    assert list(message) == ["jobId", "phoneNumber", "text", "delivery", "sent_at"]
    assert (message["jobId"], message["phoneNumber"]) == (accepted["jobId"], PHONE)
    assert message["delivery"] == "sent"
    assert message["sent_at"].endswith("Z")
    assert accepted["otp"] in message["text"].splitlines()


def test_messages_of_the_number_are_listed_newest_first(empty_api: WebServer) -> None:
    jobs = [empty_api.send().json()["jobId"] for _ in range(3)]
    empty_api.send(OTHER)
    send_all(empty_api.database)
    shown = taken(empty_api).json()["messages"]
    assert [message["jobId"] for message in shown] == jobs[::-1]
    assert len(taken(empty_api, OTHER).json()["messages"]) == 1


@pytest.mark.parametrize("query", ["%2B201001234567", "+201001234567", "%20201001234567"])
def test_a_plus_in_the_query_need_not_be_escaped(empty_api: WebServer, query: str) -> None:
    empty_api.send()
    send_all(empty_api.database)
    response = empty_api.client.get(f"{PATH}?phoneNumber={query}")
    assert len(response.json()["messages"]) == 1


@pytest.mark.parametrize("query", ["", "?phoneNumber=", "?phone=1", "?"])
def test_number_is_required(api: WebServer, query: str) -> None:
    response = api.client.get(PATH + query)
    assert response.status_code == 400
    assert response.json() == {"message": REQUIRED, "error": "invalid_parameter"}


@pytest.mark.parametrize(
    "number", ["201001234567", "x", "%2B1", "%00", "%FF", "%2B20100123456%D9%A1%D9"]
)
def test_a_wrong_number_is_refused(api: WebServer, number: str) -> None:
    response = api.client.get(f"{PATH}?phoneNumber={number}")
    assert response.status_code == 400
    assert "Invalid phone number format" in response.json()["message"]


def test_key_is_required(api: WebServer) -> None:
    url = f"{api.client.base_url}{PATH}"
    response = httpx.get(url, params={"phoneNumber": PHONE})
    missing = '{"message":"Unauthorized: API Key is missing from headers."}'
    assert (response.status_code, response.text) == (401, missing)
    response = httpx.get(url, headers={"X-API-KEY": KEY + "x"})
    wrong = '{"message":"Unauthorized: Invalid API Key."}'
    assert (response.status_code, response.text) == (401, wrong)


def test_live_installation_shows_only_messages_of_test_keys(
    serve_web: ServeWeb, database: Database
) -> None:
    key = make_key(database, "shop", "send", is_test=True)
    server = serve_web(channel="linked")
    server.send()
    assert ask(server, key).status_code == 202
    send_all(database)
    assert taken(server).text == '{"messages":[]}'
    assert len(taken(server, key=key).json()["messages"]) == 1


def test_messages_of_another_key_are_shown_only_to_an_admin(
    serve_web: ServeWeb, database: Database
) -> None:
    shop, admin = make_key(database, "shop"), make_key(database, "root", "admin")
    other = make_key(database, "other", "sandbox")
    server = serve_web()
    job = ask(server, shop).json()["jobId"]
    send_all(database)
    assert taken(server).text == taken(server, key=other).text == '{"messages":[]}'
    shown = taken(server, key=admin).json()["messages"]
    assert [message["jobId"] for message in shown] == [job]


def test_scope_is_required(serve_web: ServeWeb, database: Database) -> None:
    shop = make_key(database, "shop")
    response = taken(serve_web(), key=shop)
    assert (response.status_code, response.json()["error"]) == (403, "scope_missing")


def test_message_is_hidden_once_its_code_expired(empty_api: WebServer) -> None:
    empty_api.send()
    send_all(empty_api.database)
    with empty_api.database.write() as connection:
        connection.execute(update(messages).values(expires_at=now_ms()))
    assert taken(empty_api).text == '{"messages":[]}'


def test_message_is_hidden_once_its_code_is_erased(empty_api: WebServer) -> None:
    empty_api.send()
    send_all(empty_api.database)
    with empty_api.database.write() as connection:
        connection.execute(update(verifications).values(code_sealed=None))
    assert taken(empty_api).text == '{"messages":[]}'


def test_messages_of_another_channel_are_not_shown(empty_api: WebServer) -> None:
    empty_api.send()
    send_all(empty_api.database)
    with empty_api.database.write() as connection:
        connection.execute(update(messages).values(channel="linked"))
    assert taken(empty_api).text == '{"messages":[]}'


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_database_file_contains_no_code(serve_web: ServeWeb, database: Database) -> None:
    server = serve_web(otp_length=10)
    code = server.send().json()["otp"].encode()
    send_all(database)
    assert code in taken(server).content
    files = list(Path(str(database.url.database)).parent.iterdir())
    assert files
    assert not [file for file in files if code in file.read_bytes()]


def test_a_multipart_text_is_refused(empty_api: WebServer) -> None:
    fields = {"phoneNumber": (None, PHONE), "text": (None, "hello")}
    answer = empty_api.client.post("/api/v1/sandbox/inbound", files=fields)
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
