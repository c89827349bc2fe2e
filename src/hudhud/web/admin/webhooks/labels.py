"""Labels of webhooks: the states of endpoints and deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from sqlalchemy import Connection, Row

from hudhud.auth import api_keys
from hudhud.auth.caller import ENVIRONMENT
from hudhud.web.admin.ui.format import Format
from hudhud.webhooks import delivery_log, delivery_states
from hudhud.webhooks.address_policy import shown
from hudhud.webhooks.delivery_log import MOST_COUNTED
from hudhud.webhooks.event_types import KINDS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint for the pages; `key` names the key of its events."""

    row: Row[Any]
    key: str | None
    waiting: int
    failed: int
    is_tried: bool

    @property
    def gets_all(self) -> bool:
        """Whether it gets every kind of event."""
        return len(self.row.kinds.split()) == len(KINDS)


def endpoint_of(connection: Connection, row: Row[Any]) -> Endpoint:
    """Return an endpoint with its key's name and its counts."""
    return Endpoint(
        row=row,
        key=None if row.api_key is None else api_keys.name_of(connection, row.api_key),
        waiting=delivery_log.count(connection, endpoint_id=row.id, status=delivery_states.PENDING),
        failed=delivery_log.count(connection, endpoint_id=row.id, status=delivery_states.FAILED),
        is_tried=delivery_log.any_tried(connection, endpoint_id=row.id),
    )


def whose(endpoint: Endpoint, fmt: Format) -> Markup:
    """Describe whose events an endpoint gets."""
    if endpoint.row.api_key is None:
        return fmt.fill(fmt.gettext("Events of all keys and of senders"))
    if endpoint.row.api_key == ENVIRONMENT:
        return fmt.fill(fmt.gettext("Events of the environment's key"))
    name = fmt.isolated(endpoint.key or endpoint.row.api_key)
    return fmt.fill(fmt.gettext("Events of key %(name)s"), name=name)


def endpoint_look(endpoint: Endpoint, fmt: Format) -> tuple[str, str, Markup]:
    """Return tone, icon and label of an endpoint's state."""
    row = endpoint.row
    if row.disabled_at is not None:
        since = fmt.moment(row.disabled_at, seconds=False)
        text = fmt.gettext("Disabled since %(time)s")
        return "bad", "stop", fmt.fill(text, time=since)
    if row.failing_since is not None:
        since = fmt.moment(row.failing_since, seconds=False)
        return "warn", "warn", fmt.fill(fmt.gettext("Fails since %(time)s"), time=since)
    if not endpoint.is_tried:
        return "idle", "dots", fmt.fill(fmt.gettext("Not tried yet"))
    return "ok", "ok", fmt.fill(fmt.gettext("Works"))


def delivery_look(row: Row[Any], fmt: Format) -> tuple[str, str]:
    """Return the look (colour, icon) and label of a delivery's state."""
    if row.status == delivery_states.DELIVERED:
        return "delivered", fmt.gettext("Delivered")
    if row.status == delivery_states.FAILED:
        return "failed", fmt.gettext("Failed")
    if (row.lease_expires_at or 0) > fmt.now:
        return "sending", fmt.gettext("On its way")
    return "queued", fmt.gettext("Waiting")


def counted(count: int, fmt: Format) -> str:
    """Format a count that stops at a maximum."""
    if count <= MOST_COUNTED:
        return fmt.number(count)
    return fmt.gettext("over %(count)s") % {"count": fmt.number(MOST_COUNTED)}


WORDS: Mapping[str, Any] = {
    "counted": counted,
    "delivery_look": delivery_look,
    "endpoint_look": endpoint_look,
    "shown": shown,
    "whose": whose,
}
