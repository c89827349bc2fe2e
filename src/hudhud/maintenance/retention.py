"""Delete rows past their retention period, in small batches.

The settings define the retention of messages, verifications, events and the audit; other rows are
deleted when they are no longer used. Rows that are still pending are not deleted at any age.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, delete, select

from hudhud.auth import audit_log, login_attempts, sessions
from hudhud.core.clock import DAY_MS, now_ms
from hudhud.db import phone_index
from hudhud.db.batches import Batches
from hudhud.db.engine import Database
from hudhud.db.tables import message_steps, messages, verifications
from hudhud.messages import code_searches, contacts, counters, text_store
from hudhud.messages.states import QUEUED, SENDING
from hudhud.senders import commands, records
from hudhud.verification import idempotency, kept_answers
from hudhud.verification.lifecycle import PENDING
from hudhud.verification.limits import conversions, rate_limits
from hudhud.verification.links import inbound
from hudhud.webhooks import deliveries, endpoints, events, retry_policy

# How many of the oldest rows to check, in order of ids: enough to find old rows behind some that
# are kept or have a wrong date.
LOOKED_AT = 2000

Id = TypeVar("Id", int, str)


@dataclass(frozen=True, slots=True)
class KeptDays:
    """Retention in days."""

    messages: int
    verifications: int
    events: int
    audit: int


class Purge(Protocol):
    """Deletes at most `limit` old rows and returns how many."""

    def __call__(self, connection: Connection, *, before: int, limit: int) -> int:
        """Delete rows in the caller's write transaction."""


class RowKind(Protocol):
    """One kind of row with a retention period."""

    batches: Batches

    def delete_some(self) -> bool:
        """Delete a batch; return whether more rows may be left."""


class Retention:
    """Deletes old rows in batches, each kind of row in turn."""

    def __init__(self, database: Database, kept: KeptDays) -> None:
        self._kinds: Sequence[RowKind] = (
            *_oldest(database, kept),
            *(_Indexed(database, *kind) for kind in _indexed(database, kept)),
        )
        self._left = list(self._kinds)

    def delete_some(self) -> float | None:
        """Delete a batch; return the seconds to pause, or None when done.

        The next call after None starts over. Raises sqlalchemy.exc.SQLAlchemyError.
        """
        if not self._left:
            self._left = list(self._kinds)
            return None
        kind = self._left.pop(0)
        if kind.delete_some():
            self._left.append(kind)
        return kind.batches.pause_seconds

    @property
    def longest_seconds(self) -> float:
        """The longest time in seconds that a batch has held the lock."""
        return max(kind.batches.longest_seconds for kind in self._kinds)


class _Indexed:
    """Rows whose age is indexed, so that the DELETE statement finds them."""

    def __init__(self, database: Database, kept_ms: int, purge: Purge) -> None:
        self.batches = Batches(database)
        self._kept_ms = kept_ms
        self._purge = purge

    def delete_some(self) -> bool:
        rows = self.batches.rows
        return self.batches.write(self._delete) >= rows

    def _delete(self, connection: Connection, rows: int) -> int:
        return self._purge(connection, before=now_ms() - self._kept_ms, limit=rows)


class _Oldest(Generic[Id]):
    """Rows whose ids sort by time, found before taking the lock."""

    def __init__(
        self,
        database: Database,
        kept_ms: int,
        find: Callable[[Connection, int], Sequence[Id]],
        delete: Callable[[Connection, Sequence[Id]], int],
    ) -> None:
        self.batches = Batches(database)
        self._database = database
        self._kept_ms = kept_ms
        self._find: Callable[[Connection, int], Sequence[Id]] = find
        self._delete: Callable[[Connection, Sequence[Id]], int] = delete
        self._found: list[Id] = []
        self._deleted = 0

    def delete_some(self) -> bool:
        if not self._found:
            self._deleted = 0
            with self._database.read() as connection:
                self._found = list(self._find(connection, now_ms() - self._kept_ms))
        if self._found:
            self.batches.write(self._delete_next)
        # Rows that were found but not deleted are locked by others and can wait a minute.
        return bool(self._found or self._deleted)

    def _delete_next(self, connection: Connection, rows: int) -> int:
        chosen, self._found = self._found[:rows], self._found[rows:]
        self._deleted += self._delete(connection, chosen)
        return len(chosen)


def _oldest(database: Database, kept: KeptDays) -> Sequence[RowKind]:
    messages_ms = kept.messages * DAY_MS
    # A verification is kept at least as long as its messages.
    verifications_ms = max(messages_ms, kept.verifications * DAY_MS)
    return (
        _Oldest(database, messages_ms, old_messages, delete_messages),
        _Oldest(database, verifications_ms, old_verifications, delete_verifications),
        _Oldest(database, retry_policy.GIVEN_UP_AFTER_MS, deliveries.find_overdue, _give_up),
        _Oldest(database, kept.events * DAY_MS, events.find_old, events.delete_old),
    )


def _indexed(database: Database, kept: KeptDays) -> Sequence[tuple[int, Purge]]:
    """Return each kind's retention (ms), 0 if rows have expiry times."""
    return (
        (kept.audit * DAY_MS, audit_log.purge),
        (contacts.INBOUND_KEPT_MS, contacts.purge_inbound),
        (inbound.ANSWERED_AGAIN_MS, inbound.purge),
        (idempotency.KEPT_MS, idempotency.purge),
        (idempotency.KEPT_MS, kept_answers.purge),
        (conversions.KEPT_MS, conversions.purge),
        (commands.KEPT_MS, commands.purge),
        (records.STATES_KEPT_MS, records.purge_states),
        (login_attempts.WINDOW_MS, login_attempts.purge),
        (code_searches.KEPT_MS, code_searches.purge),
        (0, text_store.Orphans(database).purge),
        (0, rate_limits.purge),
        (0, counters.purge),
        (0, sessions.purge),
        (0, endpoints.purge_former_secrets),
    )


def _give_up(connection: Connection, ids: Sequence[int]) -> int:
    return deliveries.give_up(connection, ids, now=now_ms())


def old_messages(connection: Connection, before: int) -> Sequence[int]:
    """Return ids of messages older than `before`, neither queued nor being sent."""
    looked_at = _first(messages.c.id, messages.c.created_at, messages.c.status).subquery()
    is_over = looked_at.c.status.not_in((QUEUED, SENDING))
    found = select(looked_at.c.id).where(looked_at.c.created_at < before, is_over)
    return connection.scalars(found.order_by(looked_at.c.id)).all()


def delete_messages(connection: Connection, ids: Sequence[int]) -> int:
    """Delete messages and their steps, except queued ones; return how many."""
    chosen = (
        select(messages.c.id, messages.c.status)
        .where(messages.c.id.in_(ids), messages.c.status.not_in((QUEUED, SENDING)))
        .order_by(messages.c.id)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(chosen).all()
    if rows:
        held = [row.id for row in rows]
        connection.execute(delete(message_steps).where(message_steps.c.message_id.in_(held)))
        connection.execute(delete(messages).where(messages.c.id.in_(held)))
        phone_index.merge_after(connection, len(held))
        gone = Counter(row.status for row in rows)
        moved = {status: -count for status, count in gone.items()}
        counters.add(connection, now=now_ms(), moved=moved)
    return len(rows)


def old_verifications(connection: Connection, before: int) -> Sequence[str]:
    """Return ids of ended verifications older than `before` without messages."""
    looked_at = _first(verifications.c.id, verifications.c.created_at, verifications.c.status)
    rows = looked_at.subquery()
    ended = rows.c.status != PENDING
    found = select(rows.c.id).where(rows.c.created_at < before, ended, _has_no_message(rows.c.id))
    return connection.scalars(found.order_by(rows.c.id)).all()


def delete_verifications(connection: Connection, ids: Sequence[str]) -> int:
    """Delete verifications, except pending ones and those with messages; return how many."""
    chosen = (
        select(verifications.c.id)
        .where(
            verifications.c.id.in_(ids),
            verifications.c.status != PENDING,
            _has_no_message(verifications.c.id),
        )
        .order_by(verifications.c.id)
        .with_for_update(skip_locked=True)
    )
    held = connection.scalars(chosen).all()
    if held:
        connection.execute(delete(verifications).where(verifications.c.id.in_(held)))
    return len(held)


def _first(number: Column[Any], *others: Column[Any]) -> Select[Any]:
    return select(number, *others).order_by(number).limit(LOOKED_AT)


def _has_no_message(verification_id: ColumnElement[str]) -> ColumnElement[bool]:
    # Not NOT EXISTS, for which PostgreSQL might read all messages.
    found = select(messages.c.id).where(messages.c.verification_id == verification_id).limit(1)
    return found.scalar_subquery().is_(None)
