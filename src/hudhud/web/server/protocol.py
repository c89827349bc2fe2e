"""One HTTP connection, with bounds on its size and its time.

uvicorn parses with httptools and answers. This module adds the bounds that both leave open, and
ignores requests to upgrade (RFC 9110 7.8): httptools would lose their bodies.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from hudhud.core.ip_addresses import unmapped
from hudhud.web.server.connections import Connections
from hudhud.web.server.refusals import BAD, FULL, HEAD_TOO_LARGE, TOO_SLOW, Refusal

# The most bytes without progress: of a head, or between two parts of a body.
MOST_WITHOUT_PROGRESS = 64 * 1024
# As many bytes are parsed in one turn, so that the bounds hold within a large read too.
SLICE = 16 * 1024
# Ends a head, and a chunked body.
END = b"\r\n\r\n"
# The most bytes that wait for the answer to the request before them.
MOST_WAITING = 1024 * 1024
# The most bytes of a body that are discarded after its early answer.
MOST_DISCARDED = 4 * 1024 * 1024
# A smaller part of a body counts as this much, because each costs as much to parse.
LEAST_COUNTED = 1024
FRAMING = (b"content-length", b"transfer-encoding")

Parsed = Literal["nothing", "head", "body"]


class BoundedProtocol(HttpToolsProtocol):
    """A connection that `Connections` counts, and ends if it exceeds a limit."""

    def __init__(
        self,
        pool: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._pool = pool
        self._timing = pool.timing
        self._parsing: Parsed = "nothing"
        self._since = self.loop.time()
        self._is_ending = False
        self._is_resuming = False
        self._has_progressed = False
        self._without_progress = 0
        self._discarded = 0
        self._unparsed = b""
        self._before = b""
        self._body_left: int | None = None
        self._is_paused = False
        self._unwritten = (0, self._since)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; refuse it if the server is full."""
        super().connection_made(transport)
        if self.client is not None:
            self.address = unmapped(self.client[0])
            self.client = (self.address, self.client[1])
        if not self._pool.admit(self):
            self.transport.write(self._rendered(FULL))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._pool.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a read, or keep it while a request waits for its answer."""
        if self._is_ending:
            return
        self._unparsed += data
        if len(self._unparsed) > MOST_WAITING:
            self._refuse(BAD)
            return
        self._parse()

    def _parse(self) -> None:
        """Parse a slice; the rest waits for its turn, so that one peer does not delay others."""
        fed = 0
        while self._unparsed and not self._is_over():
            if self._is_answering() or fed >= SLICE:
                self._pause()
                return
            piece = self._next_piece()
            fed += len(piece)
            self._feed(piece)
        if self._is_paused and not self._is_over():
            self._is_paused = False
            if not self._is_body_waiting():
                self.flow.resume_reading()

    def _is_body_waiting(self) -> bool:
        """Return whether the application has yet to take a large part of the body."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        return is_open and len(cycle.body) > HIGH_WATER_LIMIT

    def _pause(self) -> None:
        self._is_paused = True
        self.flow.pause_reading()
        if not self._is_answering():
            self.loop.call_soon(self._parse)

    def _next_piece(self) -> bytes:
        """Take bytes up to the next possible end of a request: the next one is parsed later."""
        size = SLICE
        if self._parsing == "body" and self._body_left is not None:
            size = min(size, self._body_left)
        else:
            around = self._before + self._unparsed[:SLICE]
            end = around.find(END)
            size = SLICE if end < 0 else end + len(END) - len(self._before)
        piece, self._unparsed = self._unparsed[:size], self._unparsed[size:]
        self._before = (self._before + piece)[1 - len(END) :]
        return piece

    def _is_over(self) -> bool:
        return self._is_ending or self.parser is None or self.transport.is_closing()

    def _feed(self, data: bytes) -> None:
        self._has_progressed = False
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._unparsed = data[upgrade.args[0] :] + self._unparsed
                self._ignore_upgrade()
        except httptools.HttpParserError:
            self._refuse(BAD)
        else:
            self._check_progress(len(data))

    def _check_progress(self, fed: int) -> None:
        self._without_progress = 0 if self._has_progressed else self._without_progress + fed
        if self._without_progress > MOST_WITHOUT_PROGRESS:
            self._refuse(HEAD_TOO_LARGE if self._parsing == "head" else BAD)

    def _ignore_upgrade(self) -> None:
        """Continue with a new parser: this one has ended, without the body.

        The new one gets a head with the headers of the body's framing alone, whose callbacks are
        ignored until the body begins.
        """
        framing = [pair for pair in self.headers if pair[0] in FRAMING]
        self.parser = httptools.HttpRequestParser(self)
        self._is_resuming = True
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + _lines(framing))
        finally:
            self._is_resuming = False

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        if self._is_resuming:
            return
        if self._is_answering():
            raise ValueError("a request begins before the answer to the last one")
        self._unset_keepalive_if_required()
        self._progress("head")
        self._pool.idle(self)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's target."""
        if not self._is_resuming:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are ignored."""
        if self._parsing == "head" and not self._is_resuming:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering the request."""
        if self._is_resuming:
            return
        self._discarded = 0
        lengths = [int(value) for name, value in self.headers if name == b"content-length"]
        self._body_left = lengths[0] if lengths else None
        self._progress("body")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; end the connection if too much of it is unwanted."""
        self._progress("body")
        if self._body_left is not None:
            self._body_left -= len(body)
        if self.cycle.response_complete:
            self._discarded += max(len(body), LEAST_COUNTED)
            if self._discarded > MOST_DISCARDED:
                self._end()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless its body follows a request to upgrade."""
        if self.parser.should_upgrade():
            return
        self._progress("nothing")
        if not self.cycle.response_complete:
            self._pool.busy(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Parse the request that waited for this answer."""
        super().on_response_complete()
        self._since = self.loop.time()
        if not self._is_answering():
            self._pool.idle(self)
        if self._unparsed:
            self.loop.call_soon(self._parse)

    def shutdown(self) -> None:
        """End the connection after its answer, or at once if its request is incomplete."""
        if self._parsing == "body":
            self._end()
        super().shutdown()

    def abort(self) -> None:
        """Drop the connection and what it has not sent."""
        self.transport.abort()

    def check(self, now: float) -> None:
        """End the connection if it exceeds a time limit; `now` in seconds of the loop's clock."""
        took = now - self._since
        if self._is_stalled(now):
            self.abort()
        elif self._is_ending:
            if took > self._timing.linger and not self._is_answering():
                self.transport.close()
        elif self._parsing == "body":
            if took > self._timing.body and not self.flow.read_paused:
                self._refuse(TOO_SLOW)
        elif took > self._timing.head and not self._is_answering():
            self._end_late_head()

    def _end_late_head(self) -> None:
        if self._parsing == "head":
            self._refuse(TOO_SLOW)
        elif self.cycle is None:  # otherwise uvicorn's time limit for idle connections applies
            self._end()

    def _is_answering(self) -> bool:
        """Return whether a complete request waits for its answer."""
        is_open = self.cycle is not None and not self.cycle.response_complete
        return is_open and self._parsing != "body"

    def _is_stalled(self, now: float) -> bool:
        """Return whether the peer has read nothing of its answer for too long."""
        size = self.transport.get_write_buffer_size()
        if size == 0 or size != self._unwritten[0]:
            self._unwritten = (size, now)
        return now - self._unwritten[1] > self._timing.write

    def _progress(self, parsing: Parsed) -> None:
        self._parsing = parsing
        self._has_progressed = True
        self._since = self.loop.time()

    def _refuse(self, refusal: Refusal) -> None:
        """End the connection with an error, or after the answer that it waits for."""
        if self._is_over():
            return
        self._is_ending = True
        self._unparsed = b""
        self._since = self.loop.time()
        if self._is_answering():
            self.cycle.keep_alive = False
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(self._rendered(refusal))
        self._disconnect_request()
        self.flow.resume_reading()  # unread input would reset the connection and lose the answer
        self.transport.write_eof()

    def _rendered(self, refusal: Refusal) -> bytes:
        headers = [*self.server_state.default_headers, *refusal.headers]
        return STATUS_LINE[refusal.status] + _lines(headers) + refusal.body

    def _end(self) -> None:
        self._is_ending = True
        self._disconnect_request()
        self.transport.close()

    def _disconnect_request(self) -> None:
        """Let the application know that the request will not be complete."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n"
