"""The states of a message, and how receipts move it on: forward only.

    queued → sending → sent → delivered → read
       ↑________|  ↘ failed                         (a retry or a lost lease goes back)
    queued → expired | canceled

A message is what the API and the dashboard call a job; they show the four words of the earlier
application (`legacy_status`) beside the exact state.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, Update, bindparam, func, or_, select, update

from hudhud.db.tables import messages

QUEUED = "queued"
SENDING = "sending"
SENT = "sent"
DELIVERED = "delivered"
READ = "read"
FAILED = "failed"
EXPIRED = "expired"
CANCELED = "canceled"

ReceiptKind = Literal["delivered", "read"]
LegacyStatus = Literal["pending", "processing", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider tells that a message arrived or was read, at milliseconds `at`."""

    provider_message_id: str
    kind: ReceiptKind
    at: int


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


def find(connection: Connection, message_id: int) -> Row[tuple[object, ...]] | None:
    """Return the message with this id, or None."""
    return connection.execute(select(messages).where(messages.c.id == message_id)).first()


def record_receipts(connection: Connection, receipts: Sequence[Receipt]) -> set[str]:
    """Move sent messages on to `delivered` or `read`; return the ids that nobody knows yet.

    `read` implies `delivered`. A receipt that says less than is known already changes nothing,
    so receipts may come twice and in any order.
    """
    for kind, statement in _MOVE_ON.items():
        rows = [
            {"b_id": receipt.provider_message_id, "b_at": receipt.at}
            for receipt in receipts
            if receipt.kind == kind
        ]
        if rows:
            connection.execute(statement, rows)
    return unknown_of(connection, {receipt.provider_message_id for receipt in receipts})


def unknown_of(connection: Connection, ids: AbstractSet[str]) -> set[str]:
    """Return those of the provider's message ids that no message has yet."""
    if not ids:
        return set()
    column = messages.c.provider_message_id
    return set(ids) - set(connection.scalars(select(column).where(column.in_(ids))))


def _move_on(kind: ReceiptKind, before: tuple[str, ...]) -> Update:
    values: dict[str, object] = {
        "status": kind,
        "delivered_at": func.coalesce(messages.c.delivered_at, bindparam("b_at")),
    }
    if kind == READ:
        values["read_at"] = bindparam("b_at")
    same_id = messages.c.provider_message_id == bindparam("b_id")
    # Not IN: SQLAlchemy cannot expand a list when it executes many rows at once.
    movable = or_(*(messages.c.status == status for status in before))
    return update(messages).where(same_id, movable).values(values)


_MOVE_ON: dict[ReceiptKind, Update] = {
    "delivered": _move_on("delivered", (SENT,)),
    "read": _move_on("read", (SENT, DELIVERED)),
}
