"""A doorbell rings when another connection or process has committed a change."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, text

from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.db.tables import installation
from support.services import wait_until

LONG = 20.0
SHORT = 0.2
RINGER = """
import sys
from hudhud.db.engine import Database
from hudhud.db.tables import installation

database = Database(sys.argv[1])
with database.write() as connection:
    connection.execute(installation.insert().values(name=sys.argv[2], value="x"))
    database.notify(connection)
database.close()
"""


@pytest.fixture
def bell(database: Database) -> Iterator[Doorbell]:
    """A doorbell with no pending ring."""
    made = database.doorbell()
    while made.wait(0.01):
        pass
    yield made
    made.close()


def ring(database: Database, name: str = "n") -> None:
    with database.write() as connection:
        connection.execute(insert(installation).values(name=name, value="x"))
        database.notify(connection)


def test_doorbell_stays_silent_without_a_change(bell: Doorbell) -> None:
    assert not bell.wait(SHORT)
    assert not bell.wait(0)


def test_a_commit_rings(database: Database, bell: Doorbell) -> None:
    thread = threading.Timer(0.05, ring, args=(database,))
    thread.start()
    assert bell.wait(LONG)
    thread.join()
    assert not bell.wait(SHORT)


def test_ring_before_the_wait_is_not_lost(database: Database, bell: Doorbell) -> None:
    ring(database)
    assert bell.wait(LONG)
    assert not bell.wait(SHORT)


def test_many_rings_before_the_wait_are_merged(database: Database, bell: Doorbell) -> None:
    for number in range(20):
        ring(database, f"n{number}")
    assert bell.wait(LONG)
    heard = 1
    while bell.wait(SHORT):
        heard += 1
    assert heard <= 20


def test_rollback_does_not_ring(database: Database, bell: Doorbell) -> None:
    with database.write() as connection:
        connection.execute(insert(installation).values(name="n", value="x"))
        database.notify(connection)
        connection.rollback()
    assert not bell.wait(SHORT)


def test_reading_does_not_ring(database: Database, bell: Doorbell) -> None:
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    assert not bell.wait(SHORT)


def test_another_process_rings(database: Database, bell: Doorbell) -> None:
    url = database.url.render_as_string(hide_password=False)
    other = subprocess.Popen([sys.executable, "-c", RINGER, url, "other"])
    assert bell.wait(LONG)
    assert other.wait() == 0


def test_every_doorbell_rings(database: Database, bell: Doorbell) -> None:
    second = database.doorbell()
    while second.wait(0.01):
        pass
    ring(database)
    assert bell.wait(LONG)
    assert second.wait(LONG)
    second.close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_one_thread_polls_for_all_doorbells(database: Database) -> None:
    before = pollers()
    bells = [database.doorbell() for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(bell.wait, LONG) for bell in bells]
        wait_until(lambda: bool(pollers() - before), LONG, "the poller")
        (poller,) = pollers() - before
        ring(database)
        assert [one.result() for one in waiting] == [True] * 3
    assert pollers() - before == {poller}
    for bell in bells:
        bell.close()
    poller.join(LONG)
    assert not poller.is_alive()


def pollers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "doorbell"}


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_doorbell_survives_the_loss_of_its_connection(database: Database, bell: Doorbell) -> None:
    with database.read() as connection:
        lost = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        ).all()
    assert lost == [(True,)]
    # Rings during the outage are unknown, so a lost connection counts as a ring.
    assert bell.wait(LONG)
    while bell.wait(0.01):
        pass
    ring(database)
    assert bell.wait(LONG)


def test_unreachable_postgresql_raises_no_error() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    bell = nowhere.doorbell()
    assert bell.wait(0.01)
    assert bell.wait(0.01)
    bell.close()
    nowhere.close()


def test_a_closed_doorbell_can_be_closed_again(database: Database) -> None:
    bell = database.doorbell()
    bell.wait(0)
    bell.close()
    bell.close()
