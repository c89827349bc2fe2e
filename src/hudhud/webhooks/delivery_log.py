"""The log of webhook deliveries: list, count and replay."""

from typing import Any

from sqlalchemy import Connection, Row, Select, Update, case, func, select, update

from hudhud.db.tables import events, webhook_deliveries
from hudhud.webhooks.deliveries import head_of, is_free
from hudhud.webhooks.delivery_states import FAILED, PENDING, WebhookStatus

MOST_COUNTED = 1000


def replay(connection: Connection, delivery_id: int, *, now: int) -> bool:
    """Deliver again with attempts reset; return False if that is impossible.

    A delivery that does not exist or is being attempted is not replayed. The event keeps its id,
    so that a receiver recognises it.
    """
    again = _again(now).where(webhook_deliveries.c.id == delivery_id)
    return connection.execute(again).rowcount == 1


def behind(connection: Connection, delivery_id: int) -> int | None:
    """Return the delivery that this one waits for, if any."""
    found = select(_BEHIND).where(webhook_deliveries.c.id == delivery_id)
    number: int | None = connection.scalar(found)
    return number


def replay_failed(
    connection: Connection, *, endpoint_id: int, since: int, limit: int, now: int
) -> int:
    """Replay up to `limit` of an endpoint's failed deliveries created since `since`.

    Returns how many; call it until that is less than `limit`.
    """
    failed = _ids_of(endpoint_id, FAILED).where(webhook_deliveries.c.created_at >= since)
    ids = connection.scalars(failed.order_by(webhook_deliveries.c.id).limit(limit)).all()
    return connection.execute(_again(now).where(webhook_deliveries.c.id.in_(ids))).rowcount


def page(
    connection: Connection,
    *,
    endpoint_id: int | None = None,
    status: WebhookStatus | None = None,
    before: int | None = None,
    limit: int,
) -> list[Row[Any]]:
    """Return at most `limit` deliveries with their events, newest first.

    Optionally only those to one endpoint, of one status, or older than the delivery `before`.
    """
    statement = _LOG
    if endpoint_id is not None:
        statement = statement.where(webhook_deliveries.c.endpoint_id == endpoint_id)
    if status is not None:
        statement = statement.where(webhook_deliveries.c.status == status)
    if before is not None:
        statement = statement.where(webhook_deliveries.c.id < before)
    newest = statement.order_by(webhook_deliveries.c.id.desc())
    return list(connection.execute(newest.limit(limit)))


def count(connection: Connection, *, endpoint_id: int, status: WebhookStatus) -> int:
    """Count an endpoint's deliveries of a status, up to `MOST_COUNTED` + 1."""
    some = _ids_of(endpoint_id, status).limit(MOST_COUNTED + 1)
    counted = select(func.count()).select_from(some.subquery())
    return connection.scalar(counted) or 0


def any_tried(connection: Connection, *, endpoint_id: int) -> bool:
    """Return whether any stored delivery of an endpoint has been attempted."""
    tried = select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.last_at.is_not(None)
    )
    return connection.execute(tried.limit(1)).first() is not None


def _again(now: int) -> Update:
    fresh = {"status": PENDING, "attempts": 0, "next_at": now, "lease_expires_at": None}
    again = update(webhook_deliveries).where(is_free(now))
    return again.values({**fresh, "waits_since": now})


def _ids_of(endpoint_id: int, status: WebhookStatus) -> Select[int]:
    return select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.status == status
    )


# The delivery that a pending one waits for.
_BEHIND = case((webhook_deliveries.c.status == PENDING, head_of(webhook_deliveries.c.id)))
_LOG: Select[Any] = select(
    webhook_deliveries,
    events.c.kind,
    events.c.event_id.label("event"),
    _BEHIND.label("behind"),
).join(events, events.c.id == webhook_deliveries.c.event_id)
