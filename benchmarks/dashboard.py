"""Measure the dashboard with a month of messages, on both databases.

HUDHUD_BENCH_JOBS sets the number of messages; the goals assume a million.
"""

import os
import secrets
import statistics
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from benchmarks.history import JOBS, fill
from benchmarks.load import load
from benchmarks.postgres import postgres
from benchmarks.reads import Known, Read, Reader, all_reads, without_pause
from benchmarks.service import Service, free_port
from benchmarks.streams import open_streams
from hudhud.auth import api_keys
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.migrate import migrate
from hudhud.db.tables import messages

WARM_UPS = 5
TIMES = 100
SENDS_PER_SECOND = 50
SEND_SECONDS = 20
READERS = 2
STREAMS = 20
KNOWN_PHONES = 500
READ_GOAL = "p95 ≤ 50 ms"

Row = tuple[str, str, str]


def dashboard_on_sqlite(folder: Path) -> Iterator[Row]:
    """Measure the dashboard with a month of messages on SQLite."""
    yield from _measure("SQLite", folder, {})


def dashboard_on_postgresql(folder: Path) -> Iterator[Row]:
    """Measure the dashboard with a month of messages on PostgreSQL."""
    with postgres(folder) as url:
        yield from _measure("PostgreSQL", folder, {"DATABASE_URL": url})


def _measure(name: str, folder: Path, variables: Mapping[str, str]) -> Iterator[Row]:
    secret = secrets.token_hex(16)
    service = Service(
        folder, free_port(), {"CHANNEL": "sandbox", "SESSION_SECRET": secret, **variables}
    )
    database = service.database()
    admin_key = _prepare(database)
    with service:
        reads = list(all_reads(_known(database, service)))
        yield f"{name}, {JOBS:,} jobs: load of the machine", f"{os.getloadavg()[0]:.1f}", ""
        for read in reads:
            half, most = _p50_and_p95(read, service.origin, admin_key)
            yield f"{name}: {read.name}, p50 / p95", f"{half:.0f} / {most:.0f} ms", READ_GOAL
        for what, measured, goal in _sends(service, reads, admin_key):
            yield f"{name}: {what}", measured, goal
    database.close()


def _prepare(database: Database) -> str:
    """Fill the database; return a key for the admin's routes."""
    migrate(database)
    fill(database, count=JOBS, now=now_ms())
    with database.write() as connection:
        return api_keys.create(connection, "bench", ["admin"], now=now_ms())


def _known(database: Database, service: Service) -> Known:
    body = {"phoneNumber": "+201001234567"}
    answer = httpx.post(service.url, json=body, headers={"X-API-KEY": service.key}).json()
    some = range(1, JOBS, max(1, JOBS // KNOWN_PHONES))
    with database.read() as connection:
        phones = connection.scalars(select(messages.c.phone).where(messages.c.id.in_(some)))
        return Known(answer["jobId"], list(phones), answer["otp"])


def _p50_and_p95(read: Read, origin: str, key: str) -> tuple[float, float]:
    reader = Reader(origin, key)
    times = [reader.read(read.path()) for _ in range(WARM_UPS + TIMES)]
    reader.close()
    cuts = statistics.quantiles(times[WARM_UPS:], n=20)
    return cuts[9], cuts[18]


def _sends(service: Service, reads: list[Read], key: str) -> Iterator[Row]:
    """Measure sends alone, with event streams, and during reads."""
    loads: Mapping[str, AbstractContextManager[None]] = {
        "alone": nullcontext(),
        "with 1 event stream": open_streams(service.origin, key, 1),
        f"with {STREAMS} event streams": open_streams(service.origin, key, STREAMS),
        f"during reads over {READERS} connections": without_pause(
            reads, service.origin, key, READERS
        ),
    }
    alone: Mapping[str, Any] = {}
    for what, context in loads.items():
        with context:
            before = service.processor_seconds()
            result = load(service.url, service.key, SEND_SECONDS, SENDS_PER_SECOND)
            share = (service.processor_seconds() - before) / SEND_SECONDS
        alone = alone or result
        for name in ("p50", "p95"):
            milliseconds, ratio = _ratio(result, alone, f"{name}_ms")
            yield f"a send at {SENDS_PER_SECOND}/s {what}, {name}", milliseconds, ratio
        yield f"processor of serve at {SENDS_PER_SECOND} sends/s {what}", f"{share:.0%}", ""


def _ratio(result: Mapping[str, Any], alone: Mapping[str, Any], name: str) -> tuple[str, str]:
    milliseconds = f"{result[name]:.1f} ms"
    if result is alone:
        return milliseconds, ""
    return f"{milliseconds}, {result[name] / alone[name]:.1f} times", "as alone"
