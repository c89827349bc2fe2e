"""Limit searches for codes, which answer whether a pending code exists.

Otherwise an admin's session or key finds each code by trying them all. After `MOST` different ones
within `WINDOW_MS`, by the same person or key, searches leave codes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select

from hudhud.core.clock import DAY_MS, MINUTE_MS
from hudhud.core.crypto import CodeCipher
from hudhud.db.batches import delete_some
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import code_searches

MOST: Final = 20
WINDOW_MS: Final = 10 * MINUTE_MS
# Longer than the window, so that one alert covers searches that go on for hours.
KEPT_MS: Final = DAY_MS


_SEARCHES: Select[Any] = select(code_searches.c.code_index, code_searches.c.left_out)
_LIMITED: Select[Any] = (
    select(code_searches.c.who, func.max(code_searches.c.at).label("at"))
    .where(code_searches.c.left_out)
    .group_by(code_searches.c.who)
)


@dataclass(frozen=True, slots=True)
class CodeSearch:
    """A search for a code; `is_new` unless the same search, or refusal, is in the window."""

    is_allowed: bool
    is_new: bool


def find(
    connection: Connection, cipher: CodeCipher, *, who: str, code: str, now: int
) -> CodeSearch:
    """Return whether `who` may search for this code; nothing is counted."""
    window = _SEARCHES.where(code_searches.c.at > now - WINDOW_MS, code_searches.c.who == who)
    return _judge(connection.execute(window).all(), cipher.indexes(code))


def take(
    connection: Connection, cipher: CodeCipher, *, who: str, code: str, now: int
) -> CodeSearch:
    """Count a search for a code, in a write transaction, and return whether it is allowed."""
    lock(connection, Lock.CODE_SEARCHES)
    found = find(connection, cipher, who=who, code=code, now=now)
    if found.is_new:
        row = {"who": who, "code_index": cipher.index(code), "at": now}
        row["left_out"] = not found.is_allowed
        connection.execute(insert(code_searches), row)
    return found


def limited(connection: Connection, *, now: int) -> Sequence[Row[Any]]:
    """Return who reached the limit lately; each row has `who` and the time of the last `at`."""
    lately = _LIMITED.where(code_searches.c.at > now - KEPT_MS)
    return connection.execute(lately).all()


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` searches made by `before`; return how many."""
    at = code_searches.c.at
    return delete_some(connection, code_searches, at <= before, order=at, limit=limit)


def _judge(window: Sequence[Row[Any]], indexes: Sequence[bytes]) -> CodeSearch:
    searched = [row.code_index for row in window if not row.left_out]
    if any(index in searched for index in indexes):
        return CodeSearch(is_allowed=True, is_new=False)
    if len(searched) < MOST:
        return CodeSearch(is_allowed=True, is_new=True)
    return CodeSearch(is_allowed=False, is_new=len(searched) == len(window))
