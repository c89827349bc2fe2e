"""What the library and the callers tell the thread that keeps the connection."""

from dataclasses import dataclass

from hudhud.channels.linked.faults import FaultName


@dataclass(frozen=True, slots=True)
class QrShown:
    """A new QR code; the one before it is void."""

    code: str


@dataclass(frozen=True, slots=True)
class PairCodeGiven:
    """The phone's owner may type this code instead of scanning."""

    code: str


@dataclass(frozen=True, slots=True)
class Linked:
    """The phone accepted; the library now connects as `device`, known a moment later."""

    device: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """Connected and logged in."""

    phone: str
    device: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something of the fault table happened; `seconds` is how long a ban lasts."""

    fault: FaultName
    detail: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call found no connection where there should be one."""


@dataclass(frozen=True, slots=True)
class WrittenByLid:
    """Somebody wrote whose phone number is not in the message and must be looked up."""

    message_id: str
    lid: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class RestrictionChanged:
    """The account may now reach more or fewer people."""


Signal = (
    QrShown | PairCodeGiven | Linked | Opened | Trouble | Doubt | WrittenByLid | RestrictionChanged
)
