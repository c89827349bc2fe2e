"""Virtual phones: an account, its identity and its linked devices."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

from waemu import signal
from waemu.binary import LID_SERVER, Jid, Node

_MAX_UNANSWERED = 10_000
_MAX_LOGINS = 1_000


class StanzaKey(NamedTuple):
    """Identifies an unanswered stanza; a message and its receipts share ids."""

    tag: str
    id: str
    type: str


def stanza_key(stanza: Node) -> StanzaKey:
    kind = "" if stanza.tag == "message" else stanza.text("type")
    return StanzaKey(stanza.tag, stanza.text("id"), kind)


@dataclass
class Prekeys:
    """Uploaded keys of a linked device, for starting sessions with it."""

    identity: bytes
    registration_id: int
    signed: signal.Prekey
    signature: bytes
    one_time: deque[signal.Prekey]

    def take_bundle(self) -> signal.Bundle:
        """Return a bundle, with a one-time prekey while any are left."""
        prekey = self.one_time.popleft() if self.one_time else None
        return signal.Bundle(
            self.identity, self.registration_id, self.signed, self.signature, prekey
        )


class Wire(Protocol):
    """The connection of a linked device."""

    companion: "Companion | None"

    def send(self, stanza: Node) -> None:
        """Queue a stanza."""

    def send_last(self, stanza: Node) -> None:
        """Queue a stanza and close the connection after it."""

    def close(self) -> None:
        """Close the connection once the queue is sent."""

    def abort(self) -> None:
        """Cut the connection at once."""


@dataclass(eq=False)
class Companion:
    """A linked device, identified by the static key of its handshakes."""

    phone: "Phone"
    device: int
    noise_key: bytes
    prekeys: Prekeys | None = None
    connection: Wire | None = None
    logins: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_LOGINS))
    _unanswered: OrderedDict[StanzaKey, Node] = field(default_factory=OrderedDict)

    @property
    def jid(self) -> Jid:
        return self.phone.lid.with_device(self.device)

    def deliver(self, stanza: Node) -> None:
        """Send a stanza now, and at each login until it is answered."""
        self._unanswered[stanza_key(stanza)] = stanza
        while len(self._unanswered) > _MAX_UNANSWERED:
            self._unanswered.popitem(last=False)
        if self.connection is not None:
            self.connection.send(stanza)

    def answered(self, key: StanzaKey) -> None:
        """Stop resending the stanza with this key."""
        self._unanswered.pop(key, None)

    def unanswered(self) -> list[Node]:
        return list(self._unanswered.values())


class Phone:
    """One WhatsApp account with its phone, which is device 0."""

    def __init__(self, number: str, lid: str) -> None:
        self.number = number
        self.jid = Jid(number)
        self.lid = Jid(lid, LID_SERVER)
        self.companions: dict[int, Companion] = {}
        self._last_device = 0

    @cached_property
    def signal(self) -> signal.Device:
        """Return the phone's own keys, created lazily: benchmarks add thousands of phones."""
        return signal.Device()

    def next_device(self) -> int:
        """Return a new device number; numbers are never reused."""
        self._last_device += 1
        return self._last_device
