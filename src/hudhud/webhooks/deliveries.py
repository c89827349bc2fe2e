"""Webhook deliveries: plan, claim, record and retry.

    pending → delivered                  (the receiver answered 2xx)
       ↑___→ failed                      (after the last attempt; a replay makes it pending again)

A claim is a lease, as in the queue of messages: a delivery without a recorded outcome when its
lease ends is repeated under the same id. An endpoint gets the events of one verification in order:
a delivery behind a pending one is postponed until that one is due again, so that it is not checked
repeatedly; when a delivery is finished, the next one becomes due.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from hudhud.core.clock import MINUTE_MS, iso
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import columns
from hudhud.db.tables import events, webhook_deliveries, webhook_endpoints
from hudhud.webhooks import endpoint_health
from hudhud.webhooks.delivery_states import (
    DELIVERED,
    FAILED,
    PENDING,
    ClaimedWebhook,
    Delivered,
    NextDue,
    NotDelivered,
    Released,
    WebhookOutcome,
    is_final,
)
from hudhud.webhooks.endpoint_health import EndpointChanges

LEASE_MS = MINUTE_MS
LOOKED_AT = 100
MOST_LOOKS = 4
TOO_OLD = say("webhook.too_old")
MOST_FOUND = 2000


def plan(connection: Connection, event_ids: Sequence[str], endpoint_ids: Sequence[int]) -> None:
    """Plan deliveries of events to those endpoints that get their owner's events."""
    gets_it = or_(
        webhook_endpoints.c.api_key.is_(None), webhook_endpoints.c.api_key == events.c.api_key
    )
    planned = (
        select(
            webhook_endpoints.c.id,
            events.c.id,
            events.c.subject,
            literal(PENDING),
            literal(0),
            events.c.created_at,
            events.c.created_at,
            events.c.created_at,
        )
        .join(webhook_endpoints, and_(webhook_endpoints.c.id.in_(endpoint_ids), gets_it))
        .where(events.c.event_id.in_(event_ids))
        .order_by(events.c.id, webhook_endpoints.c.id)
    )
    names = ["endpoint_id", "event_id", "subject", "status", "attempts", "next_at"]
    names += ["created_at", "waits_since"]
    connection.execute(webhook_deliveries.insert().from_select(names, planned))


_NEXT_DUE = select(
    webhook_endpoints.c.id,
    select(func.min(webhook_deliveries.c.next_at))
    .where(
        webhook_deliveries.c.endpoint_id == webhook_endpoints.c.id,
        webhook_deliveries.c.status == PENDING,
    )
    .scalar_subquery()
    .label("next_at"),
    webhook_endpoints.c.failing_since.is_not(None),
).where(webhook_endpoints.c.disabled_at.is_(None))


def next_due(connection: Connection) -> list[NextDue]:
    """Return the enabled endpoints with the due times of their next deliveries."""
    return [NextDue(*row) for row in connection.execute(_NEXT_DUE)]


_CLAIMED: Select[Any] = (
    select(
        webhook_deliveries.c.id,
        webhook_deliveries.c.endpoint_id,
        webhook_deliveries.c.subject,
        webhook_deliveries.c.attempts,
        webhook_deliveries.c.lease_expires_at,
        webhook_endpoints.c.url,
        webhook_endpoints.c.secret_sealed,
        webhook_endpoints.c.previous_secret_sealed,
        webhook_endpoints.c.previous_until,
        events.c.event_id,
        events.c.id.label("sequence"),
        events.c.kind,
        events.c.created_at,
        events.c.payload,
    )
    .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
    .join(events, events.c.id == webhook_deliveries.c.event_id)
    .order_by(webhook_deliveries.c.id)
)


def claim(
    connection: Connection, *, spare: Mapping[int, int], now: int, lease_ms: int = LEASE_MS
) -> list[ClaimedWebhook]:
    """Claim up to `spare` due deliveries per endpoint, longest due first.

    A machine that claims at the same moment gets other deliveries: SQLite serialises the two, and
    PostgreSQL skips locked rows.
    """
    lease = now + lease_ms
    taken: list[int] = []
    for endpoint_id, most in sorted(spare.items()):
        taken += _take(connection, endpoint_id, most, lease=lease, now=now)
    if not taken:
        return []
    rows = connection.execute(_CLAIMED.where(webhook_deliveries.c.id.in_(taken)))
    return [_claimed(row, now) for row in rows]


_HELD = update(webhook_deliveries).where(
    webhook_deliveries.c.id == bindparam("b_id"),
    webhook_deliveries.c.status == PENDING,
    webhook_deliveries.c.lease_expires_at == bindparam("b_lease"),
)
_ENDED = {
    "attempts": webhook_deliveries.c.attempts + 1,
    "last_status": bindparam("b_http"),
    "last_at": bindparam("b_at"),
    "lease_expires_at": None,
}
_RECORD = {
    Delivered: _HELD.values(**_ENDED, status=DELIVERED, **columns("last_error", None)),
    NotDelivered: _HELD.values(
        **_ENDED,
        status=bindparam("b_status"),
        **{name: bindparam(f"b_{name}") for name in columns("last_error", None)},
        next_at=bindparam("b_next"),
    ),
    Released: _HELD.values(lease_expires_at=None, next_at=bindparam("b_at")),
}


def record(
    connection: Connection, outcomes: Sequence[WebhookOutcome], *, now: int
) -> EndpointChanges:
    """Record the outcomes of claimed deliveries.

    Deliveries that another machine has claimed since are left unchanged.
    """
    for kind, statement in _RECORD.items():
        rows = [_parameters(outcome) for outcome in outcomes if type(outcome) is kind]
        if rows:
            connection.execute(statement, rows)
    finished = [outcome.claimed for outcome in outcomes if is_final(outcome)]
    _release_next(connection, [(claimed.endpoint_id, claimed.subject) for claimed in finished], now)
    return endpoint_health.record_outcomes(connection, outcomes, now)


def find_overdue(connection: Connection, before: int) -> Sequence[int]:
    """Return deliveries to enabled endpoints that have been pending since `before`."""
    started = func.coalesce(webhook_endpoints.c.enabled_at, 0)
    overdue = (
        select(webhook_deliveries.c.id)
        .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
        .where(
            webhook_deliveries.c.status == PENDING,
            webhook_deliveries.c.waits_since < before,
            webhook_endpoints.c.disabled_at.is_(None),
            started < before,
        )
    )
    return connection.scalars(overdue.order_by(webhook_deliveries.c.id).limit(MOST_FOUND)).all()


def give_up(connection: Connection, ids: Sequence[int], *, now: int) -> int:
    """Fail these deliveries, except those being attempted; return how many."""
    given_up = (
        update(webhook_deliveries)
        .where(
            webhook_deliveries.c.id.in_(ids),
            webhook_deliveries.c.status == PENDING,
            is_free(now),
        )
        .values(
            status=FAILED,
            **_unless_tried(TOO_OLD),
            lease_expires_at=None,
        )
        .returning(webhook_deliveries.c.endpoint_id, webhook_deliveries.c.subject)
    )
    rows = connection.execute(given_up).all()
    _release_next(connection, [(row.endpoint_id, row.subject) for row in rows], now)
    return len(rows)


def find_retries(connection: Connection, endpoint_id: int, *, now: int) -> Sequence[int]:
    """Return an endpoint's deliveries that wait for a retry."""
    waits = select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.endpoint_id == endpoint_id,
        webhook_deliveries.c.status == PENDING,
        webhook_deliveries.c.attempts > 0,
        webhook_deliveries.c.lease_expires_at.is_(None),
        webhook_deliveries.c.next_at > now,
    )
    return connection.scalars(waits.order_by(webhook_deliveries.c.id).limit(MOST_FOUND)).all()


def retry_now(connection: Connection, ids: Sequence[int], *, now: int) -> int:
    """Make these deliveries due now; return how many."""
    waiting = update(webhook_deliveries).where(
        webhook_deliveries.c.id.in_(ids),
        webhook_deliveries.c.status == PENDING,
        webhook_deliveries.c.lease_expires_at.is_(None),
        webhook_deliveries.c.next_at > now,
    )
    return connection.execute(waiting.values(next_at=now)).rowcount


def head_of(column: Column[Any]) -> ScalarSelect[Any]:
    """Select a column of the earlier delivery that blocks one, or NULL."""
    head = webhook_deliveries.alias("head")
    return (
        select(head.c[column.name])
        .where(
            head.c.endpoint_id == webhook_deliveries.c.endpoint_id,
            head.c.subject == webhook_deliveries.c.subject,
            head.c.status == PENDING,
            head.c.id < webhook_deliveries.c.id,
        )
        .order_by(head.c.id)
        .limit(1)
        .scalar_subquery()
    )


def delete_of(connection: Connection, event_numbers: Sequence[int]) -> None:
    """Delete the deliveries of events, given by `events.id`."""
    of_these = webhook_deliveries.c.event_id.in_(event_numbers)
    connection.execute(delete(webhook_deliveries).where(of_these))


# Due deliveries, each with the due time of the delivery that blocks it.
_DUE = (
    select(webhook_deliveries.c.id, head_of(webhook_deliveries.c.next_at).label("behind_until"))
    .where(
        webhook_deliveries.c.endpoint_id == bindparam("b_endpoint"),
        webhook_deliveries.c.status == PENDING,
        webhook_deliveries.c.next_at <= bindparam("b_now", type_=BigInteger),
    )
    .order_by(webhook_deliveries.c.next_at, webhook_deliveries.c.id)
    .limit(LOOKED_AT)
    .with_for_update(skip_locked=True, of=webhook_deliveries)
)


def _take(
    connection: Connection, endpoint_id: int, most: int, *, lease: int, now: int
) -> list[int]:
    taken: list[int] = []
    for _ in range(MOST_LOOKS):
        rows = connection.execute(_DUE, {"b_endpoint": endpoint_id, "b_now": now}).all()
        first = [row.id for row in rows if row.behind_until is None][: most - len(taken)]
        behind = [row for row in rows if row.behind_until is not None]
        if first:
            leased = update(webhook_deliveries).where(webhook_deliveries.c.id.in_(first))
            connection.execute(leased.values(next_at=lease, lease_expires_at=lease))
        if behind:
            _postpone(connection, behind, lease)
        taken += first
        if len(taken) == most or len(rows) < LOOKED_AT:
            break
    return taken


def _postpone(connection: Connection, behind: Sequence[Row[int, Any]], lease: int) -> None:
    """Postpone blocked deliveries until their blockers are due, one statement per time."""
    times: dict[int, list[int]] = defaultdict(list)
    for row in behind:
        times[max(row.behind_until, lease)].append(row.id)
    for at, ids in times.items():
        postponed = update(webhook_deliveries).where(webhook_deliveries.c.id.in_(ids))
        connection.execute(postponed.values(next_at=at))


# Only deliveries that were blocked: attempted ones keep their retry time.
_RELEASE_NEXT = (
    update(webhook_deliveries)
    .where(
        webhook_deliveries.c.id
        == select(func.min(webhook_deliveries.c.id))
        .where(
            webhook_deliveries.c.endpoint_id == bindparam("b_endpoint"),
            webhook_deliveries.c.subject == bindparam("b_subject"),
            webhook_deliveries.c.status == PENDING,
        )
        .scalar_subquery(),
        webhook_deliveries.c.lease_expires_at.is_(None),
        webhook_deliveries.c.attempts == 0,
    )
    .values(next_at=bindparam("b_now", type_=BigInteger))
)


def _release_next(connection: Connection, finished: Sequence[tuple[int, str]], now: int) -> None:
    """Make the deliveries behind finished ones (endpoint, subject) due."""
    released = [
        {"b_endpoint": endpoint, "b_subject": subject, "b_now": now}
        for endpoint, subject in dict.fromkeys(finished)
    ]
    if released:
        connection.execute(_RELEASE_NEXT, released)


def is_free(now: int) -> ColumnElement[bool]:
    """Return the condition that a delivery is not being attempted."""
    lease = webhook_deliveries.c.lease_expires_at
    return or_(lease.is_(None), lease <= now)


def _claimed(row: Row[Any], now: int) -> ClaimedWebhook:
    sealed = [row.secret_sealed]
    if row.previous_secret_sealed is not None and row.previous_until > now:
        sealed.append(row.previous_secret_sealed)
    return ClaimedWebhook(
        id=row.id,
        endpoint_id=row.endpoint_id,
        subject=row.subject,
        attempts=row.attempts,
        lease=row.lease_expires_at,
        url=row.url,
        secrets_sealed=tuple(sealed),
        event_id=row.event_id,
        body=_body(row),
    )


def _body(row: Row[Any]) -> str:
    """Return the body to post, which is the same in every attempt."""
    envelope = {
        "type": row.kind,
        "timestamp": iso(row.created_at),
        "sequence": row.sequence,
        "data": msgspec.Raw(row.payload.encode()),
    }
    return msgspec.json.encode(envelope).decode()


def _parameters(outcome: WebhookOutcome) -> dict[str, object]:
    held: dict[str, object] = {
        "b_id": outcome.claimed.id,
        "b_lease": outcome.claimed.lease,
        "b_at": outcome.at,
    }
    if isinstance(outcome, Released):
        return held
    if isinstance(outcome, Delivered):
        return {**held, "b_http": outcome.status}
    return {
        **held,
        "b_http": outcome.status,
        **{f"b_{name}": value for name, value in columns("last_error", outcome.error).items()},
        "b_status": FAILED if outcome.retry_at is None else PENDING,
        "b_next": outcome.at if outcome.retry_at is None else outcome.retry_at,
    }


def _unless_tried(error: Sentence) -> dict[str, ColumnElement[Any]]:
    """Return the error's columns, or those of the last attempt's error."""
    kept = webhook_deliveries.c
    is_first = kept.last_error.is_(None)
    return {
        name: case((is_first, literal(value, kept[name].type)), else_=kept[name])
        for name, value in columns("last_error", error).items()
    }
