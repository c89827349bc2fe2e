"""One client's websocket: frames, the Noise handshake, and stanzas in order."""

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
# A client that sees the socket close before it handled the last stanza treats it as an outage.
_SECONDS_FOR_LAST_STANZA = 0.1


class ClientConnection:
    """One client's connection. A separate task encrypts and writes: sending never blocks."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket
        self._frames = _frames(websocket)
        self._outgoing: asyncio.Queue[Node | None] = asyncio.Queue()
        self._session: noise.Session | None = None
        self.companion: Companion | None = None

    @property
    def session(self) -> noise.Session:
        """Return the session of the finished handshake.

        Raises:
            NoiseError: the handshake is not finished.
        """
        if self._session is None:
            raise noise.NoiseError("no handshake yet")
        return self._session

    async def handshake(self, keys: noise.ServerKeys) -> noise.Session:
        """Run the handshake, in which the client proves its key.

        Raises:
            NoiseError, ValueError: the client violates the protocol.
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
        """Yield the client's stanzas in order.

        Raises:
            NoiseError, StanzaError: a frame is malformed.
        """
        async for frame in self._frames:
            yield decode(self.session.receiving.decrypt(frame))

    def send(self, stanza: Node) -> None:
        """Queue a stanza; cut off a client that reads too slowly."""
        if self._outgoing.qsize() > _MAX_QUEUED:
            _log.warning("cut off a client that does not read")
            self.abort()
            return
        self._outgoing.put_nowait(stanza)

    def send_last(self, stanza: Node) -> None:
        """Queue a stanza and close the connection after it."""
        self._outgoing.put_nowait(stanza)
        self.close()

    def close(self) -> None:
        """Close the websocket once the queue is sent."""
        self._outgoing.put_nowait(None)

    def abort(self) -> None:
        """Cut the socket without a closing handshake."""
        self._websocket.transport.abort()

    async def write(self) -> None:
        """Send the queue until close(); runs as a task alongside stanzas()."""
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
            _log.exception("cut off a connection: a stanza could not be sent")
            self.abort()


def _with_length(frame: bytes) -> bytes:
    return len(frame).to_bytes(_LENGTH_SIZE, "big") + frame


async def _frames(websocket: ServerConnection) -> AsyncIterator[bytes]:
    """Yield the header, then the frames, which may span websocket messages."""
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
