"""What goes wrong with a linked device: its meaning, what an admin reads, what follows.

`FAULTS` is about the connection, `REFUSALS` about single messages. `docs/linked-channel.md` shows
the same two tables with how each fault looks from outside.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from hudhud.channels.base import State

FaultName = Literal[
    "dropped",
    "stream_error",
    "unreachable",
    "silent",
    "hung_send",
    "broken",
    "refused",
    "session_unusable",
    "logged_out",
    "main_device_gone",
    "unknown_logout",
    "session_gone",
    "operator_logout",
    "replaced",
    "temporary_ban",
    "outdated",
    "qr_timeout",
    "pairing_failed",
    "pairing_refused",
    "passkey",
]


class Reaction(Enum):
    """What follows a fault."""

    LET_REDIAL = auto()
    """The library redials by itself; where that does not help within a grace, connect anew."""
    RECONNECT = auto()
    """Connect anew, after a wait that grows with each failure."""
    WAIT = auto()
    """Connect anew after the fault's own pause; redialling sooner would do harm."""
    NEW_PROCESS = auto()
    """Go on in a new process after the fault's own pause."""
    UNLINK = auto()
    """Delete the session and go on in a new process, which asks for a new link."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table; `{detail}` in the sentence takes what the fault said."""

    state: State
    reaction: Reaction
    sentence: str


FAULTS: Mapping[FaultName, Fault] = {
    "dropped": Fault(
        "reconnecting",
        Reaction.LET_REDIAL,
        "The connection to WhatsApp was lost; it is being restored. Nothing to do yet.",
    ),
    "stream_error": Fault(
        "reconnecting",
        Reaction.LET_REDIAL,
        "WhatsApp ended the connection with error {detail}; it is being restored. "
        "Nothing to do yet.",
    ),
    "unreachable": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "WhatsApp cannot be reached ({detail}). Hudhud keeps trying. "
        "Check this machine's connection to the internet, and WHATSAPP_PROXY.",
    ),
    "silent": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "WhatsApp stopped answering; Hudhud connects anew. Nothing to do yet.",
    ),
    "hung_send": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "WhatsApp did not answer a message; Hudhud connects anew and sends it again. "
        "Nothing to do yet.",
    ),
    "broken": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "The WhatsApp library stopped ({detail}); Hudhud connects anew. "
        "If this repeats, update Hudhud.",
    ),
    "refused": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "WhatsApp refuses this device ({detail}). Hudhud keeps trying. "
        "If it lasts, update Hudhud, or log out and link the device anew.",
    ),
    "session_unusable": Fault(
        "reconnecting",
        Reaction.RECONNECT,
        "The session of the linked device cannot be opened ({detail}). Hudhud keeps trying. "
        "Check the disk and its permissions, or the database: hudhud doctor",
    ),
    "logged_out": Fault(
        "logged_out",
        Reaction.UNLINK,
        "The phone logged this device out. Scan the new QR code to link it again.",
    ),
    "main_device_gone": Fault(
        "logged_out",
        Reaction.UNLINK,
        "WhatsApp says that the account moved to another phone or is locked. Open WhatsApp on "
        "its phone; when it works there, scan the new QR code.",
    ),
    "unknown_logout": Fault(
        "logged_out",
        Reaction.UNLINK,
        "WhatsApp ended the session and gave no reason; often the account is banned. Open "
        "WhatsApp on its phone; when it works there, scan the new QR code.",
    ),
    "session_gone": Fault(
        "logged_out",
        Reaction.UNLINK,
        "The session of the linked device is gone from this machine. On the phone remove the "
        "old device from Linked devices, then scan the new QR code.",
    ),
    "operator_logout": Fault(
        "logged_out",
        Reaction.UNLINK,
        "An operator logged this device out. Scan the new QR code to link one again.",
    ),
    "replaced": Fault(
        "replaced",
        Reaction.WAIT,
        "Another program uses this session. Stop the other one, then reload the session; "
        "Hudhud tries again by itself in a quarter of an hour.",
    ),
    "temporary_ban": Fault(
        "restricted",
        Reaction.WAIT,
        "WhatsApp banned this account for a time ({detail}). Hudhud connects again when the ban "
        "ends. Send more slowly then, and to people who expect it.",
    ),
    "outdated": Fault(
        "outdated",
        Reaction.NEW_PROCESS,
        "WhatsApp no longer accepts this version of Hudhud. Update Hudhud.",
    ),
    "qr_timeout": Fault(
        "pairing",
        Reaction.NEW_PROCESS,
        "The QR code ran out before anybody scanned it. A new one follows.",
    ),
    "pairing_failed": Fault(
        "pairing",
        Reaction.NEW_PROCESS,
        "Linking failed: the phone's answer did not fit. Scan the new QR code that follows.",
    ),
    "pairing_refused": Fault(
        "reconnecting",
        Reaction.NEW_PROCESS,
        "WhatsApp lets no new device be linked from here just now. Hudhud asks again by itself; "
        "if it lasts, update Hudhud.",
    ),
    "passkey": Fault(
        "pairing",
        Reaction.NEW_PROCESS,
        "The phone asks for the account's passkey, which Hudhud cannot give. Reload the "
        "session, then link by phone number or link another account. The WhatsApp Business Cloud "
        "API, for a later version, needs no phone.",
    ),
}


class Refusal(Enum):
    """What a message's refusal means."""

    NO_ACCOUNT = auto()
    """The number can never be reached: fail."""
    STRANGER = auto()
    """The account may not write to this person: `Restriction` counts it."""
    TOO_MUCH = auto()
    """The account asks too much: nothing is sent for a while."""
    OFFLINE = auto()
    """Nothing was sent because there is no connection: wait for it."""
    OTHER = auto()
    """Try again with growing waits: the same message may pass, or may have gone out."""


REFUSALS: tuple[tuple[str, Refusal], ...] = (
    (r"no LID found", Refusal.NO_ACCOUNT),
    (r"returned error 463\b", Refusal.STRANGER),
    (r"returned (error|status) (420|429)\b", Refusal.TOO_MUCH),
    (r"websocket not connected|client is nil|doesn't contain a device", Refusal.OFFLINE),
)
"""Fragments of the library's error texts, which are all that it gives. 400 and 479 (a malformed
stanza, seen right after undecryptable messages) and a connection lost before the answer have no
row: they are `OTHER`."""


def class_refusal(text: str) -> Refusal:
    """Class what the library says of a message or a number check that it did not get through."""
    for fragment, refusal in REFUSALS:
        if re.search(fragment, text):
            return refusal
    return Refusal.OTHER
