"""Alerts about webhook endpoints: disabled, failing for a day, or working again."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row

from hudhud.core.clock import DAY_MS, iso
from hudhud.core.stored_sentences import in_english
from hudhud.db.tables import webhook_endpoints
from hudhud.maintenance.alerts.state import OldColumn, Subject
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.endpoints import list_endpoints

FAILING_MS: Final = DAY_MS

DISABLED: Final = "disabled"
FAILING: Final = "failing"
WORKS: Final = "works"


def subjects(connection: Connection, now: int) -> list[Subject]:
    """Return all endpoints, with the alerts due."""
    return [_subject(endpoint, now) for endpoint in list_endpoints(connection)]


def _subject(endpoint: Row[Any], now: int) -> Subject:
    return Subject(
        name=f"endpoint {endpoint.id}",
        due=partial(due, endpoint, now),
        ending=WORKS,
        message=partial(message, endpoint),
        old_column=OldColumn(
            webhook_endpoints.c.alerted, webhook_endpoints.c.id, endpoint.id, endpoint.alerted
        ),
    )


def due(endpoint: Row[Any], now: int, told: str | None) -> str | None:
    """Return the name of the alert due, or None."""
    if endpoint.disabled_at is not None:
        return None if told == DISABLED else DISABLED
    if endpoint.failing_since is None:
        return None if told is None else WORKS
    is_long = endpoint.failing_since <= now - FAILING_MS
    return FAILING if is_long and told is None else None


def message(endpoint: Row[Any], what: str) -> tuple[str, str]:
    """Return title and text: which endpoint, what happened, what to do."""
    title = f"Hudhud: webhook endpoint {endpoint.id}"
    url = shown(endpoint.url)
    if what == WORKS:
        return f"{title} works again", f"Events are delivered to {url}. Nothing to do."
    if what == DISABLED:
        why = in_english(endpoint, "disabled_reason")
        return f"{title} is disabled", (
            f"{why} No more events are delivered to {url}. If this is not intended, fix the "
            f"receiver, then run: hudhud webhooks enable {endpoint.id}"
        )
    return f"{title} is failing", (
        f"No delivery to {url} has succeeded since {iso(endpoint.failing_since)}. Deliveries "
        "are not retried for longer than three days. Check the receiver and run: "
        f"hudhud webhooks deliveries {endpoint.id}"
    )
