"""The pool of connections: room, shares of addresses, and the order of dropping."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from conftest import MigratedDatabase
from hudhud.core.ip_addresses import parse_networks
from hudhud.db.engine import Database
from hudhud.web.server.connections import SHARE_OF_ADDRESS, Connections
from hudhud.web.server.timing import ConnectionTiming
from support.web_server import WebServer, web_server

MOST = 8
HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: hudhud\r\nConnection: close\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Recorded:
    """A connection that records its end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_open = True

    def check(self, now: float) -> None:
        """Exceed no limit."""

    def abort(self) -> None:
        self.is_open = False


def admitted(pool: Connections, *addresses: str) -> list[Recorded]:
    connections = [Recorded(address) for address in addresses]
    for connection in connections:
        assert pool.admit(connection)
    return connections


def many(count: int) -> list[str]:
    return [f"198.51.{number // 250}.{number % 250}" for number in range(count)]


@pytest.mark.anyio
async def test_idle_connection_of_longest_time_makes_room() -> None:
    pool = Connections(MOST)
    connections = admitted(pool, *many(MOST))
    pool.busy(connections[0])
    pool.idle(connections[1])
    admitted(pool, "203.0.113.1", "203.0.113.2")
    assert [each.is_open for each in connections] == [True, True, False, False] + [True] * 4


@pytest.mark.anyio
async def test_connection_is_refused_while_all_are_busy() -> None:
    pool = Connections(MOST)
    connections = admitted(pool, *many(MOST))
    for connection in connections:
        pool.busy(connection)
    assert not pool.admit(Recorded("203.0.113.1"))
    pool.forget(connections[0])
    assert pool.admit(Recorded("203.0.113.1"))
    assert all(connection.is_open for connection in connections)


@pytest.mark.parametrize(
    ("one", "other"), [("198.51.100.1", "198.51.100.1"), ("2001:db8::1", "2001:db8::2")]
)
@pytest.mark.anyio
async def test_address_has_a_quarter_of_all_connections(one: str, other: str) -> None:
    pool = Connections(MOST, timing=ConnectionTiming(sweep=0.01))
    share = MOST // SHARE_OF_ADDRESS
    first = admitted(pool, *[one] * share)
    (last,) = admitted(pool, other)
    assert [each.is_open for each in [*first, last]] == [False] + [True] * share
    for connection in [*first, last]:
        pool.busy(connection)
    with capture_logs() as logs:
        assert not pool.admit(Recorded(one))
        admitted(pool, "203.0.113.1")
        await asyncio.sleep(2 * pool.timing.sweep)
    assert logs == []  # the pool has room


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.7"])
@pytest.mark.anyio
async def test_loopback_and_trusted_proxies_may_have_all(address: str) -> None:
    pool = Connections(MOST, parse_networks("192.0.2.0/24"))
    connections = admitted(pool, *[address] * MOST)
    assert all(connection.is_open for connection in connections)


@pytest.mark.anyio
async def test_full_pool_is_reported_once_per_interval() -> None:
    reported: list[tuple[int, int]] = []
    timing = ConnectionTiming(sweep=0.01, report=60.0)
    pool = Connections(MOST, timing=timing, on_full=lambda *counts: reported.append(counts))
    with capture_logs() as logs:
        admitted(pool, *many(MOST - 2))
        await asyncio.sleep(0.05)
        assert not logs
        admitted(pool, *many(MOST))
        await asyncio.sleep(0.05)
        admitted(pool, *many(MOST))
        await asyncio.sleep(0.05)
    assert reported == [(MOST, MOST)]
    assert [(line["open"], line["most"], line["dropped"]) for line in logs] == [(MOST, MOST, 6)]


@pytest.fixture(scope="module")
def small(migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """A server with few connections."""
    with migrated_database("sqlite") as url:
        database = Database(url)
        with web_server(database, pool=Connections(MOST)) as server:
            yield server
        database.close()


def test_silent_connections_do_not_keep_others_out(small: WebServer) -> None:
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", small.port), 10))
            for _ in range(MOST * 5)
        ]
        for _ in range(MOST):
            assert small.raw(HEALTHY).startswith(b"HTTP/1.1 200")
        assert silent[0].recv(1) == b""
