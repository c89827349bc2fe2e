"""The bounds of one connection, tried with raw sockets against a real server."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import pytest
from structlog.testing import capture_logs

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from hudhud.web.http.static_files import static_url
from hudhud.web.server.connections import Connections
from hudhud.web.server.timing import ConnectionTiming
from support.web_server import KEY, WebServer, web_server

QUICK = ConnectionTiming(
    head=0.6, body=0.6, keep_alive=1.5, write=0.6, linger=0.2, sweep=0.05, report=60.0
)
BODY = b'{"phoneNumber": "+201001234567"}'
SEND = b"POST /api/v1/otp/send HTTP/1.1\r\nHost: hudhud\r\nX-API-KEY: " + KEY.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: hudhud\r\n\r\n"


@pytest.fixture(scope="module")
def quick(migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """A server with short time limits."""
    with migrated_database("sqlite") as url:
        database = Database(url)
        with web_server(database, pool=Connections(timing=QUICK)) as server:
            yield server
        database.close()


class Peer:
    """A raw connection."""

    def __init__(self, server: WebServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), 20)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send everything; False if the server ended the connection before."""
        try:
            self._socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def answer(self) -> tuple[int, bytes]:
        """Read one answer with a Content-Length, and return its status and body."""
        while b"\r\n\r\n" not in self._received:
            self._read()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(self._received) < length:
            self._read()
        body, self._received = self._received[:length], self._received[length:]
        return int(head.split()[1]), body

    def rest(self) -> bytes:
        """Read until the end of the connection."""
        with suppress(ConnectionError, EOFError):
            while True:
                self._read()
        return self._received

    def _read(self) -> None:
        part = self._socket.recv(65536)
        if not part:
            raise EOFError
        self._received += part


@pytest.fixture
def peer(quick: WebServer) -> Iterator[Peer]:
    """A connection to the server with short time limits."""
    with Peer(quick) as peer:
        yield peer


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


@pytest.mark.parametrize(
    "endless",
    [b"X-Padding: " + b"a" * 1_000_000, b"a: b\r\n" * 200_000, b"a" * 1_000_000],
    ids=["one long header", "many short headers", "no header at all"],
)
def test_head_without_end_is_refused_after_64_kib(peer: Peer, endless: bytes) -> None:
    peer.send(b"GET / HTTP/1.1\r\n" + endless)
    assert status_of(peer.rest()) in {400, 431}


def test_target_without_end_is_refused(peer: Peer) -> None:
    peer.send(b"GET /" + b"a" * 1_000_000)
    assert status_of(peer.rest()) == 431


def test_head_of_almost_64_kib_is_served(peer: Peer) -> None:
    padding = b"X-Padding: " + b"a" * 60_000 + b"\r\n"
    peer.send(SEND + JSON + LENGTH + padding + b"\r\n" + BODY)
    assert peer.answer()[0] == 202


@pytest.mark.parametrize("part", [b"", b"\r\n\r\n"], ids=["nothing", "empty lines"])
def test_connection_without_a_request_ends(peer: Peer, part: bytes) -> None:
    peer.send(part)
    assert peer.rest() == b""


@pytest.mark.parametrize(
    "part",
    [
        b"GET / HT",
        SEND,
        SEND + JSON + LENGTH + b"\r\n" + BODY[:10],
        SEND + CHUNKED + b"\r\n5\r\nab",
    ],
    ids=["half a line", "half a head", "half a body", "half a chunk"],
)
def test_incomplete_request_gets_408(peer: Peer, part: bytes) -> None:
    peer.send(part)
    assert status_of(peer.rest()) == 408


def test_head_in_drops_gets_408(peer: Peer) -> None:
    started = time.monotonic()
    for byte in iter(SEND * 100):
        if not peer.send(bytes([byte])) or time.monotonic() - started > 10:
            break
        time.sleep(0.05)
    assert status_of(peer.rest()) == 408


def test_slow_body_with_progress_is_served(peer: Peer) -> None:
    peer.send(SEND + JSON + LENGTH + b"\r\n")
    for start in range(0, len(BODY), 8):
        time.sleep(QUICK.body / 2)
        peer.send(BODY[start : start + 8])
    assert peer.answer()[0] == 202


def test_idle_connection_is_kept_and_then_closed(peer: Peer) -> None:
    for _ in range(3):
        peer.send(HEALTHY)
        assert peer.answer()[0] == 200
        time.sleep(QUICK.keep_alive * 2 / 3)
        peer.send(b"\r\n")  # is no request
    assert peer.rest() == b""


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "byte by byte"])
def test_upgrade_is_ignored(peer: Peer, framing: bytes, *, apart: bool) -> None:
    body = CHUNKS if framing == CHUNKED else BODY
    request = SEND + JSON + H2C + framing + b"\r\n" + body
    for part in [request[i : i + 1] for i in range(len(request))] if apart else [request]:
        peer.send(part)
    status, answer = peer.answer()
    assert (status, b"job" in answer) == (202, True), answer
    peer.send(request + HEALTHY)
    assert [peer.answer()[0], peer.answer()[0]] == [202, 200]


def test_upgrade_without_a_body_is_ignored(peer: Peer) -> None:
    peer.send(b"GET /healthz HTTP/1.1\r\nHost: hudhud\r\n" + H2C + b"\r\n" + HEALTHY)
    assert [peer.answer()[0], peer.answer()[0]] == [200, 200]


def test_upgrade_to_websocket_is_ignored(peer: Peer) -> None:
    peer.send(HEALTHY[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HEALTHY)
    assert [peer.answer()[0], peer.answer()[0]] == [200, 200]


def test_pipelined_requests_are_answered_in_order(peer: Peer) -> None:
    unknown = b"GET /nothing HTTP/1.1\r\nHost: hudhud\r\n\r\n"
    sent = [HEALTHY, unknown] * 300
    assert peer.send(b"".join(sent))
    assert [peer.answer()[0] for _ in sent] == [200, 404] * 300


def test_rubbish_after_a_request_does_not_lose_its_answer(peer: Peer) -> None:
    peer.send(SEND + JSON + LENGTH + b"\r\n" + BODY + b"\x00\x01rubbish\r\n\r\n")
    assert peer.answer()[0] == 202
    assert status_of(peer.rest()) == 400


@pytest.mark.parametrize(
    "second",
    [
        SEND + JSON + CHUNKED + b"\r\nZZ\r\n",
        b"GET //:bad:/ HTTP/1.1\r\nHost: hudhud\r\n\r\n",
        b"GET /%zz HTTP/9.9\r\n\r\n",
        SEND + b"Transfer-Encoding: gzip\r\n" + H2C + b"\r\n",
        SEND + JSON + CHUNKED + b"Expect: 100-continue\r\n\r\nZZ\r\n",
    ],
    ids=["bad chunk", "bad target", "bad version", "bad framing of an upgrade", "bad after expect"],
)
@pytest.mark.parametrize("first", [b"", SEND + JSON + LENGTH + b"\r\n" + BODY], ids=["", "after"])
def test_bad_request_is_refused_without_an_error_in_the_log(
    peer: Peer, caplog: pytest.LogCaptureFixture, first: bytes, second: bytes
) -> None:
    with capture_logs() as logs:
        peer.send(first + second)
        if first:
            assert peer.answer()[0] == 202
        assert status_of(peer.rest()) in {400, 404}
    assert [line for line in logs if line["log_level"] == "error"] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_peer_that_leaves_with_requests_unanswered_causes_no_error(
    quick: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            with Peer(quick) as peer:
                peer.send((SEND + JSON + LENGTH + b"\r\n" + BODY) * 3)
        assert quick.client.get("/healthz").status_code == 200
    assert [line for line in logs if line["log_level"] == "error"] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_connection_stays_usable_after_an_early_answer(quick: WebServer, size: int) -> None:
    head = b"POST /api/v1/otp/send HTTP/1.1\r\nHost: hudhud\r\nContent-Length: %d\r\n" % size
    for number in range(10):
        with Peer(quick) as peer:
            # An unknown key is looked up in a thread, while the body arrives.
            peer.send(head + b"X-API-KEY: wrong-%d-%d\r\n\r\n" % (size, number) + b"x" * size)
            assert peer.answer()[0] in {401, 413}
            peer.send(HEALTHY)
            assert peer.answer()[0] == 200


def test_endless_tiny_chunks_after_an_early_answer_end_the_connection(peer: Peer) -> None:
    peer.send(b"POST /api/v1/otp/send HTTP/1.1\r\nHost: hudhud\r\n" + CHUNKED + b"\r\n")
    assert peer.answer()[0] == 401
    assert not all(peer.send(b"1\r\nx\r\n" * 10_000) for _ in range(50))


def test_large_body_in_small_pieces_is_read_whole(peer: Peer) -> None:
    padded = BODY[:-1] + b', "padding": "' + b"x" * 90_000 + b'"}'
    head = SEND + JSON + CHUNKED + b"\r\n"
    chunks = b"".join(
        b"2\r\n%b\r\n" % padded[at : at + 2].ljust(2) for at in range(0, len(padded), 2)
    )
    peer.send(head + chunks + b"0\r\n\r\n" + HEALTHY)
    assert [peer.answer()[0], peer.answer()[0]] == [202, 200]


def test_trailers_without_end_are_refused(peer: Peer) -> None:
    peer.send(SEND + JSON + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"a: b\r\n" * 200_000)
    assert status_of(peer.rest()) in {202, 400}


def test_body_after_an_early_answer_is_not_read_without_end(peer: Peer) -> None:
    peer.send(SEND + JSON + b"Content-Length: 50000000\r\n\r\n")
    assert peer.answer()[0] == 413
    sent = sum(peer.send(b"x" * 65536) for _ in range(760))
    assert sent < 760


def test_peer_that_does_not_read_its_answers_is_dropped(quick: WebServer) -> None:
    script = static_url("vendor/uplot/uPlot.iife.min.js").encode()
    page = b"GET " + script + b" HTTP/1.1\r\nHost: hudhud\r\n\r\n"
    with Peer(quick) as peer:
        for _ in range(300):
            if not peer.send(page):
                break
        time.sleep(QUICK.write * 3)
        received = peer.rest()
    assert received.count(b"HTTP/1.1 ") < 300


def test_ordinary_clients_are_served_meanwhile(quick: WebServer) -> None:
    assert quick.client.get("/healthz").status_code == 200
