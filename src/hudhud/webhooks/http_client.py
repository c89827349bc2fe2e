"""Post to receivers, only at allowed addresses.

Uses httpcore directly: no proxies from the environment, cookies, redirects or decompression.
"""

import asyncio
import os
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore

from hudhud.core.clock import now_ms
from hudhud.core.masking import mask_text
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import Sentence, other, say
from hudhud.webhooks.address_policy import AddressPolicy, AddressRefused

MOST_READ = 64 * 1024
# Bounds one answer including its interim responses (1xx), whose number is not limited.
MOST_RECEIVED = 128 * 1024
LONGEST_EXCERPT = 200
MOST_ADDRESSES = 3
CONNECT_SECONDS = 5.0
KEPT_OPEN_SECONDS = 30.0
SUCCESSES = range(200, 300)
REDIRECTS = range(300, 400)
MAY_ASK_FOR_TIME = (429, 503)
DIGITS_OF_SECONDS = 9

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """A receiver's answer: HTTP status, if any, and error unless it succeeded.

    `retry_after` is the number of seconds that the receiver asked to wait.
    """

    status: int | None
    error: Sentence | None = None
    retry_after: float | None = None


class WebhookClient:
    """Posts over a pool of connections; belongs to one event loop."""

    def __init__(
        self, address_policy: AddressPolicy, *, most_connections: int, answer_seconds: float
    ) -> None:
        self._answer_seconds = answer_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpcore.default_ssl_context(),
            max_connections=most_connections,
            keepalive_expiry=KEPT_OPEN_SECONDS,
            network_backend=_JudgingBackend(_Names(address_policy)),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> EndpointAnswer:
        """Post and return the answer, which must be complete within `answer_seconds`."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._exchange(url, headers, body)
        except TimeoutError:
            return EndpointAnswer(
                None, say("webhook.no_answer", detail=f"{self._answer_seconds:g}")
            )
        except _Refused as refused:
            return EndpointAnswer(None, refused.sentence)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return EndpointAnswer(None, say("webhook.no_connection", detail=_root_of(error)))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            return EndpointAnswer(None, say("webhook.connection_ended", detail=_root_of(error)))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> EndpointAnswer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        address = httpcore.URL(
            scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target
        )
        given = [("Host", parts.netloc), *headers.items()]
        async with self._pool.stream("POST", address, headers=given, content=body) as response:
            return _answer(response, await _beginning(response))


class _Refused(httpcore.ConnectError):
    """The address is not allowed; the sentence has the reason."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.english())
        self.sentence = sentence


class _JudgingBackend(httpcore.AnyIOBackend):
    """Connects only to checked addresses, without resolving the name again."""

    def __init__(self, names: "_Names") -> None:
        self._names = names

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first reachable address of the name. Raises _Refused."""
        del timeout  # there is a timeout for the whole answer
        try:
            addresses = await self._names.addresses(host, port)
        except AddressRefused as refused:
            raise _Refused(refused.sentence) from None
        *first, last = addresses[:MOST_ADDRESSES]

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return _BoundedStream(
                await super(_JudgingBackend, self).connect_tcp(
                    address, port, CONNECT_SECONDS, local_address, socket_options
                )
            )

        for address in first:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await connect(address)
        return await connect(last)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- as above
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse, because endpoints have no such addresses."""
        del timeout, socket_options
        raise _Refused(other(f"{path} is not an address."))


class _BoundedStream(httpcore.AsyncNetworkStream):
    """A connection that receives at most `MOST_RECEIVED` bytes after each write."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._received = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 -- as above
        """Read a part. Raises httpcore.ReadError if the answer is too large."""
        part = await self._stream.read(max_bytes, timeout)
        self._received += len(part)
        if self._received > MOST_RECEIVED:
            raise httpcore.ReadError(f"received over {MOST_RECEIVED // 1024} KiB")
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- as above
        """Write, and count the next answer from 0."""
        self._received = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- as above
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection with TLS, with the same bound."""
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return the information of the underlying connection."""
        return self._stream.get_extra_info(info)


class _Names:
    """Resolves each name in a separate daemon thread, once at a time.

    A name server that does not answer blocks a thread for half a minute. Such a thread must not
    occupy a thread pool or keep the process from exiting.
    """

    def __init__(self, address_policy: AddressPolicy) -> None:
        self._address_policy = address_policy
        self._running: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name. Raises AddressRefused."""
        name = (host, port)
        if name not in self._running:
            found = asyncio.get_running_loop().create_future()
            self._running[name] = found
            found.add_done_callback(lambda _: self._running.pop(name))
            threading.Thread(target=self._look_up, args=(name, found), daemon=True).start()
        return await asyncio.shield(self._running[name])

    def _look_up(self, name: tuple[str, int], found: asyncio.Future[Sequence[str]]) -> None:
        addresses: Sequence[str] | Exception
        try:
            addresses = self._address_policy.addresses(*name)
        except Exception as error:  # passed on to the waiting request
            addresses = error
        with suppress(RuntimeError):  # the loop may have ended
            found.get_loop().call_soon_threadsafe(_settle, found, addresses)


def _settle(found: asyncio.Future[Sequence[str]], addresses: Sequence[str] | Exception) -> None:
    if found.cancelled():
        return
    if isinstance(addresses, Exception):
        found.set_exception(addresses)
        found.exception()  # avoids a warning if no request waits any more
    else:
        found.set_result(addresses)


async def _beginning(response: httpcore.Response) -> bytes:
    """Read at most `MOST_READ` bytes of the body."""
    read = b""
    async for part in response.aiter_stream():
        read += part
        if len(read) >= MOST_READ:
            break
    return read[:MOST_READ]


def _answer(response: httpcore.Response, body: bytes) -> EndpointAnswer:
    status = response.status
    if status in SUCCESSES:
        return EndpointAnswer(status)
    if status in REDIRECTS:
        return EndpointAnswer(status, say("webhook.redirected", status=status))
    # The answer may repeat the request, with its phone number.
    said = mask_text(" ".join(body.decode("utf-8", "replace").split()))
    excerpt = shortened(said, LONGEST_EXCERPT)
    error = say("webhook.refused", status=status)
    if said:
        error = say("webhook.refused_saying", status=status, excerpt=excerpt)
    return EndpointAnswer(status, error, _retry_after(response))


def _retry_after(response: httpcore.Response) -> float | None:
    """Return the seconds of Retry-After, number or date (RFC 9110, 10.2.3)."""
    if response.status not in MAY_ASK_FOR_TIME:
        return None
    values = [value for name, value in response.headers if name.lower() == b"retry-after"]
    text = values[0].decode("latin-1").strip() if values else ""
    if text.isascii() and text.isdecimal():
        return float(text[:DIGITS_OF_SECONDS])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_ms() / 1000)
    except (ValueError, OverflowError):
        return None


def _root_of(error: BaseException) -> str | Sentence:
    """Return the message of the system or TLS error behind an error."""
    root = error
    # httpcore removes `__cause__`, but not `__context__`.
    while (beneath := root.__cause__ or root.__context__) is not None:
        root = beneath
    if isinstance(root, ssl.SSLCertVerificationError):
        said = root.verify_message
    elif isinstance(root, ssl.SSLError):
        if not root.reason:
            return say("webhook.tls_failed")
        said = root.reason
    elif isinstance(root, OSError) and root.errno:
        said = os.strerror(root.errno)
    else:
        said = str(root) or type(root).__name__
    return shortened(said.rstrip("."), LONGEST_EXCERPT)
