"""How often a login may fail: 5 times in 15 minutes from an address, and per account only slower.

An attempt is counted before anything is hashed, so that attempts at the same moment cannot exceed
the limit, and uncounted when it succeeds. The count is kept in the database and survives a restart.
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
# From this many failures of one account on, its answers are slower; it is never locked out.
FREELY_FAILED = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 4.0
LONGEST_NAME = 200
TOO_MANY = say("login.too_many")


class TooManyAttempts(HudhudError):
    """This address has failed too often; it may try again at `again_at`."""

    def __init__(self, again_at: int) -> None:
        super().__init__(TOO_MANY)
        self.again_at = again_at


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that is being tried, counted as failed until it succeeds."""

    id: int
    address: str
    is_last: bool  # another failure would have to wait
    delay: float  # seconds to wait before the answer is looked for


def check(connection: Connection, *, address: str, now: int) -> int:
    """Return how often this address has failed, for a look alone. Raises TooManyAttempts."""
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
    """Count an attempt, inside a writing transaction; it waits for `longest_delay` s at most.

    Raises TooManyAttempts.
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
    """Uncount this attempt alone: what was typed is right, but more is needed."""
    connection.execute(delete(login_attempts).where(login_attempts.c.id == attempt.id))


def clear(connection: Connection, attempt: Attempt) -> None:
    """Uncount every attempt from the address of this one, which succeeded."""
    connection.execute(delete(login_attempts).where(login_attempts.c.address == attempt.address))


def unlock(connection: Connection, address: str | None = None) -> int:
    """Uncount the attempts from an address, or from everywhere; return how many there were."""
    statement = delete(login_attempts)
    if address is not None:
        statement = statement.where(login_attempts.c.address == limited_as(address))
    return connection.execute(statement).rowcount


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` attempts that are as old as `before`; return how many."""
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
