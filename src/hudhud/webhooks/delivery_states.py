"""The states of a delivery to a webhook, and the outcomes of an attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hudhud.core.sentences import Sentence

WebhookStatus = Literal["pending", "delivered", "failed"]

PENDING: WebhookStatus = "pending"
DELIVERED: WebhookStatus = "delivered"
FAILED: WebhookStatus = "failed"


@dataclass(frozen=True, slots=True)
class ClaimedWebhook:
    """A delivery that this process, and no other, may make until `lease` (milliseconds).

    `secrets_sealed` are those that sign; `attempts` came before this one.
    """

    id: int
    endpoint_id: int
    subject: str
    attempts: int
    lease: int
    url: str
    secrets_sealed: Sequence[bytes]
    event_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it, at milliseconds `at`."""

    claimed: ClaimedWebhook
    status: int
    at: int


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """The attempt failed; `retry_at` is None after the last one."""

    claimed: ClaimedWebhook
    status: int | None
    error: Sentence
    retry_at: int | None
    at: int


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt was broken off: the next machine may begin at once."""

    claimed: ClaimedWebhook
    at: int


WebhookOutcome = Delivered | NotDelivered | Released


def is_final(outcome: WebhookOutcome) -> bool:
    """Tell whether no attempt follows."""
    if isinstance(outcome, NotDelivered):
        return outcome.retry_at is None
    return isinstance(outcome, Delivered)


@dataclass(frozen=True, slots=True)
class NextDue:
    """When the next delivery to an endpoint is due, and whether the last ones failed."""

    endpoint_id: int
    at: int | None
    is_failing: bool
