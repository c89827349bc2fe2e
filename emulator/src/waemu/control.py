"""The control API over HTTP and JSON on 127.0.0.1.

POST /<operation> with a JSON object of its arguments answers {"result": …}, or status 400 with
{"error": "…"}. The operations are the public methods of Operations.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from waemu.binary import Node
from waemu.directory import TakenNumberError, UnknownPhoneError
from waemu.faults import Faults
from waemu.messages import UnreachableError
from waemu.pairing import PairingError
from waemu.phone import Companion
from waemu.records import LinkedDevice, ReceiptMode, Stats, Tampering
from waemu.server import Server

_log = logging.getLogger(__name__)
_SECONDS_TO_ANSWER = 10
_ERRORS = (
    UnknownPhoneError,
    TakenNumberError,
    UnreachableError,
    PairingError,
    NotImplementedError,
    TypeError,
)

Json = Any  # JSON has no narrower type


class Operations:
    """The operations of the control API, run on the server's event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def add_phone(
        self, number: str, lid: str | None = None, aliases: Sequence[str] = ()
    ) -> Json:
        others = [_digits(alias) for alias in aliases]
        return self._server.directory.add(_digits(number), lid, others).lid.user

    async def add_phones(self, numbers: list[str]) -> Json:
        for number in numbers:
            self._server.directory.add(_digits(number))

    async def set_every_number_exists(self, wanted: bool) -> Json:  # noqa: FBT001 - by name
        self._server.directory.every_number_exists = wanted

    async def scan(self, qr: str, number: str, tamper: Tampering | None = None) -> Json:
        self._server.pairing.scan(qr, _digits(number), tamper)

    async def enter_code(self, number: str, code: str, tamper: Tampering | None = None) -> Json:
        self._server.pairing.enter_code(_digits(number), code, tamper)

    async def pairing_failures(self) -> Json:
        return list(self._server.pairing.failures)

    async def drop_pairings(self) -> Json:
        """Close the connections of clients that wait to be linked."""
        self._server.pairing.drop()

    async def unlink(self, number: str) -> Json:
        """Remove all linked devices of the phone."""
        for companion in list(self._companions(number)):
            self._server.queries.unlink(companion)

    async def messages(self, number: str | None = None, since: int = 0) -> Json:
        found = self._server.inbox.messages(_digits(number) if number else None, since)
        return [asdict(message) for message in found]

    async def send_text(
        self,
        from_number: str,
        to_number: str,
        text: str,
        message_id: str | None = None,
        edits: str | None = None,
    ) -> Json:
        directory = self._server.directory
        sender, account = directory.phone(_digits(from_number)), directory.phone(_digits(to_number))
        return self._server.messages.send_text(
            sender, account, text, message_id=message_id, edits=edits
        )

    async def receipt(
        self, number: str, from_number: str, message_id: str, kind: str | None = None
    ) -> Json:
        """Send a receipt to all linked devices of an account."""
        phone = self._server.directory.phone(_digits(from_number))
        for companion in self._companions(number):
            self._server.messages.send_receipt(companion, phone, message_id, kind)

    async def set_receipts(self, mode: ReceiptMode, delay: float = 0.0) -> Json:
        self._server.messages.receipts = mode
        self._server.messages.receipt_delay = delay

    async def forget_sessions(self, number: str) -> Json:
        """Drop the phone's encryption sessions, as a factory reset does."""
        self._server.directory.phone(_digits(number)).signal.forget_sessions()

    async def connections(self, number: str) -> Json:
        return [
            asdict(LinkedDevice(each.device, each.connection is not None, list(each.logins)))
            for each in self._companions(number)
        ]

    async def dials(self) -> Json:
        return [asdict(dial) for dial in self._server.dials]

    async def kick(self, number: str, abrupt: bool = True) -> Json:  # noqa: FBT001, FBT002 - by name
        """End the connections of an account's linked devices."""
        for companion in self._companions(number):
            if companion.connection is not None:
                companion.connection.abort() if abrupt else companion.connection.close()

    async def stream_error(
        self, number: str, code: str | None = None, conflict: str | None = None
    ) -> Json:
        """End the connections of an account's linked devices with a <stream:error>."""
        if conflict == "device_removed":
            await self.unlink(number)
            return
        content = [Node("conflict", {"type": conflict})] if conflict else None
        error = Node("stream:error", {"code": code} if code else {}, content)
        for companion in self._companions(number):
            if companion.connection is not None:
                companion.connection.send_last(error)

    async def faults(self) -> Json:
        return asdict(self._server.faults)

    async def set_faults(self, faults: dict[str, Any]) -> Json:
        await self._server.set_faults(Faults(**faults))

    async def refused_targets(self) -> Json:
        """Return the hosts that the proxy refused to clients."""
        return list(self._server.proxy.refused)

    async def undecryptable(self) -> Json:
        return list(self._server.inbox.undecryptable)

    async def duplicates(self) -> Json:
        return list(self._server.inbox.duplicates)

    async def stats(self) -> Json:
        server = self._server
        return asdict(
            Stats(
                phones=len(server.directory),
                connections=len(server.connections),
                messages=server.inbox.count,
                duplicates=server.inbox.duplicate_count,
                undecryptable=server.inbox.undecryptable_count,
                client_errors=server.client_errors,
                stanzas=dict(server.stanzas),
            )
        )

    def _companions(self, number: str) -> list[Companion]:
        return list(self._server.directory.phone(_digits(number)).companions.values())


class ControlServer(ThreadingHTTPServer):
    """The HTTP server of the control API, running in threads."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, operations: Operations, loop: asyncio.AbstractEventLoop, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._operations = operations
        self._loop = loop

    def call(self, name: str, arguments: dict[str, Any]) -> Json:
        """Run an operation on the event loop.

        Raises:
            NotImplementedError: there is no such operation.
            TypeError: the arguments do not fit the operation.
        """
        operation: Callable[..., Any] | None = getattr(self._operations, name, None)
        if operation is None or name.startswith("_"):
            raise NotImplementedError(f"no operation {name!r}")
        inspect.signature(operation).bind(**arguments)
        running = asyncio.run_coroutine_threadsafe(operation(**arguments), self._loop)
        return running.result(_SECONDS_TO_ANSWER)


class _Handler(BaseHTTPRequestHandler):
    server: ControlServer
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        try:
            arguments = json.loads(self.rfile.read(size) or b"{}")
            result = self.server.call(self.path.lstrip("/"), arguments)
        except (*_ERRORS, json.JSONDecodeError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except Exception as error:
            _log.exception("the operation %s failed", self.path)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": repr(error)})
        else:
            self._answer(HTTPStatus.OK, {"result": result})

    def log_message(self, *_arguments: object) -> None:
        """Log no line per request."""

    def _answer(self, status: HTTPStatus, body: dict[str, Json]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _digits(number: str) -> str:
    return number.removeprefix("+")
