"""The states of a message.

    queued → sending → sent → delivered → read
       ↑________|  ↘ failed                         (a retry or a lost lease requeues)
    queued → expired | canceled

The API and the dashboard call a message a job; they show the four statuses of the earlier
application (`legacy_status`) next to the exact state.
"""

from typing import Literal

from sqlalchemy import ColumnElement, Connection, Row, func, select

from hudhud.db.moments import not_before
from hudhud.db.tables import messages
from hudhud.messages import text_store

QUEUED = "queued"
SENDING = "sending"
SENT = "sent"
DELIVERED = "delivered"
READ = "read"
FAILED = "failed"
EXPIRED = "expired"
CANCELED = "canceled"
STATUSES = (QUEUED, SENDING, SENT, DELIVERED, READ, FAILED, EXPIRED, CANCELED)

LegacyStatus = Literal["pending", "processing", "sent", "failed"]
# The earlier application counts canceled jobs as failed; the pages do not.
StatusFilter = Literal[LegacyStatus, "failed_or_expired", "canceled"]

_LEGACY: dict[str, LegacyStatus] = {
    QUEUED: "pending",
    SENDING: "processing",
    SENT: "sent",
    DELIVERED: "sent",
    READ: "sent",
    FAILED: "failed",
    EXPIRED: "failed",
    CANCELED: "failed",
}


def legacy_status(status: str) -> LegacyStatus:
    """Return the earlier application's status: pending, processing, sent or failed."""
    return _LEGACY[status]


def fits(status: str, chosen: StatusFilter) -> bool:
    """Return whether a filter includes messages in this state."""
    if chosen == "failed_or_expired":
        return status in (FAILED, EXPIRED)
    if chosen == "canceled":
        return status == CANCELED
    return legacy_status(status) == chosen


def new_row(
    number: int,
    *,
    verification_id: str | None,
    channel: str,
    phone: str,
    body: str,
    request_id: str | None,
    created_at: int,
    expires_at: int,
    only_sender: str | None = None,
) -> dict[str, object]:
    """Return the row of a message to queue.

    The caller stores the body with `text_store.keep`. If `only_sender` is given, no other sender
    may send the message, and that one sends it before all others.
    """
    return {
        "id": number,
        "verification_id": verification_id,
        "channel": channel,
        "phone": phone,
        "body": body,
        "body_key": text_store.key(body),
        "status": QUEUED,
        "attempts": 0,
        "available_at": created_at,
        "expires_at": expires_at,
        "only_sender": only_sender,
        "request_id": request_id,
        "created_at": created_at,
    }


def next_step_at(at: ColumnElement[int] | int) -> ColumnElement[int]:
    """Return the moment of an update to be stored: `at`, but not before its last attempt began.

    In the database created_at ≤ sending_at ≤ sent_at ≤ delivered_at ≤ read_at, and finished_at
    follows the first two.
    """
    return not_before(func.coalesce(messages.c.sending_at, messages.c.created_at), at)


def find(connection: Connection, message_id: int) -> Row[tuple[object, ...]] | None:
    """Return the message with this id, or None."""
    return connection.execute(select(messages).where(messages.c.id == message_id)).first()
