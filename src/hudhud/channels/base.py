"""What a channel is: few methods, and events about what happens on its own.

A channel lives in its sender's process. The worker calls it from one thread; events are handed
over from any thread and must be taken without blocking.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from hudhud.core.sentences import Sentence
from hudhud.core.settings import Settings

LINKED: Final = "linked"
SANDBOX: Final = "sandbox"

State = Literal[
    "starting",
    "pairing",
    "connected",
    "reconnecting",
    "logged_out",
    "restricted",
    "outdated",
    "replaced",
    "stopped",
]

Carries = Literal["all", "known", "none"]
ReceiptKind = Literal["delivered", "read"]


@dataclass(frozen=True, slots=True)
class StateReport:
    """A sender's new state, with what an admin needs to know about it.

    `carries` says whom it can send to: a restricted account may still reach those who wrote to
    it first (`known`). From `until` on one message tries whether the restriction is over.
    """

    state: State
    carries: Carries = "none"
    detail: Sentence | None = None
    qr: str | None = None
    qr_expires_at: int | None = None
    pair_code: str | None = None
    phone: str | None = None
    device: str | None = None
    until: int | None = None
    failed_reconnects: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider tells that a message arrived or was read, at milliseconds `at`."""

    provider_message_id: str
    kind: ReceiptKind
    at: int


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person wrote to the sender; `phone` is resolved to international form."""

    provider_message_id: str
    phone: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The channel can only go on in a new process; `forget_device` after a logout."""

    reason: str
    forget_device: bool = False


ChannelEvent = StateReport | Receipt | Inbound | Restart


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """What earlier processes of a sender reported last; see `StateReport`."""

    sender: str
    device: str | None
    carries: Carries
    until: int | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a channel is built from, in its sender's process.

    Attributes:
        database_url: the PostgreSQL server that holds the data; None where SQLite does.
        has_written: whether the person with a phone number has ever written to us.
    """

    settings: Settings
    account: KnownAccount
    database_url: str | None
    has_written: Callable[[str], bool]


class Channel(Protocol):
    """Carries messages for one sender."""

    checks_numbers: bool
    """Whether `has_account` is worth asking (and remembering) before a first send."""

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Begin to connect and return at once; progress arrives as events."""

    def has_account(self, phone: str) -> bool:
        """Ask whether a number can be reached here.

        Raises TransientFailure or Snoozed where no answer is to be had.
        """

    def send(self, phone: str, text: str) -> str:
        """Hand a message over and return the provider's id for it.

        Raises PermanentFailure, TransientFailure or Snoozed.
        """

    def pair_by_phone(self, phone: str) -> str:
        """Return the code to type on the phone with this number. Raises CommandFailed."""

    def log_out(self) -> None:
        """Unlink the device; a Restart follows. Raises CommandFailed."""

    def stop(self) -> None:
        """Disconnect; called once, last."""
