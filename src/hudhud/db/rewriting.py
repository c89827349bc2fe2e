"""Convert rows of old formats in the background, not during the start.

A pass goes through each table, newest rows first, and stores its position in `installation`.
Passes repeat until one finds no old row, then start every hour, because an older version may still
write. Several processes can do this: each changes only rows that it has locked.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from hudhud.db import installation
from hudhud.db.engine import Database
from hudhud.db.migrations.recoding import RECODINGS

AT_ONCE = 500
# Lets other transactions take the lock.
PAUSE_SECONDS = 0.05
AGAIN_SECONDS = 3600.0
REWRITE_MARK = "rewrite "


class Rewrite(Protocol):
    """Find and convert the rows of one old format."""

    @property
    def name(self) -> str:
        """The name under which `installation` stores the position."""

    def window(self, connection: Connection, before: str | None, limit: int) -> Sequence[Any]:
        """Return the next rows' keys, newest first, with whether each is old."""

    def rewrite(self, connection: Connection, keys: Sequence[Any]) -> int:
        """Convert these rows except locked ones; return how many."""


class Rewriting:
    """Run rewrites, `at_once` rows at a time, and again after `again_seconds`."""

    def __init__(
        self,
        database: Database,
        rewrites: Sequence[Rewrite] = RECODINGS,
        *,
        at_once: int = AT_ONCE,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._database = database
        self._at_once = at_once
        self._again_seconds = again_seconds
        self._rewrites = rewrites
        self._left = list(rewrites)
        self._before: str | None = None
        self._is_begun = False
        self._needs_another_pass = False
        self._next_at = 0.0

    def rewrite_some(self) -> float | None:
        """Process the next rows and return the seconds until the next call.

        Returns None while no pass is due.
        """
        if time.monotonic() < self._next_at:
            return None
        if not self._left:
            return self._end_pass()
        if not self._is_begun:
            self._begin_table(self._left[0])
        if self._look_at_next(self._left[0]) < self._at_once:
            self._end_table(self._left.pop(0))
        return PAUSE_SECONDS

    def _begin_table(self, rewrite: Rewrite) -> None:
        """Resume an interrupted pass; another pass will check newer rows."""
        self._before, self._is_begun = self._place(rewrite), True
        self._needs_another_pass |= self._before is not None

    def _look_at_next(self, rewrite: Rewrite) -> int:
        """Convert old ones among the next rows; return the number read."""
        with self._database.read() as connection:
            window = rewrite.window(connection, self._before, self._at_once)
        if window:
            self._before = place = str(window[-1][0])
            old = [key for key, is_old in window if is_old]
            if old:
                self._needs_another_pass = True
                self._rewrite(rewrite, old, place)
        return len(window)

    def _rewrite(self, rewrite: Rewrite, old: Sequence[Any], place: str) -> None:
        with self._database.write() as connection:
            rewrite.rewrite(connection, old)
            installation.write(connection, REWRITE_MARK + rewrite.name, place)

    def _place(self, rewrite: Rewrite) -> str | None:
        """Return the position of an interrupted pass, or None."""
        with self._database.read() as connection:
            return installation.read(connection, REWRITE_MARK + rewrite.name)

    def _end_table(self, rewrite: Rewrite) -> None:
        if self._place(rewrite) is not None:
            with self._database.write() as connection:
                installation.remove(connection, REWRITE_MARK + rewrite.name)
        self._is_begun = False

    def _end_pass(self) -> float | None:
        self._left = list(self._rewrites)
        if self._needs_another_pass:
            self._needs_another_pass = False
            return PAUSE_SECONDS
        self._next_at = time.monotonic() + self._again_seconds
        return None
