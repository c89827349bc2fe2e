"""The admin's sessions, stored in the database to be revocable.

The cookie holds 256 random bits, the database their SHA-256. A session ends by logout, after
`IDLE_MS` without use, after `ABSOLUTE_MS`, or when the password changes.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from hudhud.db.batches import delete_some
from hudhud.db.tables import sessions

TOKEN_BYTES = 32
IDLE_MS = 12 * HOUR_MS
ABSOLUTE_MS = 7 * DAY_MS
# Between the password and the second factor.
INCOMPLETE_MS = 10 * MINUTE_MS
# Shortest interval between two updates of `seen_at`.
SEEN_MS = MINUTE_MS


@dataclass(frozen=True, slots=True)
class Session:
    """A session in use; `is_complete` is False until the second factor."""

    digest: bytes
    username: str
    is_complete: bool
    created_at: int
    seen_at: int


def begin(
    connection: Connection,
    *,
    username: str,
    password_mark: bytes,
    is_complete: bool,
    address: str,
    replaces: str | None = None,
    now: int,
) -> tuple[str, Session]:
    """Start a session; return its token (not stored) and the session.

    Ends the session of `replaces`, the token in the request. This prevents session fixation.
    """
    if replaces is not None:
        end(connection, replaces)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session = Session(_digest(token), username, is_complete, now, now)
    connection.execute(
        insert(sessions).values(
            digest=session.digest,
            username=username,
            password_mark=password_mark,
            is_complete=is_complete,
            address=address,
            created_at=now,
            seen_at=now,
        )
    )
    return token, session


def find(
    connection: Connection, token: str, *, password_marks: Iterable[bytes], now: int
) -> Session | None:
    """Return the session of a token, or None if it has ended."""
    row = connection.execute(select(sessions).where(sessions.c.digest == _digest(token))).first()
    if row is None:
        return None
    if not any(hmac.compare_digest(row.password_mark, mark) for mark in password_marks):
        return None
    session = Session(row.digest, row.username, row.is_complete, row.created_at, row.seen_at)
    return None if _has_ended(session, now) else session


def rekey_sessions(connection: Connection, *, before: bytes, now: bytes) -> int:
    """Update password marks after a change of the secret; return how many."""
    marked_before = update(sessions).where(sessions.c.password_mark == before)
    return connection.execute(marked_before.values(password_mark=now)).rowcount


def wants_touch(session: Session, *, now: int) -> bool:
    """Return whether `seen_at` is old enough for an update."""
    return now - session.seen_at >= SEEN_MS


def touch(connection: Connection, session: Session, *, now: int) -> None:
    """Update `seen_at`, unless the session has ended."""
    connection.execute(
        update(sessions)
        .where(sessions.c.digest == session.digest, sessions.c.seen_at < now)
        .values(seen_at=now)
    )


def end(connection: Connection, token: str) -> None:
    """End the session of a token, if it exists."""
    connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))


def end_others(connection: Connection, session: Session) -> None:
    """End every other session of the same admin."""
    connection.execute(
        delete(sessions).where(
            sessions.c.username == session.username, sessions.c.digest != session.digest
        )
    )


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` sessions ended by `before`; return how many."""
    created = sessions.c.created_at
    has_ended = or_(
        sessions.c.seen_at <= before - IDLE_MS,
        created <= before - ABSOLUTE_MS,
        and_(sessions.c.is_complete.is_(False), created <= before - INCOMPLETE_MS),
    )
    return delete_some(connection, sessions, has_ended, order=created, limit=limit)


def _has_ended(session: Session, now: int) -> bool:
    age = now - session.created_at
    longest = ABSOLUTE_MS if session.is_complete else INCOMPLETE_MS
    return age >= longest or now - session.seen_at >= IDLE_MS


def _digest(token: str) -> bytes:
    # A cookie with invalid Unicode must be a wrong token, not an error.
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
