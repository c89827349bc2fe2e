"""Change many rows in small batches, to keep other transactions' waits short.

The duration of each transaction determines how many rows the next one changes. Pauses between
them leave the lock to others. `delete_some` deletes one batch.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from hudhud.db.engine import Database

# Keeps the wait of others below 20 ms, even if the disk is slow once.
AIM_SECONDS = 0.008
# So few rows take about a millisecond: if they are slow, the disk or the CPU is busy.
FIRST_ROWS = LEAST_ROWS = 25
MOST_ROWS = 500
LEAST_PAUSE_SECONDS = 0.02
# Each pause is at least this many times as long as the transaction before it.
PAUSES = 4


Item = TypeVar("Item")


class Batches:
    """Change rows in transactions of an adaptive size."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rows = FIRST_ROWS
        self.longest_seconds = 0.0
        self.pause_seconds = LEAST_PAUSE_SECONDS

    def write(self, work: Callable[[Connection, int], int]) -> int:
        """Call `work` to change at most `rows` rows in one transaction.

        Returns the number of rows that `work` returned. The caller then leaves the lock free for
        `pause_seconds`.
        """
        with self._database.write() as connection:
            began = time.monotonic()
            done = work(connection, self.rows)
        self.learn(time.monotonic() - began, is_full=done >= self.rows)
        return done

    def each(
        self, items: Sequence[Item], work: Callable[[Connection, Sequence[Item]], None]
    ) -> None:
        """Call `work` with all items, split into transactions with pauses."""
        left = list(items)

        def next_ones(connection: Connection, rows: int) -> int:
            some = left[:rows]
            del left[:rows]
            work(connection, some)
            return len(some)

        while left:
            self.write(next_ones)
            time.sleep(self.pause_seconds)

    def learn(self, seconds: float, *, is_full: bool) -> None:
        """Adapt `rows` and `pause_seconds` to the duration of a transaction."""
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.pause_seconds = max(LEAST_PAUSE_SECONDS, PAUSES * seconds)
        if seconds > AIM_SECONDS:
            self.rows = max(LEAST_ROWS, self.rows // 2)
        elif is_full and seconds < AIM_SECONDS / 2:
            self.rows = min(MOST_ROWS, self.rows + self.rows // 4 + 1)


def delete_some(
    connection: Connection,
    table: Table,
    is_old: ColumnElement[bool],
    *,
    order: ColumnElement[int],
    limit: int,
) -> int:
    """Delete at most `limit` rows that satisfy `is_old`; return how many.

    An index on `order` finds them. Rows that another process is deleting are skipped.
    """
    key = list(table.primary_key.columns)
    oldest = select(*key).where(is_old).order_by(order).limit(limit)
    # A CTE runs once; PostgreSQL may run a subquery once per row and so exceed `limit`.
    chosen = oldest.with_for_update(skip_locked=True).cte("chosen")
    # A subquery, because SQLite would compare every row of the table with a list of keys.
    these = tuple_(*key).in_(select(*chosen.columns))
    # Count the returned rows: sqlite3 has no rowcount for statements that begin with WITH.
    return len(connection.execute(delete(table).where(these).returning(key[0])).all())
