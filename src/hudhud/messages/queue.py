"""The queue of messages: claim, record, retry, reclaim, expire.

The queue is the table `messages`: `verification/` inserts rows (`states.new_row`), `worker/` claims
them.

A claim is a lease: its holder sends, and a message without a recorded result when the lease ends is
requeued. Each function runs inside the caller's transaction and documents what happens if another
process was faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    literal,
    select,
    update,
)

from hudhud.core.backoff import doubled, jittered
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import columns
from hudhud.db.tables import messages, verifications
from hudhud.messages import claimable, counters, text_store, timeline
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.counters import Counts
from hudhud.messages.outcomes import Claimed, Failed, Misaddressed, Outcome, Returned, Sent
from hudhud.messages.states import (
    CANCELED,
    EXPIRED,
    FAILED,
    QUEUED,
    SENDING,
    SENT,
    next_step_at,
)
from hudhud.webhooks import events

LEASE_MS = 30_000
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
# Delay for each further reclaim of a message, so that one that crashes its sender does not hold
# up the others.
RECLAIM_DELAY_MS = 2000
TOO_OLD = say("job.expired")
LOST = say("job.lost")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Ids of failed messages, and number of changes by outcome."""

    failed: Sequence[int]
    changed: Mapping[type[Outcome], int]

    def count(
        self,
        connection: Connection,
        *,
        now: int,
        counts_traffic: bool = True,
        counts: Counts | None = None,
    ) -> None:
        """Update the counters, last in the transaction; `counts_traffic` includes the charts."""
        kinds = (Sent, Failed, Misaddressed, Returned)
        sent, failed, misaddressed, returned = (self.changed[kind] for kind in kinds)
        left = sent + failed + misaddressed + returned
        counters.add(
            connection,
            now=now,
            moved={SENDING: -left, SENT: sent, FAILED: failed + misaddressed, QUEUED: returned},
            happened={"sent": sent, "failed": failed} if counts_traffic else None,
            counts=counts,
        )


_SEALED_CODES = select(verifications.c.id, verifications.c.code_sealed).where(
    verifications.c.id.in_(bindparam("ids", expanding=True))
)


def has_work(
    connection: Connection, *, channel: str, sender: str, now: int, only_known: bool = False
) -> bool:
    """Return whether a claim would find messages, without taking a write lock."""
    return any(
        connection.execute(some.look, some.values(channel=channel, sender=sender, now=now)).first()
        is not None
        for some in claimable.in_order(only_known=only_known)
    )


def is_waiting(connection: Connection, *, channel: str) -> bool:
    """Return whether messages of this channel are queued."""
    found = select(messages.c.id).where(messages.c.status == QUEUED, messages.c.channel == channel)
    return connection.execute(found.limit(1)).first() is not None


def claim(
    connection: Connection,
    *,
    channel: str,
    sender: str,
    limit: int,
    now: int,
    only_known: bool = False,
    counts: Counts | None = None,
) -> list[Claimed]:
    """Claim up to `limit` messages for `sender`, for `LEASE_MS`.

    Answers to people who wrote to this sender come first, then the oldest messages. A sender that
    claims at the same moment gets other messages: SQLite serialises the two, and PostgreSQL skips
    locked rows. `only_known` restricts the claim to people who wrote to us first. If `counts` are
    given, the caller writes them.
    """
    taken: list[Row[Any]] = []
    for some in claimable.in_order(only_known=only_known):
        if len(taken) < limit:
            values = some.values(channel=channel, sender=sender, now=now)
            own = {"b_sender": sender, "b_lease": now + LEASE_MS, "b_most": limit - len(taken)}
            rows = connection.execute(some.take, {**values, **own})
            taken += sorted(rows, key=lambda row: row.id)
    sealed = _sealed_codes(connection, [row.verification_id for row in taken])
    claimed = [_claimed(row, sealed.get(row.verification_id)) for row in taken]
    void = [one.id for one in claimed if one.is_void]
    _cancel(connection, void, now=now)
    counters.add(
        connection,
        now=now,
        moved={QUEUED: -len(taken), SENDING: len(taken) - len(void), CANCELED: len(void)},
        happened={"canceled": len(void)},
        counts=counts,
    )
    return [one for one in claimed if not one.is_void]


def _claimed(row: Row[Any], code_sealed: bytes | None) -> Claimed:
    return Claimed(
        id=row.id,
        verification_id=row.verification_id,
        phone=row.phone,
        body=row.body,
        attempts=row.attempts,
        expires_at=row.expires_at,
        request_id=row.request_id,
        code_sealed=code_sealed,
    )


def _cancel(connection: Connection, ids: Sequence[int], *, now: int) -> None:
    """Cancel requeued messages whose verification has ended."""
    if ids:
        connection.execute(
            update(messages)
            .where(messages.c.id.in_(ids))
            .values(status=CANCELED, finished_at=next_step_at(now), lease_expires_at=None)
        )


def extend(connection: Connection, *, sender: str, now: int) -> None:
    """Renew the leases that `sender` still holds; lost leases are not regained."""
    connection.execute(
        update(messages)
        .where(messages.c.status == SENDING, messages.c.sender == sender)
        .values(lease_expires_at=now + LEASE_MS)
    )


def _error_values(error: Sentence | None) -> dict[str, object]:
    key = None if error is None else text_store.key(error.english())
    return {**columns("error", error), "error_key": key}


_HELD = update(messages).where(
    messages.c.id == bindparam("b_id"),
    messages.c.status == SENDING,
    messages.c.sender == bindparam("b_sender"),
)
_GIVEN_ERROR: dict[str, BindParameter[Any]] = {
    name: bindparam(f"b_{name}") for name in _error_values(None)
}
_AT = next_step_at(bindparam("b_at", type_=BigInteger))
_FAIL = _HELD.values(
    status=FAILED,
    **_GIVEN_ERROR,
    finished_at=_AT,
    lease_expires_at=None,
)
_RECORD = {
    Sent: _HELD.values(
        status=SENT,
        provider_message_id=bindparam("b_provider"),
        sent_at=_AT,
        lease_expires_at=None,
        **_error_values(None),
    ),
    Failed: _FAIL,
    Misaddressed: _FAIL,
    Returned: _HELD.values(
        status=QUEUED,
        **_GIVEN_ERROR,
        available_at=bindparam("b_available"),
        attempts=messages.c.attempts - bindparam("b_refund"),
        sender=None,
        lease_expires_at=None,
    ),
}


def record(
    connection: Connection, *, sender: str, outcomes: Sequence[Outcome], now: int
) -> Recorded:
    """Record the outcomes of claimed messages.

    Messages that `sender` no longer holds, because they were reclaimed, are left unchanged.
    """
    text_store.keep_errors(
        connection, [one.error for one in outcomes if not isinstance(one, Sent) and one.error]
    )
    for outcome in outcomes:
        if isinstance(outcome, Returned):
            _keep_attempt(connection, sender, outcome, now)
    reported = _held_to_report(connection, sender, outcomes)
    changed = dict.fromkeys(_RECORD, 0)
    for kind, statement in _RECORD.items():
        rows = [_parameters(one, sender) for one in outcomes if type(one) is kind]
        if rows:
            changed[kind] = connection.execute(statement, rows).rowcount
    _add_events(connection, [one for one in outcomes if one.message_id in reported], now)
    failed = [one.message_id for one in outcomes if isinstance(one, Failed)]
    return Recorded(failed, changed)


def reclaim(connection: Connection, *, now: int) -> int:
    """Requeue messages whose lease ended without a recorded result; return how many.

    Skips messages whose rows another process is changing.
    """
    return _put_back(connection, now, messages.c.lease_expires_at <= now, skip_locked=True)


def reclaim_of(
    connection: Connection, *, sender: str, now: int, counts: Counts | None = None
) -> int:
    """Requeue all messages held by `sender`, which must not be sending them.

    `counts` are those of `claim`.
    """
    held = messages.c.sender == sender
    return _put_back(connection, now, held, skip_locked=False, counts=counts)


def expire(connection: Connection, *, now: int) -> int:
    """Expire queued messages that would arrive too late; return how many."""
    over = select(messages.c.id).where(
        messages.c.status == QUEUED, messages.c.expires_at <= now + LAST_CALL_MS
    )
    if connection.execute(over.limit(1)).first() is None:
        return 0
    text_store.keep_errors(connection, [TOO_OLD])
    expired = connection.execute(
        update(messages)
        .where(messages.c.status == QUEUED, messages.c.expires_at <= now + LAST_CALL_MS)
        .values(
            status=EXPIRED,
            finished_at=next_step_at(now),
            **{name: _unless_failed(name, value) for name, value in _error_values(TOO_OLD).items()},
        )
        .returning(messages.c.id)
    ).all()
    events.messages_changed(connection, "message.failed", [row.id for row in expired], now=now)
    count = len(expired)
    moved = {QUEUED: -count, EXPIRED: count}
    counters.add(connection, now=now, moved=moved, happened={"expired": count})
    return count


def retry_delay(attempt: int) -> float:
    """Return the seconds to wait after an attempt (from 1), with jitter."""
    return jittered(doubled(FIRST_RETRY_SECONDS, attempt - 1, most=LONGEST_RETRY_SECONDS))


def _sealed_codes(
    connection: Connection, ids: Sequence[str | None]
) -> dict[str | None, bytes | None]:
    if not ids:
        return {}
    # A subquery in RETURNING would scan the whole table.
    rows = connection.execute(_SEALED_CODES, {"ids": list(ids)})
    return {row.id: row.code_sealed for row in rows}


def _put_back(
    connection: Connection,
    now: int,
    which: ColumnElement[bool],
    *,
    skip_locked: bool,
    counts: Counts | None = None,
) -> int:
    held = select(messages.c.id).where(messages.c.status == SENDING, which)
    ids = connection.scalars(held.with_for_update(skip_locked=skip_locked)).all()
    if not ids:
        return 0
    lost = messages.c.id.in_(ids)
    timeline.keep_attempts(
        connection, select(messages.c.id).where(lost), kind="attempt_lost", at=now, error=LOST
    )
    back = connection.execute(
        update(messages)
        .where(lost)
        .values(
            status=QUEUED,
            sender=None,
            lease_expires_at=None,
            available_at=literal(now, BigInteger) + (messages.c.attempts - 1) * RECLAIM_DELAY_MS,
        )
    ).rowcount
    counters.add(connection, now=now, moved={SENDING: -back, QUEUED: back}, counts=counts)
    return back


def _keep_attempt(connection: Connection, sender: str, outcome: Returned, now: int) -> None:
    held = select(messages.c.id).where(
        messages.c.id == outcome.message_id,
        messages.c.status == SENDING,
        messages.c.sender == sender,
    )
    kind: timeline.Kept = "attempt_failed" if outcome.spends_attempt else "put_off"
    timeline.keep_attempts(connection, held, kind=kind, at=now, error=outcome.error)


def _held_to_report(
    connection: Connection, sender: str, outcomes: Sequence[Outcome]
) -> frozenset[int]:
    """Return the messages `sender` still holds, if a webhook subscribes to them."""
    if not events.are_wanted(connection, "message.sent", "message.failed"):
        return frozenset()
    held = select(messages.c.id).where(
        messages.c.id.in_([one.message_id for one in outcomes]),
        messages.c.status == SENDING,
        messages.c.sender == sender,
    )
    return frozenset(connection.scalars(held.with_for_update()))


def _add_events(connection: Connection, outcomes: Sequence[Outcome], now: int) -> None:
    sent = [one.message_id for one in outcomes if isinstance(one, Sent)]
    failed = [one.message_id for one in outcomes if isinstance(one, Failed)]
    events.messages_changed(connection, "message.sent", sent, now=now)
    events.messages_changed(connection, "message.failed", failed, now=now)


def _parameters(outcome: Outcome, sender: str) -> dict[str, object]:
    held = {"b_id": outcome.message_id, "b_sender": sender}
    if isinstance(outcome, Sent):
        return {**held, "b_provider": outcome.provider_message_id, "b_at": outcome.at}
    error = {f"b_{name}": value for name, value in _error_values(outcome.error).items()}
    if isinstance(outcome, Failed):
        return {**held, **error, "b_at": outcome.at}
    refund = 0 if outcome.spends_attempt else 1
    return {**held, **error, "b_available": outcome.available_at, "b_refund": refund}


def _unless_failed(name: str, value: object) -> ColumnElement[Any]:
    """Return `value`, or the error that the message already has."""
    column = messages.c[name]
    return case((messages.c.error.is_(None), literal(value, column.type)), else_=column)
