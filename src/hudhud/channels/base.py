"""The interface of channels: a few methods, and emitted events.

A channel runs in its sender's process. The worker calls it from one thread. It emits events from
any thread, and their handler must not block.
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
    """A sender's new state, with details for the admin.

    `carries` is to whom it can send: a restricted account may still reach people who wrote to it
    first (`known`). From `until` on, one message probes whether the restriction has ended.
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
class Account:
    """WhatsApp's names of a person: a phone number and a LID; either may be unknown.

    The phone number can differ from the one that people use now, after a renumbering.
    """

    phone: str | None
    lid: str | None

    @property
    def names(self) -> frozenset[str]:
        """The known names; accounts that share one are the same."""
        return frozenset(name for name in (self.phone, self.lid) if name is not None)


# An account of which only the existence is known, or not even that.
UNNAMED: Final = Account(None, None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An account received or read a message at `at` (milliseconds)."""

    provider_message_id: str
    kind: ReceiptKind
    at: int
    account: Account = UNNAMED


@dataclass(frozen=True, slots=True)
class Written:
    """An account wrote to the sender at `at` (milliseconds)."""

    provider_message_id: str
    account: Account
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person's message to the sender; `phone` is in the form in which it is kept."""

    provider_message_id: str
    phone: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The channel needs a new process; `forget_device` is set after a logout."""

    reason: str
    forget_device: bool = False


ChannelEvent = StateReport | Receipt | Written | Restart


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """The last report of a sender's earlier processes; see `StateReport`."""

    sender: str
    device: str | None
    carries: Carries
    until: int | None


@dataclass(frozen=True, slots=True)
class ChannelParts:
    """The arguments of a channel's constructor.

    Attributes:
        database_url: the PostgreSQL address; None with SQLite.
        has_written: whether the person with a phone number has ever written to us.
    """

    settings: Settings
    account: KnownAccount
    database_url: str | None
    has_written: Callable[[str], bool]


class Channel(Protocol):
    """Transport of one sender's messages."""

    checks_numbers: bool
    """Whether to call `find_account` (and store the answer) before a first send."""

    def start(self, emit: Callable[[ChannelEvent], None]) -> None:
        """Start connecting and return at once; emit progress as events."""

    def find_account(self, phone: str) -> Account | None:
        """Return a number's account, or None if it has none.

        Raises TransientFailure or Snoozed if there is no answer.
        """

    def send(self, phone: str, account: Account, text: str) -> str:
        """Hand a message to a number's account over and return the provider's id of it.

        `account` is the last answer of `find_account`, or `UNNAMED` if that is not called.
        Raises NoAccount if the account does not exist (any more), other PermanentFailure,
        TransientFailure or Snoozed.
        """

    def pair_by_phone(self, phone: str) -> str:
        """Return the code to type on this phone. Raises CommandFailed."""

    def log_out(self) -> None:
        """Unlink the device; a Restart follows. Raises CommandFailed."""

    def stop(self) -> None:
        """Disconnect; called once, as the last method."""
