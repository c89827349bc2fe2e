"""End verifications, with their queued messages, codes and links.

    pending → approved | expired | canceled | max_attempts_reached
       ↑___→ failed                                     (no message can arrive; see `reopen`)

Each change is conditional, so only the first of several takes effect. The caller adds the canceled
messages to the counters last in the transaction (`messages/counters.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from hudhud.auth.api_keys import only_tests
from hudhud.db.moments import not_before
from hudhud.db.tables import messages, verifications
from hudhud.messages import counters
from hudhud.messages.states import CANCELED as MESSAGE_CANCELED
from hudhud.messages.states import DELIVERED, QUEUED, READ, SENDING, SENT, next_step_at
from hudhud.verification.limits import conversions
from hudhud.webhooks import events

PENDING: Final = "pending"
APPROVED: Final = "approved"
EXPIRED: Final = "expired"
CANCELED: Final = "canceled"
MAX_ATTEMPTS_REACHED: Final = "max_attempts_reached"
FAILED: Final = "failed"
Status = Literal["pending", "approved", "expired", "canceled", "max_attempts_reached", "failed"]
STATUSES: Final[tuple[Status, ...]] = (
    PENDING,
    APPROVED,
    EXPIRED,
    CANCELED,
    MAX_ATTEMPTS_REACHED,
    FAILED,
)
Reason = Literal["superseded", "caller", "admin", "forgotten"]
OVER: Final = "The code has expired. Send a new one."

# Bounds how long one transaction holds the lock.
EXPIRED_AT_ONCE = 1000
ERASED: Final[dict[str, None]] = {
    "code_index": None,
    "code_sealed": None,
    "link_index": None,
    "link_sealed": None,
}
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NOW: BindParameter[int] = bindparam("now", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Ended:
    """Verifications that a change ended, and the number of messages it canceled."""

    ids: Sequence[str] = ()
    canceled: int = 0

    def count(self, connection: Connection, *, now: int) -> None:
        """Add the canceled messages to the counters; call last in the transaction."""
        moved = {QUEUED: -self.canceled, MESSAGE_CANCELED: self.canceled}
        counters.add(connection, now=now, moved=moved, happened={"canceled": self.canceled})


@dataclass(frozen=True, slots=True)
class _Ending:
    """A change of status, and the statuses it applies to."""

    status: Status
    before: tuple[Status, ...] = (PENDING,)
    values: dict[str, Any] = field(default_factory=dict)


def approve(
    connection: Connection, verification_id: str, *, now: int, proved_phone: str | None = None
) -> Ended:
    """Approve a pending, valid verification, with a link's proved number."""
    values = {} if proved_phone is None else {"proved_phone": proved_phone}
    ended = _end(connection, [verification_id], _Ending(APPROVED, values=values), now=now)
    if not ended:
        return Ended()
    for row in ended:
        if not only_tests(row.api_key):
            conversions.note_approved(connection, row.phone, started_at=row.created_at, now=now)
    events.verification_changed(connection, "verification.approved", [verification_id], now=now)
    return Ended([verification_id], _cancel_messages(connection, [verification_id], now=now))


def exhaust_attempts(connection: Connection, verification_id: str, *, now: int) -> Ended:
    """End a verification after its last allowed wrong code."""
    if not _end(connection, [verification_id], _Ending(MAX_ATTEMPTS_REACHED), now=now):
        return Ended()
    events.verification_changed(connection, "verification.failed", [verification_id], now=now)
    return Ended([verification_id], _cancel_messages(connection, [verification_id], now=now))


def cancel(connection: Connection, ids: Sequence[str], *, reason: Reason, now: int) -> Ended:
    """Cancel verifications and their queued messages."""
    ending = _Ending(CANCELED, before=(PENDING, FAILED), values={"reason": reason})
    ended = [row.id for row in _end(connection, ids, ending, now=now)]
    events.verification_changed(connection, "verification.canceled", ended, now=now)
    return Ended(ended, _cancel_messages(connection, ended, now=now))


def cancel_uncarried(connection: Connection, ids: Sequence[str], *, now: int) -> None:
    """Cancel, for an admin, verifications without any message that may still arrive."""
    cancel(connection, _undeliverable(connection, ids, (PENDING, FAILED)), reason="admin", now=now)


def supersede_silently(connection: Connection, ids: Sequence[str], *, now: int) -> None:
    """Supersede verifications, but still send their messages.

    For callers that may compare codes themselves and accept both.
    """
    ending = _Ending(CANCELED, values={"reason": "superseded"})
    ended = [row.id for row in _end(connection, ids, ending, now=now, erases=False)]
    events.verification_changed(connection, "verification.canceled", ended, now=now)


def fail(connection: Connection, message_ids: Sequence[int], *, now: int) -> None:
    """Fail the verifications of failed messages, unless another message may arrive.

    Their codes are kept, because an admin may retry.
    """
    if not message_ids:
        return
    of_these = select(messages.c.verification_id).where(messages.c.id.in_(message_ids))
    carried_by = [one for one in connection.scalars(of_these) if one is not None]
    lock(connection, carried_by)  # so that no further message is queued for them
    ids = _undeliverable(connection, carried_by, (PENDING,))
    ended = [row.id for row in _end(connection, ids, _Ending(FAILED), now=now, erases=False)]
    events.verification_changed(connection, "verification.failed", ended, now=now)


def reopen(connection: Connection, ids: Sequence[str]) -> None:
    """Set failed verifications to pending, because a message is queued again."""
    connection.execute(
        update(verifications)
        .where(verifications.c.id.in_(ids), verifications.c.status == FAILED)
        .values(status=PENDING, ended_at=None)
    )


def expire(connection: Connection, *, now: int, most: int = EXPIRED_AT_ONCE) -> int:
    """Expire at most `most` verifications and erase their codes; return how many."""
    rows = connection.execute(_over(now).limit(most)).all()
    if not rows:
        return 0
    pending = [row.id for row in rows if row.status == PENDING]
    _end(connection, pending, _Ending(EXPIRED), now=now)
    connection.execute(
        update(verifications).where(verifications.c.id.in_([row.id for row in rows])).values(ERASED)
    )
    events.verification_changed(connection, "verification.expired", pending, now=now)
    return len(rows)


def lock(connection: Connection, ids: Sequence[str]) -> None:
    """Lock verifications in order of ids, before their messages, to avoid deadlocks."""
    if ids:
        found = select(verifications.c.id).where(verifications.c.id.in_(ids))
        connection.execute(found.order_by(verifications.c.id).with_for_update())


def _undeliverable(
    connection: Connection, ids: Sequence[str], statuses: Sequence[Status]
) -> Sequence[str]:
    """Return verifications without any message that may still arrive."""
    if not ids:
        return []
    hopeful = exists().where(
        messages.c.verification_id == verifications.c.id,
        messages.c.status.in_((QUEUED, SENDING, SENT, DELIVERED, READ)),
    )
    hopeless = select(verifications.c.id).where(
        verifications.c.id.in_(ids), verifications.c.status.in_(statuses), ~hopeful
    )
    return connection.scalars(hopeless).all()


def _over(now: int) -> Select[str, str]:
    return (
        select(verifications.c.id, verifications.c.status)
        .where(
            verifications.c.expires_at <= now,
            # The condition of the partial index: has a code or an unused link.
            or_(verifications.c.code_sealed.is_not(None), verifications.c.link_index.is_not(None)),
        )
        .order_by(verifications.c.expires_at, verifications.c.id)
        .with_for_update(skip_locked=True)
    )


def _end(
    connection: Connection,
    ids: Sequence[str],
    ending: _Ending,
    *,
    now: int,
    erases: bool = True,
) -> Sequence[Row[Any]]:
    if not ids:
        return []
    statement = _ending(ending.status, ending.before, tuple(ending.values), erases=erases)
    values = {f"new_{name}": value for name, value in ending.values.items()}
    return connection.execute(statement, {"ids": list(ids), "now": now, **values}).all()


@cache
def _ending(
    status: Status, before: tuple[Status, ...], changed: tuple[str, ...], *, erases: bool
) -> ReturningUpdate[Any]:
    """Build an update once; to build it for each check would take longer than to run it."""
    fitting = and_(verifications.c.id.in_(_IDS), verifications.c.status.in_(before))
    if status == APPROVED:
        fitting = and_(fitting, verifications.c.expires_at > _NOW)
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in changed}
    ended = {"status": status, "ended_at": not_before(verifications.c.created_at, _NOW)}
    return (
        update(verifications)
        .where(fitting)
        .values(ended | values | (ERASED if erases else {}))
        .returning(
            verifications.c.id,
            verifications.c.phone,
            verifications.c.api_key,
            verifications.c.created_at,
        )
    )


_CANCELING = (
    update(messages)
    .where(messages.c.verification_id.in_(_IDS), messages.c.status == QUEUED)
    .values(status=MESSAGE_CANCELED, finished_at=next_step_at(_NOW))
)


def _cancel_messages(connection: Connection, ids: Sequence[str], *, now: int) -> int:
    """Cancel queued messages; a message that is being sent is not stopped."""
    if not ids:
        return 0
    return connection.execute(_CANCELING, {"ids": list(ids), "now": now}).rowcount
