"""All open connections: their number, their order, and their limits."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from hudhud.core.ip_addresses import Network, is_within, limited_as, parse_networks
from hudhud.web.server.timing import ConnectionTiming

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

# Each connection can hold a head of 64 KiB: this many hold 256 MiB.
MOST_CONNECTIONS = 4096
# The part of all connections that one address may have.
SHARE_OF_ADDRESS = 4
# Above this part of the limit, the server is reported as nearly full.
NEARLY_FULL = 0.8
LOOPBACK = parse_networks("127.0.0.0/8 ::1/128")


class Connection(Protocol):
    """A connection of the pool."""

    address: str

    def check(self, now: float) -> None:
        """End the connection if it exceeds a time limit."""

    def abort(self) -> None:
        """Drop the connection."""


class Connections:
    """Counts connections, drops idle ones when full, and checks time limits.

    A connection is busy from a complete request to the end of its answer, and idle otherwise. When
    the pool is full, the connection that has been idle for the longest time makes room.
    """

    def __init__(
        self,
        most: int = MOST_CONNECTIONS,
        exempt: Sequence[Network] = (),
        timing: ConnectionTiming | None = None,
        on_full: Callable[[int, int], None] = lambda _open, _most: None,
    ) -> None:
        """`exempt` networks may take more than one address's share, like loopback.

        `on_full` gets the number of open connections and the most, at most once per report.
        """
        self.timing = timing or ConnectionTiming()
        self._most = most
        self._exempt = (*LOOPBACK, *exempt)
        self._on_full = on_full
        self._open: dict[Connection, str] = {}
        self._open_of: Counter[str] = Counter()
        self._idle: dict[Connection, None] = {}
        self._idle_of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._dropped = self._refused = 0
        self._is_sweeping = False
        self._report_at = 0.0

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; return False if it has no place."""
        owner = self._owner(connection.address)
        if not self._make_room(owner):
            self._refused += 1
            return False
        self._open[connection] = owner
        self._open_of[owner] += 1
        self.idle(connection)
        self._sweep_later()
        return True

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection; it may be unknown."""
        owner = self._open.pop(connection, None)
        if owner is None:
            return
        self._drop_idle(connection, owner)
        self._open_of[owner] -= 1
        if not self._open_of[owner]:
            del self._open_of[owner]
            self._idle_of.pop(owner, None)

    def idle(self, connection: Connection) -> None:
        """Note that a connection is idle from now on."""
        owner = self._open.get(connection)
        if owner is not None:
            self._drop_idle(connection, owner)
            self._idle[connection] = self._idle_of[owner][connection] = None

    def busy(self, connection: Connection) -> None:
        """Note that a connection waits for an answer: it is not dropped."""
        owner = self._open.get(connection)
        if owner is not None:
            self._drop_idle(connection, owner)

    def abort_all(self) -> None:
        """Drop all connections."""
        for connection in list(self._open):
            connection.abort()

    def _drop_idle(self, connection: Connection, owner: str) -> None:
        self._idle.pop(connection, None)
        self._idle_of[owner].pop(connection, None)

    def _owner(self, address: str) -> str:
        """Return the address whose share counts; empty for one without a share."""
        return "" if is_within(address, self._exempt) else limited_as(address)

    def _make_room(self, owner: str) -> bool:
        if owner and self._open_of[owner] >= self._most // SHARE_OF_ADDRESS:
            return self._drop_oldest(self._idle_of[owner])
        return len(self._open) < self._most or self._drop_oldest(self._idle)

    def _drop_oldest(self, idle: Mapping[Connection, None]) -> bool:
        oldest = next(iter(idle), None)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.abort()
        self._dropped += 1
        return True

    def _sweep_later(self) -> None:
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(self.timing.sweep, self._sweep)

    def _sweep(self) -> None:
        self._is_sweeping = False
        now = asyncio.get_running_loop().time()
        for connection in list(self._open):
            connection.check(now)
        self._report(now)
        if self._open:
            self._sweep_later()

    def _report(self, now: float) -> None:
        """Report a full server at most once per interval."""
        is_full = len(self._open) >= self._most * NEARLY_FULL
        if now < self._report_at or not (is_full or self._dropped or self._refused):
            return
        self._report_at = now + self.timing.report
        log.warning(
            "nearly all connections are in use; find the clients that keep them open",
            open=len(self._open),
            most=self._most,
            dropped=self._dropped,
            refused=self._refused,
        )
        self._dropped = self._refused = 0
        self._on_full(len(self._open), self._most)
