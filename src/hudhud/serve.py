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

import structlog
import uvicorn
import uvloop
from litestar import Litestar

from hudhud import app
from hudhud.core.errors import StartRefused
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.web.application import build_web
from hudhud.worker.program import Program

log = structlog.get_logger(__name__)

Loop = Callable[[threading.Event], None]

# How long shutdown waits for requests in flight; the senders have 8 s in parallel.
REQUESTS_SECONDS = 5
BACKLOG = 2048
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
    listener = _listen(settings)
    stopping = threading.Event()
    loops = _loops(settings, database, program)
    web = build_web(settings, database)
    with _running(loops, stopping):
        uvloop.run(_serve_web(settings, web, listener, stopping, on_listening))
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
    settings: Settings,
    web: Litestar,
    listener: socket.socket,
    stopping: threading.Event,
    on_listening: Callable[[int], None],
) -> None:
    port = listener.getsockname()[1]
    server = _Server(server_config(settings, web), lambda: on_listening(port))

    def stop() -> None:
        stopping.set()
        web.state.feed.close()  # uvicorn waits for open streams
        web.state.app_state.waiting.close()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[listener])


def server_config(settings: Settings, web: Litestar) -> uvicorn.Config:
    """Return uvicorn's configuration; only TRUSTED_PROXIES may send forwarded headers."""
    return uvicorn.Config(
        web,
        http="httptools",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        timeout_graceful_shutdown=REQUESTS_SECONDS,
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StartRefused(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Stop the other program on this port, or set PORT or HOST."
        ) from None
