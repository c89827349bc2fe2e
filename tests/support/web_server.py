"""The web application on a real server in a thread."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import uvicorn
from litestar import Litestar

from conftest import settings
from hudhud.db.engine import Database
from hudhud.db.tables import metadata
from hudhud.serve import end_streams, server_config
from hudhud.web.application import build_web
from hudhud.web.server.connections import Connections
from hudhud.web.server.listening import listen
from hudhud.web.timing import Timing
from support.services import wait_until

KEY = "the-key-of-the-web-tests"
SECRET = "a secret of the web tests"
SEND = "/api/v1/otp/send"
PHONE = "+201001234567"
SECONDS = 20.0
# Unused, but each client without one reads all certificates of the machine, which is slow.
TLS = ssl.create_default_context()


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

    def empty(self) -> None:
        """Delete all rows, and what the server remembers of them."""
        with self.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        self.renew_keys()
        self.web.state.access.proxies._write_at = 0.0

    def renew_keys(self) -> None:
        """Make the server know the present keys at once, instead of within a second."""
        self.web.state.app_state.api_key_cache._renew()

    @contextmanager
    def used_with(self, key: str) -> Iterator["WebServer"]:
        """The same server with a client of another key, which it knows at once."""
        self.renew_keys()
        with client_of(self.port, key) as client:
            yield replace(self, client=client)

    def send(self, phone: object = PHONE) -> httpx.Response:
        return self.client.post(SEND, json={"phoneNumber": phone})

    def raw(self, request: bytes) -> bytes:
        """Send bytes on a separate connection and return everything until its end."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def client_of(port: int, key: str) -> httpx.Client:
    """Return a client of the server on this port that sends a key."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"X-API-KEY": key},
        timeout=SECONDS,
        verify=TLS,
    )


@contextmanager
def web_server(
    database: Database,
    timing: Timing | None = None,
    pool: Connections | None = None,
    host: str = "127.0.0.1",
    **changes: Any,
) -> Iterator[WebServer]:
    """Serve as `hudhud serve` does, over a migrated database.

    On the sandbox, with one API key and no admin's password, unless `changes` of the settings say
    otherwise; with the usual `timing` and limits of connections, unless others are given.
    """
    chosen = {"channel": "sandbox", "api_key": KEY, "session_secret": SECRET, **changes}
    served = settings(**chosen)
    web = build_web(served, database, timing)
    server = uvicorn.Server(server_config(served, web, pool or Connections()))
    listener = listen(host, 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    port = listener.getsockname()[1]
    try:
        wait_until(lambda: server.started, SECONDS, "the web server")
        with client_of(port, KEY) as client:
            yield WebServer(port, database, client, web)
    finally:
        end_streams(web)
        server.should_exit = True
        thread.join()
        listener.close()


ServeWeb = Callable[..., WebServer]
