"""Measure accepted codes: rate, CPU per code and response times, while the sender drains the queue.

The rate is compared with that of a bare Litestar route in the same run, with the same generator.
HUDHUD_BENCH_JOBS sets the length of the history.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import func, select

from benchmarks.history import JOBS, fill
from benchmarks.load import CONNECTIONS, load
from benchmarks.postgres import postgres
from benchmarks.service import Service, free_port
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.migrate import migrate
from hudhud.db.tables import messages

SANDBOX = {"CHANNEL": "sandbox"}
SECONDS = 8
STEADY_SECONDS = 10
# Requests per second, and the goal for 99 % of them.
STEADY_RATES = {500: "p99 ≤ 25 ms", 1000: "p99 ≤ 40 ms"}
DRAIN_SECONDS = 120
RATIO_GOAL = "≥ 0.45"

Row = tuple[str, str, str]


class Costs(NamedTuple):
    """Codes per second, and microseconds of CPU per code."""

    per_second: float
    web: float
    sender: float


def accepting(folder: Path) -> Iterator[Row]:
    """Measure accepts on an empty database."""
    with bare_route("httptools") as url:
        bare = load(url, "none", SECONDS)["per_second"]
    with bare_route("h11") as url:
        bare_h11 = load(url, "none", SECONDS)["per_second"]
    yield "load of the machine", f"{os.getloadavg()[0]:.1f}", ""
    yield f"bare Litestar route, {CONNECTIONS} connections", f"{bare:,.0f}/s", ""
    yield "the same with uvicorn's other parser, h11", f"{bare_h11:,.0f}/s", ""
    yield from _measure("accepts", folder, {}, bare)


def accepting_with_history(folder: Path) -> Iterator[Row]:
    """Measure accepts with a month of messages."""
    database = Service(folder, free_port(), SANDBOX).database()
    migrate(database)
    fill(database, count=JOBS, now=now_ms())
    database.close()
    yield from _measure(f"accepts with {JOBS:,} jobs", folder, {}, None)


def accepting_on_postgresql(folder: Path) -> Iterator[Row]:
    """Measure accepts on PostgreSQL."""
    with postgres(folder) as url:
        variables = {"DATABASE_URL": url, "SESSION_SECRET": secrets.token_hex(16)}
        yield from _measure("accepts on PostgreSQL", folder, variables, None)


def _measure(
    name: str, folder: Path, variables: Mapping[str, str], bare: float | None
) -> Iterator[Row]:
    with Service(folder, free_port(), {**SANDBOX, **variables}) as service:
        if bare is not None:
            first = service.seconds_to_first_202
            yield "start to first 202 (new database)", f"{first:.2f} s", "≤ 2 s"
        costs = _costs(service)
        yield f"{name}, {CONNECTIONS} connections", f"{costs.per_second:,.0f}/s", ""
        if bare is not None:
            yield f"{name} ÷ bare route", f"{costs.per_second / bare:.2f}", RATIO_GOAL
        cpu = f"{costs.web:.0f} / {costs.sender:.0f} µs"
        yield f"{name}: CPU per code of web / sender", cpu, "≤ 450 / 150"
        for rate, goal in STEADY_RATES.items():
            times = load(service.url, service.key, STEADY_SECONDS, rate)
            measured = f"{times['p50_ms']:.1f} / {times['p99_ms']:.1f} ms"
            yield f"{name} at {rate}/s, p50 / p99", measured, goal


def _costs(service: Service) -> Costs:
    """Load the service until it answers no faster, and wait until everything is sent."""
    web, *senders = service.processes()
    before = [_seconds(process) for process in (web, *senders)]
    per_second = load(service.url, service.key, SECONDS)["per_second"]
    database = service.database()
    drain(database)
    database.close()
    after = [_seconds(process) for process in (web, *senders)]
    used = [(now - then) / (per_second * SECONDS) for then, now in zip(before, after, strict=True)]
    return Costs(per_second, used[0] * 1e6, sum(used[1:]) * 1e6)


def drain(database: Database) -> None:
    """Wait until no message waits."""
    started = time.perf_counter()
    waiting = select(func.count()).where(messages.c.status.in_(["queued", "sending"]))
    while True:
        with database.read() as connection:
            if connection.scalar(waiting) == 0:
                return
        if time.perf_counter() - started > DRAIN_SECONDS:
            raise TimeoutError("the queue was not drained")
        time.sleep(0.05)


@contextmanager
def bare_route(parser: str) -> Iterator[str]:
    """Run a Litestar route that answers at once, with one of uvicorn's parsers; yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare", str(port), parser]
    process = subprocess.Popen(command)  # noqa: S603 -- our own command
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/api/v1/otp/send"
    finally:
        process.terminate()
        process.wait(10)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("the bare route did not start")
