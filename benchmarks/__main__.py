"""Measure Hudhud on this machine against its goals: `make bench`.

`python -m benchmarks PART ...` runs some parts only, by the names of their functions. Each part
starts fresh processes. Only numbers of the same run are comparable: compare the accepts with the
bare route of that run.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from benchmarks.accepting import (
    SANDBOX,
    accepting,
    accepting_on_postgresql,
    accepting_with_history,
    drain,
)
from benchmarks.dashboard import dashboard_on_postgresql, dashboard_on_sqlite
from benchmarks.first_paint import first_paint
from benchmarks.hostile import hostile
from benchmarks.load import load
from benchmarks.numbers import numbers
from benchmarks.retention import retention
from benchmarks.service import Service, free_port
from benchmarks.starts import commands
from hudhud.db.engine import Database
from hudhud.db.tables import messages, senders
from waemu.client import EmulatorProcess

SPARSE_RATE = 20
SPARSE_SECONDS = 15
PHONE = "201005550001"


def main() -> None:
    """Run every part and print the table."""
    console = Console(stderr=True)
    table = Table("what", "measured", "goal", title="Hudhud on this machine")
    with tempfile.TemporaryDirectory(prefix="hudhud-bench-") as name:
        folder = Path(name)
        wanted = sys.argv[1:] or [part.__name__ for part in PARTS]
        for part in (part for part in PARTS if part.__name__ in wanted):
            with console.status(part.__doc__ or ""):
                own = folder / part.__name__
                own.mkdir()
                for row in part(own):
                    table.add_row(*row)
    Console().print(table)


def handover(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure the time from acceptance to the channel."""
    with Service(folder, free_port(), SANDBOX) as service:
        load(service.url, service.key, SPARSE_SECONDS, SPARSE_RATE)
        database = service.database()
        drain(database)
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


PARTS = (
    accepting,
    accepting_with_history,
    accepting_on_postgresql,
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
