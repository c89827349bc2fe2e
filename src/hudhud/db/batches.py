"""How many rows one transaction may change, so that others wait for it for milliseconds only.

What is to be done to many rows is done in many small transactions. Each is measured, and the next
one takes more or fewer rows; between two the lock is left to others. `delete_some` is such work.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from hudhud.db.engine import Database

# Others should wait at most 20 ms, even where the disk is slow for once.
AIM_SECONDS = 0.008
# So few take a millisecond: what was slow then was the disk or a busy machine, not the rows.
FIRST_ROWS = LEAST_ROWS = 25
MOST_ROWS = 500
LEAST_PAUSE_SECONDS = 0.02
# Others have the lock for at least this many times as long.
PAUSES = 4


Item = TypeVar("Item")


class Batches:
    """Work on rows in transactions of a size that it learns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rows = FIRST_ROWS
        self.longest_seconds = 0.0
        self.pause_seconds = LEAST_PAUSE_SECONDS

    def write(self, work: Callable[[Connection, int], int]) -> int:
        """Let `work` change at most `rows` rows in a transaction; return how many it says it did.

        Then leave the lock free for `pause_seconds`.
        """
        with self._database.write() as connection:
            began = time.monotonic()
            done = work(connection, self.rows)
        self.learn(time.monotonic() - began, is_full=done >= self.rows)
        return done

    def each(
        self, items: Sequence[Item], work: Callable[[Connection, Sequence[Item]], None]
    ) -> None:
        """Do `work` for all items, in as many transactions as it takes, with pauses between."""
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
        """Take fewer rows after a transaction that was too long, more after a full one."""
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
    """Delete at most `limit` rows of which `is_old` holds; return how many.

    They are found by an index in this `order`. What another process deletes at the same moment is
    left to it.
    """
    key = list(table.primary_key.columns)
    oldest = select(*key).where(is_old).order_by(order).limit(limit)
    # A CTE runs once; some plans of PostgreSQL run a subquery for each row, and beyond `limit`.
    chosen = oldest.with_for_update(skip_locked=True).cte("chosen")
    # A subquery, for SQLite would compare every row of the table with a list of keys.
    these = tuple_(*key).in_(select(*chosen.columns))
    # Counted by what is returned: of a statement that begins with WITH, sqlite3 knows no number.
    return len(connection.execute(delete(table).where(these).returning(key[0])).all())
