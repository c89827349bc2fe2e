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
from hudhud.core.english import ENGLISH
from hudhud.core.sentences import Sentence, holes

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
    """One row of the table; its sentence in `core/english.py` is named after it."""

    state: State
    reaction: Reaction


FAULTS: Mapping[FaultName, Fault] = {
    "dropped": Fault("reconnecting", Reaction.LET_REDIAL),
    "stream_error": Fault("reconnecting", Reaction.LET_REDIAL),
    "unreachable": Fault("reconnecting", Reaction.RECONNECT),
    "silent": Fault("reconnecting", Reaction.RECONNECT),
    "hung_send": Fault("reconnecting", Reaction.RECONNECT),
    "broken": Fault("reconnecting", Reaction.RECONNECT),
    "refused": Fault("reconnecting", Reaction.RECONNECT),
    "session_unusable": Fault("reconnecting", Reaction.RECONNECT),
    "logged_out": Fault("logged_out", Reaction.UNLINK),
    "main_device_gone": Fault("logged_out", Reaction.UNLINK),
    "unknown_logout": Fault("logged_out", Reaction.UNLINK),
    "session_gone": Fault("logged_out", Reaction.UNLINK),
    "operator_logout": Fault("logged_out", Reaction.UNLINK),
    "replaced": Fault("replaced", Reaction.WAIT),
    "temporary_ban": Fault("restricted", Reaction.WAIT),
    "outdated": Fault("outdated", Reaction.NEW_PROCESS),
    "qr_timeout": Fault("pairing", Reaction.NEW_PROCESS),
    "pairing_failed": Fault("pairing", Reaction.NEW_PROCESS),
    "pairing_refused": Fault("reconnecting", Reaction.NEW_PROCESS),
    "passkey": Fault("pairing", Reaction.NEW_PROCESS),
}


def meaning(fault: FaultName, detail: str) -> Sentence:
    """Return the sentence of a fault, with its detail where the text has a hole for it."""
    code = f"linked.{fault}"
    return Sentence(code, {"detail": detail} if "detail" in holes(ENGLISH[code]) else {})


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
