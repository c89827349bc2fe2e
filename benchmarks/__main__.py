"""Measure Hudhud on this machine against its goals: `make bench`.

Each part starts fresh processes. Only numbers of the same run are comparable: compare the accepts
with the bare route of that run.
"""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from benchmarks.dashboard import dashboard_on_postgresql, dashboard_on_sqlite
from benchmarks.first_paint import first_paint
from benchmarks.hostile import hostile
from benchmarks.load import CONNECTIONS, load
from benchmarks.numbers import numbers
from benchmarks.retention import retention
from benchmarks.service import Service, free_port
from benchmarks.starts import commands
from hudhud.db.engine import Database
from hudhud.db.tables import messages, senders
from waemu.client import EmulatorProcess

SECONDS = 8
STEADY_RATE = 500
STEADY_SECONDS = 20
SPARSE_RATE = 20
SPARSE_SECONDS = 15
PHONE = "201005550001"
SANDBOX = {"CHANNEL": "sandbox"}


def main() -> None:
    """Run every part and print the table."""
    console = Console(stderr=True)
    table = Table("what", "measured", "goal", title="Hudhud on this machine")
    with tempfile.TemporaryDirectory(prefix="hudhud-bench-") as name:
        folder = Path(name)
        for part in PARTS:
            with console.status(part.__doc__ or ""):
                own = folder / part.__name__
                own.mkdir()
                for row in part(own):
                    table.add_row(*row)
    Console().print(table)


def throughput(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure durable accepts while the sandbox sender drains the queue."""
    with _bare_route("httptools") as url:
        bare = load(url, "none", SECONDS)["per_second"]
    with _bare_route("h11") as url:
        bare_h11 = load(url, "none", SECONDS)["per_second"]
    with Service(folder, free_port(), SANDBOX) as service:
        accepted = load(service.url, service.key, SECONDS)["per_second"]
        first = service.seconds_to_first_202
        drained = _seconds_to_drain(service.database())
    yield f"bare Litestar route, {CONNECTIONS} connections", f"{bare:,.0f}/s", ""
    yield "the same with uvicorn's other parser, h11", f"{bare_h11:,.0f}/s", ""
    yield f"durable accepts, {CONNECTIONS} connections", f"{accepted:,.0f}/s", ""
    yield "accepts ÷ bare route", f"{accepted / bare:.2f}", "≥ 0.45"
    yield "queue drained after the load", f"{drained:.1f} s", ""
    yield "start to first 202 (new database)", f"{first:.2f} s", "≤ 2 s"


def latency(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure response times at a steady rate."""
    with Service(folder, free_port(), SANDBOX) as service:
        result = load(service.url, service.key, STEADY_SECONDS, STEADY_RATE)
    yield f"p50 at {STEADY_RATE} requests/s", f"{result['p50_ms']:.1f} ms", ""
    yield f"p99 at {STEADY_RATE} requests/s", f"{result['p99_ms']:.1f} ms", "≤ 10 ms"


def handover(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure the time from acceptance to the channel."""
    with Service(folder, free_port(), SANDBOX) as service:
        load(service.url, service.key, SPARSE_SECONDS, SPARSE_RATE)
        database = service.database()
        _seconds_to_drain(database)
        with database.read() as connection:
            gaps = connection.scalars(
                select(messages.c.sent_at - messages.c.created_at).where(
                    messages.c.sent_at.is_not(None), messages.c.id > 1
                )
            ).all()
        database.close()
    cuts = statistics.quantiles(gaps, n=100)
    yield f"accept → channel, p50 at {SPARSE_RATE}/s", f"{cuts[49]:.0f} ms", "≤ 40 ms"
    yield f"accept → channel, p99 at {SPARSE_RATE}/s", f"{cuts[98]:.0f} ms", ""


def memory(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure the memory of serve with one connected linked sender."""
    with EmulatorProcess() as emulator:
        emulator.add_phone(PHONE)
        variables = emulator.environment()
        with Service(folder, free_port(), variables, module="hudhud.cli.demo.launcher") as service:
            _pair(emulator, service.database())
            sizes = service.proportional_set_size()
    for name, size in sizes.items():
        yield f"PSS of {name.split()[0]}", f"{size:.0f} MB", ""
    yield "PSS of serve and one linked sender", f"{sum(sizes.values()):.0f} MB", "≤ 200 MB"


def _pair(emulator: EmulatorProcess, database: Database) -> None:
    scanned = ""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with database.read() as connection:
            row = connection.execute(select(senders.c.state, senders.c.qr)).one()
        if row.state == "connected":
            database.close()
            return
        if row.qr and row.qr != scanned:
            emulator.scan(row.qr, PHONE)
            scanned = row.qr
        time.sleep(0.1)
    raise TimeoutError("the sender did not connect")


def _seconds_to_drain(database: Database) -> float:
    started = time.perf_counter()
    waiting = select(func.count()).where(messages.c.status.in_(["queued", "sending"]))
    while True:
        with database.read() as connection:
            if connection.scalar(waiting) == 0:
                return time.perf_counter() - started
        if time.perf_counter() - started > 120:  # noqa: PLR2004 -- a bound, named here once
            raise TimeoutError("the queue was not drained")
        time.sleep(0.05)


@contextmanager
def _bare_route(parser: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare", str(port), parser]
    process = subprocess.Popen(command)  # noqa: S603 -- our own command
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/api/v1/otp/send"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("the bare route did not start")


PARTS = (
    throughput,
    latency,
    handover,
    hostile,
    memory,
    commands,
    numbers,
    retention,
    first_paint,
    dashboard_on_sqlite,
    dashboard_on_postgresql,
)

if __name__ == "__main__":
    main()
