"""Measure a service while hostile peers use its port."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from benchmarks.load import load
from benchmarks.service import Service, free_port
from benchmarks.threads import running

RATE = 100
SECONDS = 8
PEERS = 8
SILENT = 1500
PIECE = b"a: b\r\n" * 10_000


def hostile(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure response times and memory next to endless heads and silent connections."""
    with Service(folder, free_port(), {"CHANNEL": "sandbox"}) as service:
        port = int(service.origin.rpartition(":")[2])
        before = _megabytes(service)
        calm = load(service.url, service.key, SECONDS, RATE)
        with running(partial(_send, port), PEERS):
            attacked = load(service.url, service.key, SECONDS, RATE)
        with _silent_connections(port):
            crowded = load(service.url, service.key, SECONDS, RATE)
        grown = _megabytes(service) - before
    yield f"p99 at {RATE} requests/s", f"{calm['p99_ms']:.0f} ms", ""
    yield f"… next to {PEERS} peers with endless heads", f"{attacked['p99_ms']:.0f} ms", ""
    yield f"… next to {SILENT} silent connections", f"{crowded['p99_ms']:.0f} ms", ""
    yield "memory grown by both", f"{grown:.0f} MB", ""


def _megabytes(service: Service) -> float:
    return float(service.processes()[0].memory_info().rss) / 1e6


def _send(port: int, stopping: threading.Event) -> None:
    """Send heads without end, each on a new connection once the last one was ended."""
    while not stopping.is_set():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n")
            while not stopping.is_set():
                peer.sendall(PIECE)


@contextmanager
def _silent_connections(port: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        yield
