"""Track when deliveries to an endpoint start failing and succeed again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, update

from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks.delivery_states import Delivered, NotDelivered, WebhookOutcome

# Retry the backlog early only after an outage of this length; otherwise a single rejected event
# would exhaust its attempts.
REPAIRED_AFTER_MS = 300_000


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """Endpoints whose deliveries started to fail, or succeed again."""

    failing: Sequence[int]
    recovered: Sequence[int]
    repaired: Sequence[int]  # recovered after failing for `REPAIRED_AFTER_MS`


def record_outcomes(
    connection: Connection, outcomes: Sequence[WebhookOutcome], now: int
) -> EndpointChanges:
    """Mark endpoints as failing or working by these outcomes; return the changes."""
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
    """Set `failing_since` of endpoints; return those that changed."""
    if not ids:
        return ()
    changed = update(webhook_endpoints).where(webhook_endpoints.c.id.in_(sorted(ids)), unless)
    returned = changed.values(failing_since=since).returning(webhook_endpoints.c.id)
    return connection.scalars(returned).all()
