"""One client's websocket: frames, the Noise handshake, and stanzas in order, both ways."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from waemu import noise
from waemu.binary import Node, decode, encode
from waemu.phone import Companion

_log = logging.getLogger(__name__)
_LENGTH_SIZE = 3
_MAX_QUEUED = 10_000
# A client that sees the socket's end before it has handled a last stanza takes it for an outage.
_SECONDS_FOR_LAST_STANZA = 0.1


class ClientConnection:
    """One client. Sending never waits: a task of its own encrypts and writes what is queued."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket
        self._frames = _frames(websocket)
        self._outgoing: asyncio.Queue[Node | None] = asyncio.Queue()
        self._session: noise.Session | None = None
        self.companion: Companion | None = None

    @property
    def session(self) -> noise.Session:
        """The finished handshake.

        Raises:
            NoiseError: there is none yet.
        """
        if self._session is None:
            raise noise.NoiseError("no handshake yet")
        return self._session

    async def handshake(self, keys: noise.ServerKeys) -> noise.Session:
        """Lets the client prove its key.

        Raises:
            NoiseError, ValueError: the client does not speak the protocol.
        """
        header = await anext(self._frames)
        if header != noise.HEADER:
            raise noise.NoiseError(f"unknown header {header.hex()}")
        handshake = noise.Handshake(keys, header)
        answer = handshake.answer(await anext(self._frames))
        await self._websocket.send(_with_length(answer))
        self._session = handshake.finish(await anext(self._frames))
        return self._session

    async def stanzas(self) -> AsyncIterator[Node]:
        """The client's stanzas as they come.

        Raises:
            NoiseError, StanzaError: a frame is not what it should be.
        """
        async for frame in self._frames:
            yield decode(self.session.receiving.decrypt(frame))

    def send(self, stanza: Node) -> None:
        """Queues a stanza. A client that reads nothing for too long is cut off."""
        if self._outgoing.qsize() > _MAX_QUEUED:
            _log.warning("a client does not read what it is sent: cut off")
            self.abort()
            return
        self._outgoing.put_nowait(stanza)

    def send_last(self, stanza: Node) -> None:
        """Queues a stanza after which the connection is closed."""
        self._outgoing.put_nowait(stanza)
        self.close()

    def close(self) -> None:
        """Closes the websocket once all that is queued is sent."""
        self._outgoing.put_nowait(None)

    def abort(self) -> None:
        """Cuts the socket at once, without a closing handshake."""
        self._websocket.transport.abort()

    async def write(self) -> None:
        """Sends what is queued, until close(); to be run as a task beside stanzas()."""
        try:
            while (stanza := await self._outgoing.get()) is not None:
                _log.debug("to client: %s", stanza)
                frame = self.session.sending.encrypt(encode(stanza))
                await self._websocket.send(_with_length(frame))
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_FOR_LAST_STANZA):
                    await self._websocket.wait_closed()
            await self._websocket.close()
        except ConnectionClosed:
            pass
        except Exception:
            _log.exception("a stanza that cannot be sent: its connection is cut off")
            self.abort()


def _with_length(frame: bytes) -> bytes:
    return len(frame).to_bytes(_LENGTH_SIZE, "big") + frame


async def _frames(websocket: ServerConnection) -> AsyncIterator[bytes]:
    """The header first, then frames; websocket messages need not end where frames do."""
    buffer = b""
    header_size = len(noise.HEADER)
    wanted = header_size
    started = False
    async for message in websocket:
        if isinstance(message, str):
            raise noise.NoiseError("text where binary frames belong")
        buffer += message
        while len(buffer) >= wanted:
            if not started:
                started = True
                yield buffer[:header_size]
                buffer, wanted = buffer[header_size:], _LENGTH_SIZE
                continue
            end = _LENGTH_SIZE + int.from_bytes(buffer[:_LENGTH_SIZE], "big")
            if len(buffer) < end:
                break
            yield buffer[_LENGTH_SIZE:end]
            buffer = buffer[end:]
