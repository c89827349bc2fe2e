"""Response bodies of the API; their field names are the contract."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from hudhud.messages.states import LegacyStatus
from hudhud.verification.lifecycle import Status as VerificationStatus

Delivery = Literal[
    "queued", "sending", "sent", "delivered", "read", "failed", "expired", "canceled"
]


class Accepted(Struct, frozen=True, kw_only=True):
    """A code is stored and will be sent; `otp` may be hidden.

    `locale` is present if the request named a language other than that of the message.
    """

    message: str
    otp: str | UnsetType = UNSET
    jobId: int  # noqa: N815 -- the contract's name
    otp_expires_at: str
    verificationId: str  # noqa: N815 -- the contract's name
    locale: str | UnsetType = UNSET


class Checked(Struct, frozen=True, kw_only=True):
    """Whether the code was right; if it was not, also `attemptsRemaining`.

    `provedNumber` is the number from which, according to WhatsApp, the link's token was sent, and
    `whatsappNumber` is WhatsApp's own form of it.
    """

    valid: bool
    status: VerificationStatus
    verificationId: str  # noqa: N815 -- the contract's name
    attemptsRemaining: int | UnsetType = UNSET  # noqa: N815 -- the contract's name
    provedNumber: str | UnsetType = UNSET  # noqa: N815 -- the contract's name
    whatsappNumber: str | UnsetType = UNSET  # noqa: N815 -- the contract's name


class VerificationJob(Struct, frozen=True):
    """One message that carried the code."""

    jobId: int  # noqa: N815 -- the contract's name
    status: LegacyStatus
    delivery: Delivery
    error: str | None
    created_at: str


class Verification(Struct, frozen=True):
    """A verification; unknown values and times of steps not reached are null."""

    verificationId: str  # noqa: N815 -- the contract's name
    status: VerificationStatus
    reason: str | None
    phoneNumber: str | None  # noqa: N815 -- the contract's name
    provedNumber: str | None  # noqa: N815 -- the contract's name
    whatsappNumber: str | None  # noqa: N815 -- the contract's name
    mode: Literal["send", "reply", "verify"]
    template: str
    locale: str | None
    reference: str | None
    metadata: dict[str, Any] | None
    redirectUrl: str | None  # noqa: N815 -- the contract's name
    attemptsRemaining: int  # noqa: N815 -- the contract's name
    resendsRemaining: int  # noqa: N815 -- the contract's name
    created_at: str
    otp_expires_at: str
    ended_at: str | None
    jobs: list[VerificationJob]


class Verifications(Struct, frozen=True):
    """A page of verifications, newest first; `nextCursor` is null on the last."""

    verifications: list[Verification]
    nextCursor: str | None  # noqa: N815 -- the contract's name


class Resent(Struct, frozen=True):
    """A further message with the code is queued."""

    message: str
    verificationId: str  # noqa: N815 -- the contract's name
    jobId: int  # noqa: N815 -- the contract's name
    otp_expires_at: str
    resendsRemaining: int  # noqa: N815 -- the contract's name


class Job(Struct, frozen=True):
    """The state of a message; a step not reached has no time."""

    jobId: int  # noqa: N815 -- the contract's name
    status: LegacyStatus
    delivery: Delivery
    error: str | None
    attempts: int
    created_at: str
    otp_expires_at: str
    sending_at: str | None
    sent_at: str | None
    delivered_at: str | None
    read_at: str | None
    finished_at: str | None
    verificationId: str | None  # noqa: N815 -- the contract's name


class Welcome(Struct, frozen=True):
    """The answer at the root."""

    message: str
    status: str
    timestamp: str


class Health(Struct, frozen=True):
    """The process is alive."""

    status: Literal["ok"]


class SenderReadiness(Struct, frozen=True):
    """The state of one sender, and whether its process runs."""

    name: str
    state: str
    detail: str | None
    running: bool


class Readiness(Struct, frozen=True):
    """Whether requests can be accepted, and the state of the senders."""

    status: Literal["ready", "not ready"]
    database: str
    migrations: str
    senders: list[SenderReadiness]


class Link(Struct, frozen=True):
    """A link that opens WhatsApp with a text, valid until `otp_expires_at`."""

    verificationId: str  # noqa: N815 -- the contract's name
    whatsappLink: str  # noqa: N815 -- the contract's name
    token: str
    otp_expires_at: str


class SandboxMessage(Struct, frozen=True):
    """A message that the sandbox received instead of a phone."""

    jobId: int  # noqa: N815 -- the contract's name
    phoneNumber: str  # noqa: N815 -- the contract's name
    text: str
    delivery: Delivery
    sent_at: str


class SandboxMessages(Struct, frozen=True):
    """The sandbox's messages to a number, newest first."""

    messages: list[SandboxMessage]
