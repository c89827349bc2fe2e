"""Load one HTTP server from a separate process.

    python -m benchmarks.load URL KEY CONNECTIONS SECONDS [RATE]

Prints one line of JSON. Written on the bare protocol because a real client library would cost more
than the measured server.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

PATIENCE_SECONDS = 10
CONNECTIONS = 32


def load(url: str, key: str, seconds: int, rate: int | None = None) -> Mapping[str, Any]:
    """Run a load and return the output of `main`.

    Raises RuntimeError unless every answer was 202.
    """
    command = [sys.executable, "-m", "benchmarks.load", url, key, str(CONNECTIONS), str(seconds)]
    if rate is not None:
        command.append(str(rate))
    result = subprocess.run(command, capture_output=True, check=True, env=dict(os.environ))  # noqa: S603 -- our own command
    parsed: Mapping[str, Any] = json.loads(result.stdout)
    if set(parsed["statuses"]) != {"202"}:
        raise RuntimeError(f"not every answer was 202: {parsed['statuses']}")
    return parsed


class Connection(asyncio.Protocol):
    """A kept connection that sends one request at a time."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        if len(rest) >= length and self._answer is not None:
            self._buffer = b""
            self._answer.set_result(int(head[9:12]))

    async def request(self) -> int:
        """Request a code for a random number and return the status."""
        body = b'{"phoneNumber": "+2010%08d"}' % random.randrange(10**8)  # noqa: S311
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            raise ConnectionError
        self._transport.write(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return await self._answer


class Load:
    """Sends requests and counts the answers."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-API-KEY: {key}\r\n"
            "Content-Type: application/json\r\n"
        ).encode()
        self.statuses: dict[int, int] = {}
        self.milliseconds: list[float] = []

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection(lambda: Connection(self._head), self._host, self._port)
        return (await connect)[1]

    async def _ask(self, connection: Connection) -> None:
        started = time.perf_counter()
        status = await connection.request()
        self.milliseconds.append((time.perf_counter() - started) * 1000)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    async def as_fast_as_it_answers(self, connections: int, seconds: float) -> None:
        """Keep `connections` busy for `seconds`."""
        end = time.perf_counter() + seconds

        async def keep_busy() -> None:
            connection = await self._connect()
            while time.perf_counter() < end:
                await self._ask(connection)

        await asyncio.gather(*(keep_busy() for _ in range(connections)))

    async def at_a_rate(self, connections: int, seconds: float, rate: float) -> None:
        """Start a request every 1/`rate` s, counting waits for a connection.

        The clock of each request starts when it was due, so that stalls show in the results.
        """
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(connections):
            free.put_nowait(await self._connect())
        started = time.perf_counter()

        async def ask(due: float) -> None:
            connection = await free.get()
            status = await connection.request()
            self.milliseconds.append((time.perf_counter() - due) * 1000)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            free.put_nowait(connection)

        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * rate)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(ask(due))


def main() -> None:
    """Run the load that the command line describes."""
    url, key, connections, seconds, *rate = sys.argv[1:]
    requests = Load(url, key)

    async def run() -> None:
        async with asyncio.timeout(float(seconds) + PATIENCE_SECONDS):
            if rate:
                await requests.at_a_rate(int(connections), float(seconds), float(rate[0]))
            else:
                await requests.as_fast_as_it_answers(int(connections), float(seconds))

    started = time.perf_counter()
    uvloop.run(run())
    cuts = statistics.quantiles(requests.milliseconds, n=100)
    result = {
        "per_second": len(requests.milliseconds) / (time.perf_counter() - started),
        "statuses": requests.statuses,
        "p50_ms": cuts[49],
        "p95_ms": cuts[94],
        "p99_ms": cuts[98],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
