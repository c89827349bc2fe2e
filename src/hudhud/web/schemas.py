"""The bodies that the API answers with; their field names are the contract."""

from typing import Literal

from msgspec import Struct

from hudhud.messages import LegacyStatus

Delivery = Literal[
    "queued", "sending", "sent", "delivered", "read", "failed", "expired", "canceled"
]


class Accepted(Struct, frozen=True):
    """A code is stored and will be sent."""

    message: str
    otp: str
    jobId: int  # noqa: N815 -- the contract's name
    otp_expires_at: str


class Message(Struct, frozen=True):
    """A sentence for the caller's developer."""

    message: str


class NotFound(Struct, frozen=True):
    """There is nothing at this address."""

    error: str
    message: str


class Job(Struct, frozen=True):
    """What became of a message; a step that has not happened has no time."""

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
    """Whether requests can be accepted, and the senders beside it."""

    status: Literal["ready", "not ready"]
    database: str
    migrations: str
    senders: list[SenderReadiness]


class SandboxMessage(Struct, frozen=True):
    """A message that the sandbox took instead of sending it."""

    jobId: int  # noqa: N815 -- the contract's name
    phoneNumber: str  # noqa: N815 -- the contract's name
    text: str
    delivery: Delivery
    sent_at: str


class SandboxMessages(Struct, frozen=True):
    """What the sandbox holds for a number, newest first."""

    messages: list[SandboxMessage]
