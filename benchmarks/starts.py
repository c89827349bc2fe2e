"""Measure what people wait for: commands, and the start of a sender's process."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from sqlalchemy import select

from benchmarks.service import Service, free_port
from hudhud.db.engine import Database
from hudhud.db.tables import senders
from waemu.client import EmulatorProcess

PHONE = "+201001234567"
RUNS = 5
# Most CPU seconds of each command.
COMMANDS = {
    ("--version",): 0.4,
    ("--help",): 0.4,
    ("status",): 1.0,
    ("keys", "list"): 1.0,
    ("send", PHONE, "--no-wait"): 1.0,
}
START_SECONDS = 30
POLL_SECONDS = 0.005


def commands(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure the CPU time of commands, and of two senders until their first heartbeat."""
    with Service(folder, free_port(), {"CHANNEL": "sandbox"}) as service:
        for arguments, most in COMMANDS.items():
            seconds = statistics.median(_cpu_seconds(service, arguments) for _ in range(RUNS))
            name = " ".join(arguments).replace(PHONE, "NUMBER")
            yield f"hudhud {name}, CPU", f"{seconds:.2f} s", f"≤ {most:g} s"
        yield "sandbox sender, exec to first heartbeat", f"{_heartbeat(service):.2f} s", ""
    linked = folder / "linked"
    linked.mkdir()
    with EmulatorProcess() as emulator:
        variables = emulator.environment()
        with Service(linked, free_port(), variables, module="hudhud.cli.demo.launcher") as service:
            yield "linked sender, exec to first heartbeat", f"{_heartbeat(service):.2f} s", ""


def _cpu_seconds(service: Service, arguments: tuple[str, ...]) -> float:
    command = [sys.executable, "-m", "hudhud", *arguments]
    process = subprocess.Popen(  # noqa: S603 -- our own command
        command,
        cwd=service.folder,
        env=service.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _heartbeat(service: Service) -> float:
    """Return the median of seconds from a sender's exec to its first heartbeat."""
    database = service.database()
    try:
        return statistics.median(_one_heartbeat(service, database) for _ in range(RUNS))
    finally:
        database.close()


def _one_heartbeat(service: Service, database: Database) -> float:
    _wait_for_sender(service).kill()
    killed_at = time.time()
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with database.read() as connection:
            beat = connection.scalar(select(senders.c.heartbeat_at)) or 0
        if beat / 1000 > killed_at:
            return float(beat / 1000 - _wait_for_sender(service).create_time())
        time.sleep(POLL_SECONDS)
    raise TimeoutError("the sender did not start again")


def _wait_for_sender(service: Service) -> psutil.Process:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if children := service.processes()[1:]:
            return children[0]
        time.sleep(POLL_SECONDS)
    raise TimeoutError("no sender runs")
