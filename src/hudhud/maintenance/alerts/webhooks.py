"""What people are told of webhook endpoints: disabled, failing for a day, and works again."""

from typing import Any, Final

from sqlalchemy import Row

from hudhud.core.clock import DAY_MS, iso
from hudhud.core.stored_sentences import in_english
from hudhud.webhooks.address_policy import shown

FAILING_MS: Final = DAY_MS

DISABLED: Final = "disabled"
FAILING: Final = "failing"
WORKS: Final = "works"


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
