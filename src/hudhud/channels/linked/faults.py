"""The faults of a linked device: state, sentence and reaction.

`FAULTS` concerns the connection, `REFUSALS` single messages. `docs/linked-channel.md` has the same
two tables with the symptoms of each fault.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

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
    """Reaction to a fault."""

    LET_REDIAL = auto()
    """Let the library redial; reconnect if that fails within the grace period."""
    RECONNECT = auto()
    """Reconnect with backoff."""
    WAIT = auto()
    """Reconnect after the fault's own pause; doing so sooner would do harm."""
    NEW_PROCESS = auto()
    """Start a new process after the fault's own pause."""
    UNLINK = auto()
    """Delete the session; start a new process, which shows a QR code."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of `FAULTS`; its sentence has the code `linked.<name>`."""

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
    """Return a fault's sentence, with `detail` if the text has that parameter."""
    code = f"linked.{fault}"
    return Sentence(code, {"detail": detail} if "detail" in holes(ENGLISH[code]) else {})


class Refusal(Enum):
    """Kind of a failed send or number check."""

    NO_ACCOUNT = auto()
    """The number cannot be reached: fail permanently."""
    STRANGER = auto()
    """The account may not write to this person: record it in `Restriction`."""
    TOO_MUCH = auto()
    """The account sends too much: pause all sending."""
    OFFLINE = auto()
    """Nothing was sent for lack of a connection: wait for it."""
    OTHER = auto()
    """Retry with backoff; the message may already have been sent."""


# The client's own error: the library would report success.
NO_DEVICES: Final = "the account has no devices"
REFUSALS: tuple[tuple[str, Refusal], ...] = (
    (rf"no LID found|{NO_DEVICES}", Refusal.NO_ACCOUNT),
    (r"returned error 463\b", Refusal.STRANGER),
    (r"returned (error|status) (420|429)\b", Refusal.TOO_MUCH),
    (r"websocket not connected|client is nil|doesn't contain a device", Refusal.OFFLINE),
)
"""Patterns of the library's error texts, which are the only information it returns. 400 and 479 (a
malformed stanza, seen right after undecryptable messages) and a connection lost before the answer
have no row and are `OTHER`."""


def class_refusal(text: str) -> Refusal:
    """Classify the library's error text of a send or number check."""
    for fragment, refusal in REFUSALS:
        if re.search(fragment, text):
            return refusal
    return Refusal.OTHER
