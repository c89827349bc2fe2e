"""The supervisor: lease and process of a wanted sender."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from sqlalchemy import Connection, Row, update
from structlog.testing import capture_logs

from hudhud.core.clock import now_ms
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.senders import records
from hudhud.worker.program import Program, Timing
from hudhud.worker.supervisor import Supervisor
from support.services import wait_until

pytestmark = pytest.mark.slow

SECONDS = 15.0
QUICK = Timing(tick=0.05, pause=0.1)
# A sender's process that idles until its supervisor ends.
IDLE_PROCESS = (sys.executable, "-c", "import sys; sys.stdin.read()")


@contextmanager
def supervised(
    database: Database, is_wanted: Callable[[Connection], bool] | None = None
) -> Iterator[None]:
    """A running supervisor."""
    supervisor = Supervisor(
        sender="main",
        channel="sandbox",
        machine="m",
        database=database,
        program=Program(IDLE_PROCESS, QUICK),
        is_wanted=is_wanted,
    )
    stopping = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stopping,))
    with capture_logs():
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


def record(database: Database) -> Row[Any] | None:
    with database.read() as connection:
        return records.find(connection, "main")


def processes() -> list[int]:
    return [child.pid for child in psutil.Process().children() if is_idle_process(child)]


def is_idle_process(child: psutil.Process) -> bool:
    try:
        return child.cmdline() == [*IDLE_PROCESS, "main"]
    except psutil.NoSuchProcess:  # it has just ended
        return False


def lease(database: Database) -> int:
    row = record(database)
    return (row and row.lease_expires_at) or 0


def test_the_lease_is_held_and_renewed(database: Database) -> None:
    with supervised(database):
        wait_until(lambda: lease(database) > now_ms(), SECONDS, "the lease")
        nearly = now_ms() + 1000
        with database.write() as connection:
            connection.execute(update(tables.senders).values(lease_expires_at=nearly))
        wait_until(lambda: lease(database) > nearly, SECONDS, "its renewal")
    assert lease(database) == 0


def test_unwanted_sender_leaves_no_record(database: Database) -> None:
    asked = threading.Event()

    def is_wanted(_connection: Connection) -> bool:
        asked.set()
        return False

    with supervised(database, is_wanted):
        assert asked.wait(SECONDS)
        asked.clear()
        assert asked.wait(SECONDS), "asked only once"
        assert processes() == []
        assert record(database) is None


def test_a_sender_runs_while_it_is_wanted(database: Database) -> None:
    wanted = threading.Event()
    with supervised(database, lambda _connection: wanted.is_set()):
        for _ in range(2):
            wanted.set()
            wait_until(lambda: len(processes()) == 1, SECONDS, "the process")
            assert lease(database) > now_ms()
            wanted.clear()
            wait_until(lambda: processes() == [], SECONDS, "the end of the process")
            wait_until(lambda: lease(database) == 0, SECONDS, "the end of the lease")


@pytest.mark.parametrize("channel", ["linked", "sandbox"])
def test_a_record_follows_the_channel(database: Database, channel: str) -> None:
    with database.write() as connection:
        records.register(connection, name="main", channel="linked", now=1)
        records.register(connection, name="main", channel=channel, now=2)
    row = record(database)
    assert row is not None
    assert (row.channel, row.state_since) == (channel, 1)
