"""Open event streams of the dashboard in a separate process.

    python -m benchmarks.streams ORIGIN KEY COUNT

Prints a line once every stream has received an event, and at the end of its input a line with the
total number of events.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

import uvloop


class Stream(asyncio.Protocol):
    """One open stream."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.begun = asyncio.Event()
        self.events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b"event: ")
        if self.events > 1:  # the first event only confirms that the stream is open
            self.begun.set()


@contextmanager
def open_streams(origin: str, key: str, count: int) -> Iterator[None]:
    """Keep `count` streams open; raise RuntimeError if they bring no events."""
    command = [sys.executable, "-m", "benchmarks.streams", origin, key, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 -- our own command
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        assert process.stdout is not None  # noqa: S101 -- for the type checker
        begun = int(process.stdout.readline())
        try:
            yield
        finally:
            process.stdin.close()
        if int(process.stdout.readline()) < begun + count:
            raise RuntimeError("the event streams brought nothing")


async def _take(origin: str, key: str, count: int, ended: threading.Event) -> None:
    address = urlsplit(origin)
    request = (
        f"GET /admin/live HTTP/1.1\r\nHost: {address.netloc}\r\nX-API-Key: {key}\r\n\r\n".encode()
    )
    loop = asyncio.get_running_loop()
    host, port = address.hostname or "127.0.0.1", address.port or 80
    streams = [
        (await loop.create_connection(lambda: Stream(request), host, port))[1] for _ in range(count)
    ]
    async with asyncio.timeout(20):
        for stream in streams:
            await stream.begun.wait()
    _tell(streams)
    await asyncio.to_thread(ended.wait)
    _tell(streams)


def _tell(streams: list[Stream]) -> None:
    sys.stdout.write(f"{sum(stream.events for stream in streams)}\n")
    sys.stdout.flush()


def main() -> None:
    """Open the streams given on the command line until the input ends."""
    origin, key, count = sys.argv[1:]
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    uvloop.run(_take(origin, key, int(count), ended))


if __name__ == "__main__":
    main()
