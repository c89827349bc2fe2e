"""Deliveries to one endpoint, handled as by a dispatcher."""

from collections.abc import Sequence

from sqlalchemy import update

from hudhud.core.sentences import say
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks import deliveries, events
from hudhud.webhooks.delivery_states import (
    ClaimedWebhook,
    Delivered,
    NextDue,
    NotDelivered,
    WebhookOutcome,
)
from hudhud.webhooks.endpoint_health import EndpointChanges
from support.queued import NOW, submit
from support.receivers import stored_deliveries

URL = "https://shop.example/hudhud"


def tell(database: Database, subject: int, *, now: int = NOW) -> None:
    """Write an event of the message `subject`."""
    with database.write() as connection:
        events.messages_changed(connection, "message.sent", [subject], now=now)


def jobs(database: Database, count: int) -> list[int]:
    """Create messages of separate verifications whose acceptance is no event."""
    with database.write() as connection:
        connection.execute(update(webhook_endpoints).values(disabled_at=NOW))
    numbers = submit(database, count)
    with database.write() as connection:
        connection.execute(update(webhook_endpoints).values(disabled_at=None))
    return numbers


def claim(
    database: Database, endpoint: int, most: int = 9, *, now: int = NOW
) -> list[ClaimedWebhook]:
    with database.write() as connection:
        return deliveries.claim(connection, spare={endpoint: most}, now=now)


def record(database: Database, *outcomes: WebhookOutcome, now: int = NOW) -> EndpointChanges:
    with database.write() as connection:
        return deliveries.record(connection, outcomes, now=now)


def arrived(claimed: ClaimedWebhook, now: int = NOW) -> Delivered:
    return Delivered(claimed, 204, now)


def failed(claimed: ClaimedWebhook, retry_at: int | None) -> NotDelivered:
    return NotDelivered(claimed, 500, say("webhook.refused", status=500), retry_at, NOW)


def numbers(claimed: Sequence[ClaimedWebhook]) -> list[int]:
    return [one.id for one in claimed]


def due_at(database: Database) -> list[NextDue]:
    with database.read() as connection:
        return deliveries.next_due(connection)


def states(database: Database) -> list[tuple[str, int]]:
    return [(row.status, row.attempts) for row in stored_deliveries(database)]
