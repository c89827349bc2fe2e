"""The webhook client: connects only to permitted addresses, and reads bounded answers."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from hudhud.core.phones import mask_phone
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.http_client import EndpointAnswer, WebhookClient
from support.receivers import Received, Receiver, Reply, receiving
from support.services import wait_until
from support.webhook_client import NAME, PUBLIC, SECONDS, address_policy, post, said


def test_dns_rebinding_is_refused() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    where = AddressPolicy(allow_private=False, resolve=lambda _host, _port: next(answers))
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", NAME)
        where.check(url)
        answer = post(where, url)
        assert answer.status is None
        assert said(answer).startswith(f"The name {NAME} resolves to 127.0.0.1, which is not")
        assert receiver.received == []


def test_connection_uses_the_checked_address_with_the_host_name() -> None:
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", NAME) + ";v=1?token=x"
        answer = post(address_policy("127.0.0.1", allow_private=True), url, body=b'{"a":1}')
        assert answer == EndpointAnswer(204)
        (request,) = receiver.received
    assert request.path == "/hook;v=1?token=x"
    assert request.headers["host"] == url.split("/")[2]
    assert request.headers["webhook-id"] == "evt_1"
    assert request.body == '{"a":1}'


def test_the_next_address_of_a_name_is_tried() -> None:
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", NAME)
        where = address_policy("127.0.0.2", "127.0.0.1", allow_private=True)
        assert post(where, url) == EndpointAnswer(204)


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/hook"))
        assert post(AddressPolicy(allow_private=True), receiver.url) == EndpointAnswer(204)
        assert proxy.received == []


def test_redirect_is_reported_and_not_followed() -> None:
    with receiving() as target:
        elsewhere = Reply(307, {"Location": target.url})
        with receiving(lambda _: elsewhere) as receiver:
            answer = post(AddressPolicy(allow_private=True), receiver.url)
        assert target.received == []
    assert (answer.status, said(answer)) == (
        307,
        "The receiver answered with redirect 307, which is not followed.",
    )


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(500), "The receiver answered 500."),
        (Reply(400, body=b" bad\n signature "), "The receiver answered 400: bad signature"),
        (
            Reply(422, body=b"no +201001234567 \xff"),
            f"The receiver answered 422: no {mask_phone('+201001234567')} \ufffd",
        ),
        (Reply(404, body=b"x" * 10**6), f"The receiver answered 404: {'x' * 199}…"),
    ],
)
def test_receivers_answer_is_truncated_and_masked(reply: Reply, words: str) -> None:
    with receiving(lambda _: reply) as receiver:
        answer = post(AddressPolicy(allow_private=True), receiver.url)
    assert (answer.status, said(answer)) == (reply.status, words)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120.0),
        (503, "0", 0.0),
        (503, "Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (429, "soon", None),
        (429, "-5", None),
        (429, "9" * 5000, 999_999_999.0),
        (500, "120", None),
    ],
)
def test_retry_after_is_parsed(status: int, header: str, seconds: float | None) -> None:
    reply = Reply(status, {"Retry-After": header})
    with receiving(lambda _: reply) as receiver:
        assert post(AddressPolicy(allow_private=True), receiver.url).retry_after == seconds


def test_slow_answer_times_out() -> None:
    release = threading.Event()

    def wait(_: Received) -> Reply:
        release.wait(SECONDS)
        return Reply()

    with receiving(wait) as receiver:
        answer = post(AddressPolicy(allow_private=True), receiver.url, answer_seconds=0.2)
        release.set()
    assert (answer.status, said(answer)) == (None, "No answer within 0.2 s.")


def test_endless_answer_is_cut_off() -> None:
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
            while not ended.wait(0.01):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = post(AddressPolicy(allow_private=True), url, answer_seconds=0.3)
        ended.set()
        thread.join()
    assert (answer.status, said(answer)) == (None, "No answer within 0.3 s.")


def test_unreachable_or_invalid_server_gives_a_readable_error() -> None:
    receiver = Receiver()
    receiver.start()
    url = receiver.url
    receiver.stop()
    refused = post(AddressPolicy(allow_private=True), url)
    assert (refused.status, said(refused)) == (None, "No connection: Connection refused.")

    def hang_up(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        answer = post(
            AddressPolicy(allow_private=True), f"http://127.0.0.1:{server.getsockname()[1]}/"
        )
        thread.join()
    assert said(answer).startswith("The connection ended before the answer: ")


def test_tls_failure_gives_a_readable_error() -> None:
    with receiving() as receiver:
        url = receiver.url.replace("http://", "https://")
        answer = post(AddressPolicy(allow_private=True), url)
    assert answer.status is None
    assert said(answer).startswith("No connection: ")


def test_simultaneous_lookups_of_a_name_are_shared() -> None:
    asked: list[str] = []
    release = threading.Event()

    def slow(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        release.wait(SECONDS)
        return ["127.0.0.1"]

    async def thrice(url: str) -> list[EndpointAnswer]:
        where = AddressPolicy(allow_private=True, resolve=slow)
        client = WebhookClient(where, most_connections=4, answer_seconds=SECONDS)
        asking = [asyncio.create_task(client.post(url, {}, b"")) for _ in range(3)]
        await asyncio.to_thread(wait_until, lambda: bool(asked), SECONDS, "a look-up")
        await asyncio.sleep(0)
        release.set()
        answers = await asyncio.gather(*asking)
        await client.close()
        return answers

    with receiving() as receiver:
        answers = asyncio.run(thrice(receiver.url.replace("127.0.0.1", NAME)))
    assert answers == [EndpointAnswer(204)] * 3
    assert asked == [NAME]
