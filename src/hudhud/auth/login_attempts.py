"""Limit failed logins: 5 in 15 minutes per address, delays per account.

An attempt is counted before hashing, so that concurrent attempts cannot exceed the limit, and the
count is reset on success. Counts are stored in the database and survive a restart.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from hudhud.core.backoff import doubled
from hudhud.core.clock import MINUTE_MS
from hudhud.core.errors import HudhudError
from hudhud.core.ip_addresses import limited_as
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import say
from hudhud.db.batches import delete_some
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import login_attempts

WINDOW_MS = 15 * MINUTE_MS
MOST_FAILURES = 5
# After this many failures of an account its answers are delayed; it is never locked out.
FREELY_FAILED = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 4.0
LONGEST_NAME = 200
TOO_MANY = say("login.too_many")


class TooManyAttempts(HudhudError):
    """Too many failures from an address; it may retry at `again_at`."""

    def __init__(self, again_at: int) -> None:
        super().__init__(TOO_MANY)
        self.again_at = again_at


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login in progress, counted as failed until it succeeds."""

    id: int
    address: str
    is_last: bool  # a further attempt would be refused
    delay: float  # seconds to wait before checking the password


def check(connection: Connection, *, address: str, now: int) -> int:
    """Return an address's failures without counting one. Raises TooManyAttempts."""
    times = list(
        connection.scalars(
            select(login_attempts.c.at)
            .where(
                login_attempts.c.address == limited_as(address),
                login_attempts.c.at > now - WINDOW_MS,
            )
            .order_by(login_attempts.c.at.desc())
            .limit(MOST_FAILURES)
        )
    )
    if len(times) == MOST_FAILURES:
        raise TooManyAttempts(times[-1] + WINDOW_MS)
    return len(times)


def reserve(
    connection: Connection,
    *,
    address: str,
    username: str,
    now: int,
    longest_delay: float = LONGEST_DELAY_SECONDS,
) -> Attempt:
    """Count an attempt, in a write transaction.

    Its delay is at most `longest_delay` seconds. Raises TooManyAttempts.
    """
    lock(connection, Lock.LOGINS)
    place, name = limited_as(address), shortened(username, LONGEST_NAME)
    failures = check(connection, address=address, now=now)
    delay = _delay(_failures_of(connection, name, now), longest_delay)
    row = {"address": place, "username": name, "at": now}
    attempt: int = connection.scalars(
        insert(login_attempts).returning(login_attempts.c.id), row
    ).one()
    return Attempt(attempt, place, failures == MOST_FAILURES - 1, delay)


def release(connection: Connection, attempt: Attempt) -> None:
    """Uncount one attempt: the password was right, the second factor is missing."""
    connection.execute(delete(login_attempts).where(login_attempts.c.id == attempt.id))


def clear(connection: Connection, attempt: Attempt) -> None:
    """Uncount all attempts from the address of this successful one."""
    connection.execute(delete(login_attempts).where(login_attempts.c.address == attempt.address))


def unlock(connection: Connection, address: str | None = None) -> int:
    """Uncount attempts from an address, or from all; return how many."""
    statement = delete(login_attempts)
    if address is not None:
        statement = statement.where(login_attempts.c.address == limited_as(address))
    return connection.execute(statement).rowcount


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` attempts made by `before`; return how many."""
    at = login_attempts.c.at
    return delete_some(connection, login_attempts, at <= before, order=at, limit=limit)


def _failures_of(connection: Connection, username: str, now: int) -> int:
    recent = (
        select(func.count())
        .select_from(login_attempts)
        .where(login_attempts.c.username == username, login_attempts.c.at > now - WINDOW_MS)
    )
    return connection.scalar(recent) or 0


def _delay(failures: int, longest: float) -> float:
    if failures < FREELY_FAILED:
        return 0.0
    return doubled(FIRST_DELAY_SECONDS, failures - FREELY_FAILED, most=longest)
