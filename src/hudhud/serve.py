"""Run the web application, the senders and the housekeeping until a signal.

Shutdown takes at most 10 s: stop accepting, finish the requests in flight, let the senders finish
their current messages, close the database.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import cast

import structlog
import uvicorn
import uvloop
from litestar import Litestar
from sqlalchemy.exc import SQLAlchemyError

from hudhud import app
from hudhud.core.clock import now_ms
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.web.application import build_web
from hudhud.web.http.forwarded import Forwarded
from hudhud.web.server import pressure
from hudhud.web.server.connections import Connections
from hudhud.web.server.listening import listen, most_connections
from hudhud.web.server.pressure import Pressure
from hudhud.web.server.protocol import BoundedProtocol
from hudhud.worker.program import Program

log = structlog.get_logger(__name__)

Loop = Callable[[threading.Event], None]

# How long shutdown waits for requests in flight; the senders have 8 s in parallel.
REQUESTS_SECONDS = 5
# Then the connections of peers that do not read their answers are dropped.
DROP_SECONDS = 4
END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The commit thread releases the GIL at each database call and waits this long to get it back from
# the event loop; Python's default of 5 ms would halve the throughput.
SWITCH_SECONDS = 0.0002


class _Server(uvicorn.Server):
    """uvicorn with a callback once it listens, and without signal handlers.

    uvicorn's own handlers would end the process by the signal itself.
    """

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    settings: Settings,
    database: Database,
    program: Program,
    on_listening: Callable[[int], None],
) -> None:
    """Serve and supervise until SIGTERM or SIGINT; `on_listening` gets the port.

    Raises StartRefused if the address cannot be bound.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    pool = _pool(settings, database)
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    stopping = threading.Event()
    loops = _loops(settings, database, program)
    web = build_web(settings, database)
    server = _Server(server_config(settings, web, pool), lambda: on_listening(port))
    with _running(loops, stopping):
        uvloop.run(_serve_web(server, pool, web, listener, stopping))
    database.close()
    log.info("stopped")


def work(settings: Settings, database: Database, program: Program) -> None:
    """Supervise the senders without a web application, until SIGTERM or SIGINT."""
    stopping = threading.Event()
    loops = _loops(settings, database, program)
    with contextlib.suppress(SystemExit), _running(loops, stopping):
        end_by_signal()
        while True:
            signal.pause()
    database.close()
    log.info("stopped")


def end_by_signal() -> None:
    """Make SIGTERM and SIGINT raise SystemExit with exit code 0."""
    for number in END_SIGNALS:
        signal.signal(number, lambda _number, _frame: sys.exit(0))


def _loops(settings: Settings, database: Database, program: Program) -> list[tuple[str, Loop]]:
    """Build the background loops, each with the name of its thread."""
    supervisors = app.build_supervisors(settings, database, program)
    return [
        ("housekeeping", app.build_housekeeping(settings, database).run),
        ("webhooks", app.build_dispatcher(settings, database).run),
        *((f"supervisor-{each.sender}", each.run) for each in supervisors),
    ]


@contextlib.contextmanager
def _running(loops: Sequence[tuple[str, Loop]], stopping: threading.Event) -> Iterator[None]:
    # Objects made at startup live as long as the process: collecting them would take up to 100 ms,
    # even within a transaction.
    gc.freeze()
    threads = [threading.Thread(target=run, args=(stopping,), name=name) for name, run in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for number in END_SIGNALS:  # a second signal must not interrupt the shutdown
            signal.signal(number, signal.SIG_IGN)
        stopping.set()
        for thread in threads:
            thread.join()


async def _serve_web(
    server: _Server,
    pool: Connections,
    web: Litestar,
    listener: socket.socket,
    stopping: threading.Event,
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        end_streams(web)
        loop.call_later(DROP_SECONDS, pool.abort_all)
        server.should_exit = True

    for number in END_SIGNALS:
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[listener])


def end_streams(web: Litestar) -> None:
    """End open streams and long waits, for which uvicorn would wait."""
    web.state.feed.close()
    web.state.app_state.waiting.close()


def server_config(settings: Settings, web: Litestar, pool: Connections) -> uvicorn.Config:
    """Return uvicorn's configuration; only TRUSTED_PROXIES may send forwarded headers."""
    trusted = settings.trusted_proxies
    protocol = partial(BoundedProtocol, pool)
    return uvicorn.Config(
        Forwarded(web, trusted) if trusted else web,
        http=cast("type[BoundedProtocol]", protocol),
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=cast("int", pool.timing.keep_alive),
        timeout_graceful_shutdown=REQUESTS_SECONDS,
    )


def _pool(settings: Settings, database: Database) -> Connections:
    def remember(open_now: int, most: int) -> None:
        threading.Thread(target=_remember, args=(database, open_now, most), daemon=True).start()

    return Connections(most_connections(), settings.trusted_proxies, on_full=remember)


def _remember(database: Database, open_now: int, most: int) -> None:
    # `doctor` can do without this record, and the log has it too.
    with contextlib.suppress(SQLAlchemyError), database.write() as connection:
        pressure.remember(connection, Pressure(now_ms(), open_now, most))
