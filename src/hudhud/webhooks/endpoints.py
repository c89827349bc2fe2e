"""Webhook endpoints and their signing secrets.

A secret is 32 random bytes in the format of Standard Webhooks, sealed in the database and shown
once. After a rotation the previous one also signs for an overlap, so that receivers can change it
without rejecting events.
"""

import base64
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, update

from hudhud.core.clock import DAY_MS, iso
from hudhud.core.crypto import Cipher, SealingError
from hudhud.core.errors import BadRequest, Conflict
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import columns
from hudhud.db import sealed_columns
from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks import address_policy
from hudhud.webhooks.event_types import KINDS, EventKind

PURPOSE: Final = "webhook secret"
SECRET_MARK = "whsec_"  # noqa: S105 -- the prefix of all secrets
SECRET_BYTES = 32
OVERLAP_MS = DAY_MS
LONGEST_OVERLAP_MS = 30 * OVERLAP_MS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """An endpoint and its new secret, which is not shown again."""

    id: int
    url: str
    secret: str = field(repr=False)


def add(
    connection: Connection,
    cipher: Cipher,
    *,
    url: str,
    kinds: Iterable[str],
    owner: str | None,
    now: int,
) -> Signed:
    """Add an endpoint for these kinds of events, all if empty.

    It gets the events of the API key's `owner`; with None those of all owners, and of senders.
    The caller checks its address before, outside of a transaction (`AddressPolicy.check`).
    Raises BadRequest for an invalid address or kind.
    """
    address_policy.check_form(url)
    wanted = _in_order(kinds, owner)
    secret = _new_secret()
    row = {
        "url": url,
        "kinds": " ".join(wanted),
        "api_key": owner,
        "secret_sealed": cipher.seal(url, secret),
        "created_at": now,
    }
    added: int = connection.scalars(
        insert(webhook_endpoints).returning(webhook_endpoints.c.id), row
    ).one()
    return Signed(added, url, secret)


_SHOWN: Final = select(
    *(
        webhook_endpoints.c[name]
        for name in (
            "id",
            "url",
            "kinds",
            "api_key",
            "previous_until",
            "created_at",
            "failing_since",
            "disabled_at",
            "alerted",
            *columns("disabled_reason", None),
        )
    )
)


def list_endpoints(connection: Connection) -> list[Row[Any]]:
    """Return all endpoints without their secrets, oldest first."""
    return list(connection.execute(_SHOWN.order_by(webhook_endpoints.c.id)))


def find(connection: Connection, endpoint_id: int) -> Row[Any] | None:
    """Return an endpoint without its secrets, or None."""
    return connection.execute(_SHOWN.where(webhook_endpoints.c.id == endpoint_id)).first()


def remove(connection: Connection, endpoint_id: int) -> str | None:
    """Remove an endpoint; return its address, None if it does not exist.

    Its pending deliveries are not attempted any more, and are deleted with their events.
    """
    gone = delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
    url: str | None = connection.scalar(gone.returning(webhook_endpoints.c.url))
    return url


def disable(connection: Connection, endpoint_id: int, *, reason: Sentence, now: int) -> bool:
    """Disable an endpoint; return False if it is disabled already.

    Its deliveries stay pending, so that no event is lost if it was disabled by mistake.
    """
    changed = connection.execute(
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.disabled_at.is_(None))
        .values(disabled_at=now, **columns("disabled_reason", reason))
    )
    return changed.rowcount == 1


def enable(connection: Connection, endpoint_id: int, *, now: int) -> str | None:
    """Enable an endpoint; return its address, None if it is not disabled.

    Its pending deliveries are sent in order; events of the disabled period are not delivered.
    """
    enabled = (
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.disabled_at.is_not(None))
        .values(
            disabled_at=None,
            **columns("disabled_reason", None),
            failing_since=None,
            enabled_at=now,
        )
    )
    url: str | None = connection.scalar(enabled.returning(webhook_endpoints.c.url))
    return url


def rotate(
    connection: Connection,
    cipher: Cipher,
    endpoint_id: int,
    *,
    now: int,
    overlap_ms: int = OVERLAP_MS,
) -> Signed | None:
    """Rotate an endpoint's secret; return None if the endpoint does not exist.

    The current secret also signs for `overlap_ms`; with 0, all earlier secrets stop signing.
    Raises BadRequest if the overlap is too long, and Conflict during the overlap of an earlier
    rotation, because a further one would invalidate the secret that a receiver still uses.
    """
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise BadRequest(say("webhook.overlap_too_long"))
    columns = select(
        webhook_endpoints.c.url,
        webhook_endpoints.c.secret_sealed,
        webhook_endpoints.c.previous_until,
    )
    found = columns.where(webhook_endpoints.c.id == endpoint_id).with_for_update()
    row = connection.execute(found).first()
    if row is None:
        return None
    if overlap_ms and (row.previous_until or 0) > now:
        raise Conflict(say("webhook.rotated_already", until=iso(row.previous_until)))
    secret = _new_secret()
    connection.execute(
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id)
        .values(
            secret_sealed=cipher.seal(row.url, secret),
            previous_secret_sealed=row.secret_sealed if overlap_ms else None,
            previous_until=now + overlap_ms if overlap_ms else None,
        )
    )
    return Signed(endpoint_id, row.url, secret)


def purge_former_secrets(connection: Connection, *, before: int, limit: int) -> int:
    """Erase at most `limit` secrets past their overlap; return how many."""
    is_over = webhook_endpoints.c.previous_until <= before
    chosen = select(webhook_endpoints.c.id).where(is_over).limit(limit)
    over = update(webhook_endpoints).where(webhook_endpoints.c.id.in_(chosen))
    return connection.execute(
        over.values(previous_secret_sealed=None, previous_until=None)
    ).rowcount


def reseal(connection: Connection, cipher: Cipher) -> int:
    """Seal webhook secrets with the new installation secret; return how many."""
    sealed = (webhook_endpoints.c.secret_sealed, webhook_endpoints.c.previous_secret_sealed)
    return sum(
        sealed_columns.reseal(
            connection,
            cipher,
            column,
            bound_to=webhook_endpoints.c.url,
            report_lost=_report_lost,
        )
        for column in sealed
    )


def _report_lost(endpoint: int, error: SealingError) -> None:
    log.error("cannot open a webhook's secret; rotate it", endpoint=endpoint, error=str(error))


def _new_secret() -> str:
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _in_order(kinds: Iterable[str], owner: str | None) -> Sequence[EventKind]:
    """Return the kinds in the stored order. Raises BadRequest."""
    wanted = set(kinds)
    unknown = wanted.difference(KINDS)
    if unknown:
        raise BadRequest(say("webhook.unknown_events", detail=", ".join(KINDS)))
    chosen = [kind for kind in KINDS if not wanted or kind in wanted]
    if owner is None:
        return chosen
    own = [kind for kind in chosen if not kind.startswith("sender.")]
    if not own:
        raise BadRequest(say("webhook.sender_events"))
    return own
