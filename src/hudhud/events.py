"""What happened, for webhooks: an outbox, written in the transaction of what it tells about.

Nothing is written while no endpoint wants it. A payload never holds a code, a body or a key.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

from sqlalchemy import Connection

VerificationKind = Literal[
    "verification.created",
    "verification.approved",
    "verification.expired",
    "verification.canceled",
    "verification.failed",
]
MessageKind = Literal["message.sent", "message.delivered", "message.read", "message.failed"]
SenderKind = Literal[
    "sender.connected", "sender.disconnected", "sender.logged_out", "sender.restricted"
]
Kind = VerificationKind | MessageKind | SenderKind
KINDS: Final[tuple[Kind, ...]] = (
    *get_args(VerificationKind),
    *get_args(MessageKind),
    *get_args(SenderKind),
)


def verification_changed(
    connection: Connection, kind: VerificationKind, ids: Sequence[str], *, now: int
) -> None:
    """Tell of verifications that have just changed."""


def messages_changed(
    connection: Connection, kind: MessageKind, ids: Sequence[int], *, now: int
) -> None:
    """Tell of messages that have just changed."""


def sender_changed(connection: Connection, name: str, state: str, *, now: int) -> None:
    """Tell of a sender whose state has just changed."""
