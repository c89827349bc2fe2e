"""What people are told of webhook endpoints: disabled, failing for a day, and works again."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row

from hudhud.core.clock import DAY_MS, iso
from hudhud.core.stored_sentences import in_english
from hudhud.db.tables import webhook_endpoints
from hudhud.maintenance.alerts.state import UNTOLD, AlertState, OldColumn, Subject
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.endpoints import list_endpoints

FAILING_MS: Final = DAY_MS

DISABLED: Final = "disabled"
FAILING: Final = "failing"
WORKS: Final = "works"


def subjects(connection: Connection, states: Mapping[str, AlertState], now: int) -> list[Subject]:
    """Return every endpoint, with the alert that is due."""
    return [_subject(endpoint, states, now) for endpoint in list_endpoints(connection)]


def _subject(endpoint: Row[Any], states: Mapping[str, AlertState], now: int) -> Subject:
    name = f"endpoint {endpoint.id}"
    return Subject(
        name=name,
        due=due(endpoint, states.get(name, UNTOLD).told, now),
        ending=WORKS,
        message=partial(message, endpoint),
        old_column=OldColumn(
            webhook_endpoints.c.alerted, webhook_endpoints.c.id, endpoint.id, endpoint.alerted
        ),
    )


def due(endpoint: Row[Any], told: str | None, now: int) -> str | None:
    """Return what of an endpoint has to be told now, or None."""
    if endpoint.disabled_at is not None:
        return None if told == DISABLED else DISABLED
    if endpoint.failing_since is None:
        return None if told is None else WORKS
    is_long = endpoint.failing_since <= now - FAILING_MS
    return FAILING if is_long and told is None else None


def message(endpoint: Row[Any], what: str) -> tuple[str, str]:
    """Return title and text of an alert: which endpoint, what happened, what to do now."""
    title = f"Hudhud: webhook endpoint {endpoint.id}"
    url = shown(endpoint.url)
    if what == WORKS:
        return f"{title} is in order again", f"Events go to {url}. Nothing to do."
    if what == DISABLED:
        why = in_english(endpoint, "disabled_reason")
        return f"{title} is disabled", (
            f"{why} It is told of nothing more: {url}. If that is not meant, repair it, "
            f"then: hudhud webhooks enable {endpoint.id}"
        )
    return f"{title} fails", (
        f"Nothing has arrived at {url} since {iso(endpoint.failing_since)}. What waits is given up "
        "after three days. Look at the receiver and at: hudhud webhooks deliveries "
        f"{endpoint.id}"
    )
