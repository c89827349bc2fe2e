"""The faults of the emulated WhatsApp; the defaults mean none."""

from dataclasses import dataclass, field, fields
from typing import Literal

PasskeyMoment = Literal["offer", "link"]

_NUMBER_LISTS = (
    "connect_failure_for",
    "ack_error_for",
    "ack_drop_for",
    "unregistered",
    "receipts_withheld",
)


@dataclass
class Faults:
    """Every possible fault. Numbers may start with a plus sign.

    Attributes:
        refuse_connections: the proxy's port does not listen; existing connections stay open.
        upgrade_status: HTTP status that answers every websocket upgrade (the server is down).
        connect_failure: attributes of the <failure> that answers a login or a new pairing: reason,
            and code and expire (seconds) for a ban (402), location for a logout (401).
        connect_failure_for: affected accounts; empty for all, including clients not yet paired.
        ack_error: error code that answers a message (463, 479, 400, 420, 429); it is not delivered.
        ack_error_for: affected recipients; empty for all.
        ack_error_count: how many more messages are refused; None for all of them.
        ack_drop: messages are delivered but never acknowledged.
        ack_drop_for: affected recipients; empty for all.
        ack_delay: seconds until a message is acknowledged.
        iq_errors: code and text that answer queries, by xmlns: {"usync": "429 rate-overlimit"}.
        iq_mute: xmlns of queries that are never answered; "w:p" are the keepalive pings.
        unregistered: numbers that have no WhatsApp although a phone exists.
        receipts_withheld: numbers that send no automatic receipts (the phone is off).
        passkey: when the phone asks for a passkey: once QR codes or a pairing code are offered
            ("offer"), or when the code is scanned or entered ("link"). Every pairing then fails.
        qr_refs: number of QR codes that a pairing offers before the client gives up. The first of
            several is shown for 60 s, every other one for 20 s.
        hide_numbers: messages of phones name their sender by LID only.
    """

    refuse_connections: bool = False
    upgrade_status: int | None = None
    connect_failure: dict[str, str] | None = None
    connect_failure_for: list[str] = field(default_factory=list)
    ack_error: str | None = None
    ack_error_for: list[str] = field(default_factory=list)
    ack_error_count: int | None = None
    ack_drop: bool = False
    ack_drop_for: list[str] = field(default_factory=list)
    ack_delay: float = 0.0
    iq_errors: dict[str, str] = field(default_factory=dict)
    iq_mute: list[str] = field(default_factory=list)
    unregistered: list[str] = field(default_factory=list)
    receipts_withheld: list[str] = field(default_factory=list)
    passkey: PasskeyMoment | None = None
    qr_refs: int = 6
    hide_numbers: bool = False

    def __post_init__(self) -> None:
        for name in _NUMBER_LISTS:
            setattr(self, name, [number.removeprefix("+") for number in getattr(self, name)])

    def replace(self, other: "Faults") -> None:
        """Replace every value in place, for all holders of this object."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def failure_of(self, number: str | None) -> dict[str, str] | None:
        """Return the <failure> for an account's login, or an unpaired client's (None)."""
        if self.connect_failure_for and number not in self.connect_failure_for:
            return None
        return self.connect_failure

    def take_ack_error(self, recipient: str) -> str | None:
        """Return the error for one message to this recipient, and count it."""
        if self.ack_error is None or not _concerns(self.ack_error_for, recipient):
            return None
        if self.ack_error_count is not None:
            if self.ack_error_count <= 0:
                return None
            self.ack_error_count -= 1
        return self.ack_error

    def drops_ack(self, recipient: str) -> bool:
        return self.ack_drop and _concerns(self.ack_drop_for, recipient)


def _concerns(numbers: list[str], number: str) -> bool:
    return not numbers or number in numbers
