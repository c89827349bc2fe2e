"""The emulated WhatsApp server: listens, logs clients in and routes their stanzas."""

import asyncio
import logging
import time
from collections import Counter, deque
from http import HTTPStatus
from pathlib import Path

from websockets.asyncio.server import Server as WebsocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from waemu import noise, protobuf
from waemu.binary import SERVER, Jid, Node
from waemu.connection import ClientConnection
from waemu.directory import Directory
from waemu.faults import Faults
from waemu.inbox import Inbox
from waemu.messages import Messages
from waemu.pairing import Pairing
from waemu.phone import Companion, StanzaKey
from waemu.proxy import Proxy
from waemu.records import Dial
from waemu.stanzas import Queries
from waemu.tls import make_tls

_log = logging.getLogger(__name__)
_PATH = "/ws/chat"
_MAX_FRAME = 1 << 24
_KEPT_DIALS = 10_000
_SECONDS_TO_CLOSE = 2
_REPLACED = Node("stream:error", {}, [Node("conflict", {"type": "replaced"})])
_UNKNOWN_DEVICE = {"reason": "401", "location": "emu"}
_LOGGED_OUT_REASONS = ("401", "403", "406")  # makes the client delete its session

# Field number of ClientPayload: the account's number, absent before pairing.
_USERNAME = 1


class Server:
    """An emulated WhatsApp with all state in memory, on one event loop.

    Attributes:
        ca: the file with the certificate of the authority that clients must trust.
        client_errors: number of connections closed because the client broke the protocol.
        stanzas: number of stanzas received from clients, by kind.
    """

    def __init__(self, directory: Path) -> None:
        self.ca, self._tls = make_tls(directory)
        self.keys = noise.ServerKeys()
        self.directory = Directory()
        self.inbox = Inbox()
        self.faults = Faults()
        self.pairing = Pairing(self.directory, self.faults)
        self.queries = Queries(self.directory, self.pairing, self.faults)
        self.messages = Messages(self.directory, self.inbox, self.faults)
        self.connections: set[ClientConnection] = set()
        self.dials: deque[Dial] = deque(maxlen=_KEPT_DIALS)
        self.stanzas: Counter[str] = Counter()
        self.client_errors = 0
        self.port = 0
        self._websockets: WebsocketServer | None = None
        self._proxy: Proxy | None = None

    async def start(self) -> None:
        """Listen on free ports of 127.0.0.1."""
        self._websockets = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=self._tls,
            process_request=self._admit,
            max_size=_MAX_FRAME,
            ping_interval=None,
            close_timeout=_SECONDS_TO_CLOSE,
        )
        self.port = next(iter(self._websockets.sockets)).getsockname()[1]
        self._proxy = Proxy(self.port)
        await self._proxy.listen()

    async def stop(self) -> None:
        self.proxy.close()
        if self._websockets is not None:
            self._websockets.close()
            await self._websockets.wait_closed()

    @property
    def proxy(self) -> Proxy:
        if self._proxy is None:
            raise RuntimeError("the server has not been started")
        return self._proxy

    async def set_faults(self, faults: Faults) -> None:
        self.faults.replace(faults)
        if faults.refuse_connections:
            self.proxy.refuse()
        else:
            await self.proxy.listen()

    def _admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        status = self.faults.upgrade_status
        if status is None and request.path.split("?", 1)[0] != _PATH:
            status = HTTPStatus.NOT_FOUND
        self.dials.append(Dial(time.time(), status or HTTPStatus.SWITCHING_PROTOCOLS))
        return None if status is None else Response(status, "refused", Headers(), b"")

    async def _serve(self, websocket: ServerConnection) -> None:
        connection = ClientConnection(websocket)
        self.connections.add(connection)
        writer: asyncio.Task[None] | None = None
        try:
            session = await connection.handshake(self.keys)
            writer = asyncio.create_task(connection.write())
            self._log_in(connection, session)
            async for stanza in connection.stanzas():
                self._receive(connection, stanza)
        except ConnectionClosed:
            pass
        except Exception:
            self.client_errors += 1
            _log.exception("closed a connection: the client broke the protocol")
        finally:
            self._forget(connection)
            if writer is not None:
                connection.close()
                await writer

    def _log_in(self, connection: ClientConnection, session: noise.Session) -> None:
        payload = protobuf.decode(session.payload)
        is_new = payload.integer(_USERNAME) is None
        companion = None if is_new else self.directory.companion(session.client_key)
        failure = self.faults.failure_of(companion.phone.number if companion else None)
        if companion is not None:
            companion.logins.append(time.time())
        if failure is None and companion is None and not is_new:
            failure = _UNKNOWN_DEVICE
        if failure is not None:
            connection.send_last(Node("failure", dict(failure)))
            if companion is not None and failure.get("reason") in _LOGGED_OUT_REASONS:
                self.directory.unlink(companion)
        elif companion is None:
            self.pairing.offer(connection, payload)
        else:
            self._admit_companion(connection, companion)

    def _admit_companion(self, connection: ClientConnection, companion: Companion) -> None:
        """Log in a linked device, replacing its older connection."""
        if companion.connection is not None:
            companion.connection.companion = None
            companion.connection.send_last(_REPLACED)
        connection.companion, companion.connection = companion, connection
        success: dict[str, str | Jid] = {"t": str(int(time.time())), "lid": companion.jid}
        connection.send(Node("success", success))
        missed = companion.unanswered()
        for stanza in missed:
            connection.send(stanza)
        offline = Node("offline", {"count": str(len(missed))})
        connection.send(Node("ib", {"from": SERVER}, [offline]))

    def _receive(self, connection: ClientConnection, stanza: Node) -> None:
        _log.debug("from client: %s", stanza)
        self.stanzas[_kind(stanza)] += 1
        if stanza.tag == "iq":
            self.queries.handle(connection, stanza)
        elif stanza.tag == "message":
            self.messages.take(connection, stanza)
        elif connection.companion is not None:
            key = _answered_key(stanza)
            if key is not None:
                connection.companion.answered(key)

    def _forget(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        self.pairing.forget(connection)
        companion = connection.companion
        if companion is not None and companion.connection is connection:
            companion.connection = None


def _kind(stanza: Node) -> str:
    """Return a stanza's kind for the statistics, like "iq usync get"."""
    parts = (stanza.tag, stanza.text("xmlns"), stanza.text("class"), stanza.text("type"))
    return " ".join(part for part in parts if part)


def _answered_key(stanza: Node) -> StanzaKey | None:
    """Return the key of the stanza that this one answers."""
    if stanza.tag == "receipt":
        return StanzaKey("message", stanza.text("id"), "")
    if stanza.tag != "ack":
        return None
    kind = "" if stanza.text("class") == "message" else stanza.text("type")
    return StanzaKey(stanza.text("class"), stanza.text("id"), kind)
