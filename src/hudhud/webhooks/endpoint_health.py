"""Since when deliveries to an endpoint fail, and when they arrive again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, update

from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks.delivery_states import Delivered, NotDelivered, WebhookOutcome

# Retry the backlog early only after an outage of this length: a single event that the endpoint
# always refuses would otherwise use up its attempts between the others.
REPAIRED_AFTER_MS = 300_000


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """The endpoints to which deliveries began to fail, and those to which they arrive again."""

    failing: Sequence[int]
    recovered: Sequence[int]
    repaired: Sequence[int]  # those of the recovered that failed for `REPAIRED_AFTER_MS`


def record_outcomes(
    connection: Connection, outcomes: Sequence[WebhookOutcome], now: int
) -> EndpointChanges:
    """Mark the endpoints that these outcomes show as failing or working; return what changed."""
    arrived = {
        outcome.claimed.endpoint_id for outcome in outcomes if isinstance(outcome, Delivered)
    }
    failed = {
        outcome.claimed.endpoint_id for outcome in outcomes if isinstance(outcome, NotDelivered)
    }
    since = webhook_endpoints.c.failing_since
    return EndpointChanges(
        repaired=_repaired(connection, arrived, now),
        failing=_mark(connection, failed - arrived, since.is_(None), now),
        recovered=_mark(connection, arrived, since.is_not(None), None),
    )


def _repaired(connection: Connection, ids: set[int], now: int) -> Sequence[int]:
    if not ids:
        return ()
    long_ago = webhook_endpoints.c.failing_since <= now - REPAIRED_AFTER_MS
    found = select(webhook_endpoints.c.id).where(webhook_endpoints.c.id.in_(ids), long_ago)
    return connection.scalars(found).all()


def _mark(
    connection: Connection, ids: set[int], unless: ColumnElement[bool], since: int | None
) -> Sequence[int]:
    """Set since when endpoints fail; return those for which it changed."""
    if not ids:
        return ()
    changed = update(webhook_endpoints).where(webhook_endpoints.c.id.in_(sorted(ids)), unless)
    returned = changed.values(failing_since=since).returning(webhook_endpoints.c.id)
    return connection.scalars(returned).all()
