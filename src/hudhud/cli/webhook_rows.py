"""The rows of `hudhud webhooks list` and `hudhud webhooks deliveries`."""

from typing import Any

from sqlalchemy import Connection, Row

from hudhud.auth import api_keys, caller
from hudhud.cli.tables import ago, ahead
from hudhud.core.stored_sentences import in_english
from hudhud.webhooks import delivery_log, delivery_states, endpoints
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.event_types import KINDS

ENDPOINT_HEADINGS = ("id", "url", "events", "of", "state", "pending", "failed")
DELIVERY_HEADINGS = (
    "id", "endpoint", "event", "event id", "state", "attempts", "latest", "notes",
)  # fmt: skip


def endpoint_rows(connection: Connection, now: int) -> list[list[str]]:
    """Return a row for each endpoint."""
    return [_endpoint(connection, row, now) for row in endpoints.list_endpoints(connection)]


def delivery_row(row: Row[Any], now: int) -> list[str]:
    """Return the row of a delivery, as `delivery_log.page` returns it."""
    return [
        str(row.id),
        str(row.endpoint_id),
        row.kind,
        row.event,
        row.status,
        str(row.attempts),
        ago(row.last_at or row.created_at, now),
        "; ".join(_notes(row, now)),
    ]


def _endpoint(connection: Connection, row: Row[Any], now: int) -> list[str]:
    kinds = row.kinds.split()
    return [
        str(row.id),
        shown(row.url),
        "all" if len(kinds) == len(KINDS) else ", ".join(kinds),
        "all keys" if row.api_key is None else _name_of(connection, row.api_key),
        _state(connection, row, now),
        _counted(connection, row.id, delivery_states.PENDING),
        _counted(connection, row.id, delivery_states.FAILED),
    ]


def _name_of(connection: Connection, owner: str) -> str:
    if owner == caller.ENVIRONMENT:
        return "API_KEY"
    return api_keys.name_of(connection, owner) or owner


def _state(connection: Connection, row: Row[Any], now: int) -> str:
    if row.disabled_at is not None:
        return f"disabled {ago(row.disabled_at, now)} ({in_english(row, 'disabled_reason')})"
    if row.failing_since is not None:
        return f"failing, first {ago(row.failing_since, now)}"
    is_tried = delivery_log.any_tried(connection, endpoint_id=row.id)
    return "works" if is_tried else "not tried yet"


def _counted(connection: Connection, endpoint: int, status: delivery_states.WebhookStatus) -> str:
    count = delivery_log.count(connection, endpoint_id=endpoint, status=status)
    most = delivery_log.MOST_COUNTED
    return str(count) if count <= most else f"over {most}"


def _notes(row: Row[Any], now: int) -> list[str]:
    notes = []
    if row.status == delivery_states.PENDING and row.behind is None:
        notes.append(f"next {ahead(row.next_at, now)}")
    if row.behind is not None:
        notes.append(f"behind {row.behind}")
    error = in_english(row, "last_error")
    return notes if error is None else [*notes, error]
