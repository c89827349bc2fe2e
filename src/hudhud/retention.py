"""How long what is over is kept, and its deletion: old rows only, and few at a time.

Messages, verifications, events and the audit are kept as long as the settings say; everything else
as long as it is of use. Nothing that still waits is deleted, however old it is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, delete, func, select

from hudhud import (
    arrivals,
    audit,
    commands,
    conversions,
    events,
    idempotency,
    inbound,
    limits,
    login_limit,
    senders,
    sessions,
    tally,
    texts,
)
from hudhud.batches import Batches
from hudhud.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import message_steps, messages, verifications
from hudhud.endings import PENDING
from hudhud.messages import QUEUED, SENDING
from hudhud.settings import Settings

DAY_MS = 86_400_000
# The oldest rows are looked at, by their ids, which rise with time: what is kept among them, or
# bears a wrong date, must not hide the others.
LOOKED_AT = 2000


class Purge(Protocol):
    """Deletes at most `limit` rows that are too old; returns how many, fewer where none is left."""

    def __call__(self, connection: Connection, *, now: int, limit: int) -> int:
        """Delete, inside a writing transaction."""


class Retention:
    """Deletes what is too old, a batch at a time, each kind of row in turn."""

    def __init__(self, database: Database, settings: Settings) -> None:
        orphans = texts.Orphans(database)
        self._kinds = [
            (purge, Batches(database))
            for purge in (*_by_settings(settings), orphans.purge, *_by_use())
        ]
        self._left = list(self._kinds)

    def delete_some(self) -> float | None:
        """Delete a batch; return the seconds to leave the lock to others, None once all is done.

        The call after that begins anew. Raises sqlalchemy.exc.SQLAlchemyError.
        """
        if not self._left:
            self._left = list(self._kinds)
            return None
        purge, batches = self._left.pop(0)
        rows = batches.rows
        deleted = batches.write(partial(_run, purge))
        if deleted >= rows:
            self._left.append((purge, batches))
        return batches.pause_seconds

    @property
    def longest_seconds(self) -> float:
        """The longest that a batch held the lock so far."""
        return max(batches.longest_seconds for _purge, batches in self._kinds)


def _run(purge: Purge, connection: Connection, rows: int) -> int:
    return purge(connection, now=now_ms(), limit=rows)


def _by_settings(settings: Settings) -> Sequence[Purge]:
    messages_ms = settings.retention_messages_days * DAY_MS
    # A verification stays as long as a message of it does.
    verifications_ms = max(messages_ms, settings.retention_verifications_days * DAY_MS)
    return (
        _older_than(messages_ms, purge_messages),
        _older_than(verifications_ms, purge_verifications),
        _older_than(settings.retention_events_days * DAY_MS, events.purge),
        _older_than(settings.retention_audit_days * DAY_MS, audit.purge),
    )


def _by_use() -> Sequence[Purge]:
    return (
        inbound.purge,
        arrivals.purge,
        idempotency.purge,
        limits.purge,
        conversions.purge,
        tally.purge,
        *map(_at_once, (commands.purge, senders.purge_states, sessions.purge, login_limit.purge)),
    )


def _older_than(kept_ms: int, purge: Callable[..., int]) -> Purge:
    def run(connection: Connection, *, now: int, limit: int) -> int:
        return purge(connection, before=now - kept_ms, limit=limit)

    return run


def _at_once(purge: Callable[..., None]) -> Purge:
    """Delete all of a table that never holds more than a few old rows."""

    def run(connection: Connection, *, now: int, limit: int) -> int:
        del limit
        purge(connection, now=now)
        return 0

    return run


def purge_messages(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` messages older than `before` with their steps; return how many."""
    is_over = messages.c.status.not_in((QUEUED, SENDING))
    chosen = (
        select(messages.c.id, messages.c.status)
        .where(_among_the_oldest(messages.c.id), messages.c.created_at < before, is_over)
        .order_by(messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(chosen).all()
    if rows:
        ids = [row.id for row in rows]
        connection.execute(delete(message_steps).where(message_steps.c.message_id.in_(ids)))
        connection.execute(delete(messages).where(messages.c.id.in_(ids)))
        gone = Counter(row.status for row in rows)
        moved = {status: -count for status, count in gone.items()}
        tally.add(connection, now=now_ms(), moved=moved)
    return len(rows)


def purge_verifications(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` verifications older than `before` that have no message any more."""
    # Not as a condition on each: PostgreSQL might read all messages for it.
    with_message = (
        select(messages.c.id)
        .where(messages.c.verification_id == verifications.c.id)
        .limit(1)
        .scalar_subquery()
    )
    chosen = (
        select(verifications.c.id)
        .where(
            _among_the_oldest(verifications.c.id),
            verifications.c.created_at < before,
            verifications.c.status != PENDING,
            with_message.is_(None),
        )
        .order_by(verifications.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = connection.scalars(chosen).all()
    if ids:
        connection.execute(delete(verifications).where(verifications.c.id.in_(ids)))
    return len(ids)


def _among_the_oldest(number: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition that an id is among the first `LOOKED_AT`, as a bound that an index knows."""
    oldest = select(number).order_by(number).limit(LOOKED_AT).subquery()
    return number <= select(func.max(oldest.c.id)).scalar_subquery()
