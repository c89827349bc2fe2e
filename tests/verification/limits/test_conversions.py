"""Counts of started and approved verifications by country and ten minutes."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from hudhud.core.phones import parse_phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.verification.limits import conversions
from hudhud.verification.limits.conversions import KEPT_MS, PART_MS

NOW = 1_800_000_000_000
CAIRO, ALEXANDRIA, RIYADH, ANGUILLA = (
    "+201001234567",
    "+201201234567",
    "+966501234567",
    "+12645550123",
)


def start(database: Database, *phones: str, now: int = NOW) -> None:
    with database.write() as connection:
        conversions.note_started(connection, phones, now=now)


def approve(database: Database, phone: str, *, started_at: int = NOW, now: int = NOW) -> None:
    with database.write() as connection:
        conversions.note_approved(connection, phone, started_at=started_at, now=now)


def counted(database: Database) -> dict[tuple[str, int], tuple[int, int]]:
    """Return started and approved by country and by ten-minute period after NOW."""
    sums = select(
        tables.conversions.c.country,
        tables.conversions.c.start,
        func.sum(tables.conversions.c.started),
        func.sum(tables.conversions.c.approved),
    )
    with database.read() as connection:
        rows = connection.execute(
            sums.group_by(tables.conversions.c.country, tables.conversions.c.start)
        ).all()
    return {
        (country, (at - NOW) // PART_MS): (int(started), int(approved))
        for country, at, started, approved in rows
    }


def purge(database: Database, *, before: int, limit: int = 1000) -> int:
    with database.write() as connection:
        return conversions.purge(connection, before=before, limit=limit)


def test_starts_are_counted_by_the_country_of_the_number_itself(database: Database) -> None:
    start(database, CAIRO, RIYADH, ALEXANDRIA, ANGUILLA)
    start(database, CAIRO)
    assert counted(database) == {("EG", 0): (3, 0), ("SA", 0): (1, 0), ("AI", 0): (1, 0)}


def test_approval_counts_in_the_period_of_its_start(database: Database) -> None:
    start(database, CAIRO)
    approve(database, CAIRO, now=NOW + 3 * PART_MS)
    assert counted(database) == {("EG", 0): (1, 1)}


def test_each_ten_minutes_are_counted_separately(database: Database) -> None:
    start(database, CAIRO, now=NOW + PART_MS - 1)
    start(database, CAIRO, now=NOW + PART_MS)
    assert counted(database) == {("EG", 0): (1, 0), ("EG", 1): (1, 0)}


def test_missing_and_invalid_numbers_are_not_counted(database: Database) -> None:
    start(database)
    start(database, "", "p_0123456789abcdef")
    approve(database, "")
    assert counted(database) == {}


def test_approval_of_a_deleted_period_is_ignored(database: Database) -> None:
    approve(database, CAIRO, started_at=NOW - KEPT_MS)
    assert counted(database) == {}


def test_counts_older_than_eight_days_are_deleted_in_batches(database: Database) -> None:
    for part in range(5):
        start(database, CAIRO, now=NOW + part * PART_MS)
    later = NOW + 3 * PART_MS
    assert [purge(database, before=later, limit=2) for _ in range(3)] == [2, 1, 0]
    assert counted(database) == {("EG", 3): (1, 0), ("EG", 4): (1, 0)}


def test_transactions_that_count_countries_in_any_order_do_not_deadlock(
    database: Database,
) -> None:
    def approve_several(order: int) -> None:
        with database.write() as connection:
            for phone in (CAIRO, RIYADH, ANGUILLA)[:: 1 if order % 2 else -1]:
                conversions.note_approved(connection, phone, started_at=NOW, now=NOW)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(approve_several, range(40)))
    assert counted(database) == {(country, 0): (0, 40) for country in ("EG", "SA", "AI")}


PROCESS = """
import sys
from hudhud.verification.limits import conversions
from hudhud.db.engine import Database

database, now = Database(sys.argv[1]), int(sys.argv[2])
for _ in range(20):
    with database.write() as connection:
        conversions.note_started(connection, ["+966501234567", "+201001234567"], now=now)
"""


def test_counts_of_all_processes_are_added(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS, url, str(NOW)]) for _ in range(2)]
    for _ in range(20):
        start(database, CAIRO, RIYADH)
    assert [process.wait(60) for process in processes] == [0, 0]
    assert counted(database) == {("EG", 0): (60, 0), ("SA", 0): (60, 0)}


@pytest.mark.parametrize("number", [CAIRO, ALEXANDRIA, RIYADH, ANGUILLA])
def test_phone_numbers_of_these_tests_are_valid(number: str) -> None:
    assert parse_phone(number) is not None
