"""Receivers of webhooks as customers run them, and a dispatcher."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher
from hudhud.db.engine import Database
from hudhud.db.tables import events, webhook_deliveries
from hudhud.webhooks import endpoints
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.dispatcher import Dispatcher, Timing
from hudhud.webhooks.endpoints import Signed
from support.services import wait_until

SECONDS = 20.0
CIPHER = Cipher(endpoints.PURPOSE, "a secret of the tests")
# As in production, but no test waits for minutes, nor a second for the end.
QUICK = Timing(retry_waits=(0.01,) * 9, idle=0.1)


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def id(self) -> str:
        """Return the id by which a receiver recognizes repetitions."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """Return the event in the body."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    def is_signed_by(self, secret: str) -> bool:
        """Return whether the receivers' library accepts the signature."""
        try:
            Webhook(secret).verify(self.body, dict(self.headers))
        except WebhookVerificationError:
            return False
        return True


@dataclass(frozen=True)
class Reply:
    """A receiver's answer."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """A receiver on 127.0.0.1 that answers each request as `reply` decides."""

    def __init__(self, reply: Callable[[Received], Reply] = lambda _: Reply()) -> None:
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.path, headers, body)
                receiver.received.append(request)
                answer = reply(request)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
                del format, args

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Ignore clients that stopped waiting."""
                del request, client_address

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.received]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop and release the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiving(reply: Callable[[Received], Reply] = lambda _: Reply()) -> Iterator[Receiver]:
    """Run a receiver that answers as `reply` decides."""
    receiver = Receiver(reply)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def add_endpoint(
    database: Database, url: str, kinds: Sequence[str] = (), owner: str | None = None
) -> Signed:
    """Add an endpoint for these kinds of events, or for all."""
    with database.write() as connection:
        return endpoints.add(connection, CIPHER, url=url, kinds=kinds, owner=owner, now=now_ms())


def dispatcher(database: Database, timing: Timing = QUICK, **more: Any) -> Dispatcher:
    """Return a dispatcher that may deliver to this machine."""
    return Dispatcher(database, CIPHER, AddressPolicy(allow_private=True), timing, **more)


@contextmanager
def dispatching(database: Database, timing: Timing = QUICK, **more: Any) -> Iterator[None]:
    """Run a dispatcher."""
    stopping = threading.Event()
    thread = threading.Thread(target=dispatcher(database, timing, **more).run, args=(stopping,))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def stored_deliveries(database: Database) -> list[Any]:
    """Return every delivery with its event's kind, oldest first."""
    joined = select(webhook_deliveries, events.c.kind, events.c.event_id.label("event"))
    joined = joined.join(events, events.c.id == webhook_deliveries.c.event_id)
    with database.read() as connection:
        return list(connection.execute(joined.order_by(webhook_deliveries.c.id)))


def wait_for_status(database: Database, *statuses: str) -> None:
    """Wait until the deliveries have these statuses, oldest first."""
    wait_until(
        lambda: [row.status for row in stored_deliveries(database)] == list(statuses),
        SECONDS,
        f"deliveries {statuses}",
    )
