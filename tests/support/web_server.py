"""The web application on a real server in a thread."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from litestar import Litestar

from conftest import settings
from hudhud.db.engine import Database
from hudhud.serve import server_config
from hudhud.web.application import build_web
from hudhud.web.timing import Timing
from support.services import wait_until

KEY = "the-key-of-the-web-tests"
SECRET = "a secret of the web tests"
SEND = "/api/v1/otp/send"
PHONE = "+201001234567"
SECONDS = 20.0
# The server closes idle connections after 5 s; a client must not reuse one at that moment.
LIMITS = httpx.Limits(keepalive_expiry=2)


@dataclass(frozen=True)
class WebServer:
    """A running server, its database, and a client with a valid key."""

    port: int
    database: Database
    client: httpx.Client
    web: Litestar

    def end_streams(self) -> None:
        """End open streams and long waits, as before a stop."""
        end_streams(self.web)

    def send(self, phone: object = PHONE) -> httpx.Response:
        return self.client.post(SEND, json={"phoneNumber": phone})

    def raw(self, request: bytes) -> bytes:
        """Send bytes on a separate connection and return everything until its end."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def end_streams(web: Litestar) -> None:
    """End requests that would delay the server's stop."""
    web.state.feed.close()
    web.state.app_state.waiting.close()


@contextmanager
def web_server(
    database: Database, timing: Timing | None = None, **changes: Any
) -> Iterator[WebServer]:
    """Serve as `hudhud serve` does, over a migrated database.

    On the sandbox, with one API key and no admin's password, unless `changes` of the settings say
    otherwise; with the usual `timing`, unless another is given.
    """
    chosen = {"channel": "sandbox", "api_key": KEY, "session_secret": SECRET, **changes}
    served = settings(**chosen)
    web = build_web(served, database, timing)
    server = uvicorn.Server(server_config(served, web))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    port = listener.getsockname()[1]
    try:
        wait_until(lambda: server.started, SECONDS, "the web server")
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(
            base_url=address, headers={"X-API-KEY": KEY}, timeout=SECONDS, limits=LIMITS
        ) as client:
            yield WebServer(port, database, client, web)
    finally:
        end_streams(web)
        server.should_exit = True
        thread.join()
        listener.close()


ServeWeb = Callable[..., WebServer]
