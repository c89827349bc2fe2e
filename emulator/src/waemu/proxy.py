"""The CONNECT proxy through which clients reach only the emulated WhatsApp."""

import asyncio
import contextlib
import socket
from collections import deque

ALLOWED = "web.whatsapp.com:443"
_KEPT = 1_000
_CHUNK = 65536


class Proxy:
    """An HTTP proxy on 127.0.0.1 that refuses all other targets.

    Attributes:
        refused: the refused targets, as clients named them.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self.refused: deque[str] = deque(maxlen=_KEPT)
        # A bound socket reserves the port while nothing listens, and refuses connections.
        self._placeholder = _bound_socket(0)
        self.port: int = self._placeholder.getsockname()[1]

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=_bound_socket(self.port))

    def refuse(self) -> None:
        """Stop listening: refuse new connections and keep existing ones."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        self.refuse()
        self._placeholder.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_ = [*head.decode("latin-1").split(" ", 2), ""]
            if method == "CONNECT" and target == ALLOWED:
                await self._tunnel(reader, writer)
            else:
                self.refused.append(target)
                writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pipe(reader, upstream[1]), _pipe(upstream[0], writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
