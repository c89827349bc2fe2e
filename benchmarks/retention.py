"""Measure how long deleting a long history holds the database's lock."""

import gc
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.history import MONTH_MS, fill
from hudhud.app import kept_days_of
from hudhud.core.clock import now_ms
from hudhud.core.settings import load_settings
from hudhud.db.engine import Database
from hudhud.db.migrate import migrate
from hudhud.db.tables import installation
from hudhud.maintenance.retention import Retention

OLD_MESSAGES = 200_000
OTHERS_PAUSE_SECONDS = 0.005


def retention(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure how long deleting 200,000 old messages blocks other writers."""
    database = Database(f"sqlite:///{folder / 'hudhud.db'}")
    migrate(database)
    fill(database, count=OLD_MESSAGES, now=now_ms() - 4 * MONTH_MS)
    gc.freeze()  # as `serve` does
    deleting = Retention(database, kept_days_of(load_settings()))
    waits: list[float] = []
    stopping = threading.Event()
    other = threading.Thread(target=_write_now_and_then, args=(database, stopping, waits))
    other.start()
    began = time.perf_counter()
    while (pause := deleting.delete_some()) is not None:
        time.sleep(pause)
    seconds = time.perf_counter() - began
    stopping.set()
    other.join()
    database.close()
    cuts = statistics.quantiles(waits, n=1000)
    yield f"deletion of {OLD_MESSAGES:,} messages", f"{seconds:.0f} s", ""
    yield "its longest transaction", f"{deleting.longest_seconds * 1000:.1f} ms", "≤ 20 ms"
    yield "wait of others for the lock, p99.9", f"{cuts[-1] * 1000:.1f} ms", ""
    yield "wait of others for the lock, longest", f"{max(waits) * 1000:.1f} ms", "≤ 20 ms"


def _write_now_and_then(database: Database, stopping: threading.Event, waits: list[float]) -> None:
    """Write periodically and record how long each write waited for the lock."""
    row = {"name": "bench", "value": "x"}
    while not stopping.wait(OTHERS_PAUSE_SECONDS):
        began = time.perf_counter()
        with database.write() as connection:
            waits.append(time.perf_counter() - began)
            connection.execute(installation.delete().where(installation.c.name == row["name"]))
            connection.execute(installation.insert(), row)
