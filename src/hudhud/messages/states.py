"""The states of a message.

    queued → sending → sent → delivered → read
       ↑________|  ↘ failed                         (a retry or a lost lease goes back)
    queued → expired | canceled

A message is what the API and the dashboard call a job; they show the four words of the earlier
application (`legacy_status`) next to the exact state.
"""

from typing import Literal

from sqlalchemy import Connection, Row, select

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
    """Return the earlier application's word: pending, processing, sent or failed."""
    return _LEGACY[status]


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
    """Return the row of a message that is to be queued; `text_store.keep` must keep its body.

    `only_sender` alone may send it, and does so before all else.
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


def find(connection: Connection, message_id: int) -> Row[tuple[object, ...]] | None:
    """Return the message with this id, or None."""
    return connection.execute(select(messages).where(messages.c.id == message_id)).first()
