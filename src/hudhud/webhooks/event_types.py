"""Kinds of webhook events."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

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
EventKind = VerificationKind | MessageKind | SenderKind
KINDS: Final[tuple[EventKind, ...]] = (
    *get_args(VerificationKind),
    *get_args(MessageKind),
    *get_args(SenderKind),
)
# Other states are not reported to callers.
KIND_OF_SENDER_STATE: Final[Mapping[str, SenderKind]] = {
    "connected": "sender.connected",
    "reconnecting": "sender.disconnected",
    "replaced": "sender.disconnected",
    "outdated": "sender.disconnected",
    "stopped": "sender.disconnected",
    "logged_out": "sender.logged_out",
    "restricted": "sender.restricted",
}
