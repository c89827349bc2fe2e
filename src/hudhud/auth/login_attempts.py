"""Limit failed logins: 5 in 15 minutes per origin, more per wide network, delays per account.

An attempt is counted before hashing, so that concurrent attempts cannot exceed the limit, and the
count is reset on success. Counts are stored in the database and survive a restart.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from hudhud.auth.login_origins import MOST_FAILURES, Origin, origin_of_address
from hudhud.core.backoff import doubled
from hudhud.core.clock import MINUTE_MS
from hudhud.core.errors import HudhudError
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import Sentence, say
from hudhud.db.batches import delete_some
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import login_attempts

WINDOW_MS = 15 * MINUTE_MS
# After this many failures of an account its answers are delayed; it is never locked out.
FREELY_FAILED = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 4.0
LONGEST_NAME = 200
TOO_MANY = say("login.too_many")


class TooManyAttempts(HudhudError):
    """Too many failures of an origin; it may retry at `again_at`."""

    def __init__(self, again_at: int) -> None:
        super().__init__(TOO_MANY)
        self.again_at = again_at


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login in progress, counted as failed until it succeeds."""

    id: int
    origin: Origin
    limit: Sentence | None  # the limit that refuses further attempts, if this one fails
    delay: float  # seconds to wait before checking the password


def check(connection: Connection, *, origin: Origin, now: int) -> Sentence | None:
    """Return the limit that one more failure reaches, without counting it.

    Raises TooManyAttempts if one is reached already.
    """
    own = login_attempts.c.address == origin.name
    reached = _reached_limit(origin) if _has_one_left(connection, own, MOST_FAILURES, now) else None
    for network in origin.networks:
        within = login_attempts.c.address.startswith(network.prefix)
        if _has_one_left(connection, within, network.most, now):
            reached = say("login.network_limit_reached", count=network.most, network=str(network))
    return reached


def reserve(
    connection: Connection,
    *,
    origin: Origin,
    username: str,
    now: int,
    longest_delay: float = LONGEST_DELAY_SECONDS,
) -> Attempt:
    """Count an attempt, in a write transaction.

    Its delay is at most `longest_delay` seconds; a known browser has none. Raises TooManyAttempts.
    """
    lock(connection, Lock.LOGINS)
    name = shortened(username, LONGEST_NAME)
    limit = check(connection, origin=origin, now=now)
    delay = 0.0 if origin.is_known else _delay(_failures_of(connection, name, now), longest_delay)
    row = {"address": origin.name, "username": name, "at": now}
    attempt: int = connection.scalars(
        insert(login_attempts).returning(login_attempts.c.id), row
    ).one()
    return Attempt(attempt, origin, limit, delay)


def release(connection: Connection, attempt: Attempt) -> None:
    """Uncount one attempt: the password was right, the second factor is missing."""
    connection.execute(delete(login_attempts).where(login_attempts.c.id == attempt.id))


def clear(connection: Connection, attempt: Attempt) -> None:
    """Uncount all attempts from the origin of this successful one."""
    own = login_attempts.c.address == attempt.origin.name
    connection.execute(delete(login_attempts).where(own))


def unlock(connection: Connection, address: str | None = None) -> int:
    """Uncount attempts from an address, or from all; return how many.

    For IPv6, those of the address's /48, because all of them count against it.
    """
    statement = delete(login_attempts)
    if address is not None:
        origin = origin_of_address(address)
        at_site = login_attempts.c.address.startswith(origin.site)
        own = login_attempts.c.address == origin.name
        statement = statement.where(at_site if origin.networks else own)
    return connection.execute(statement).rowcount


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` attempts made by `before`; return how many."""
    at = login_attempts.c.at
    return delete_some(connection, login_attempts, at <= before, order=at, limit=limit)


def _has_one_left(
    connection: Connection, counted: ColumnElement[bool], most: int, now: int
) -> bool:
    """Return whether one more failure reaches the limit. Raises TooManyAttempts beyond it."""
    at = login_attempts.c.at
    recent = select(at).where(counted, at > now - WINDOW_MS).order_by(at.desc()).limit(most)
    times = list(connection.scalars(recent))
    if len(times) == most:
        raise TooManyAttempts(times[-1] + WINDOW_MS)
    return len(times) == most - 1


def _reached_limit(origin: Origin) -> Sentence:
    return say("login.browser_limit_reached" if origin.is_known else "login.limit_reached")


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
