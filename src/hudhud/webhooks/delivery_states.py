"""States of webhook deliveries, and outcomes of attempts."""

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
    """A delivery that only this process may attempt until `lease` (milliseconds).

    `secrets_sealed` are the signing secrets; `attempts` counts the previous attempts.
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
    """The receiver accepted the event at `at` (milliseconds)."""

    claimed: ClaimedWebhook
    status: int
    at: int


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """The attempt failed; `retry_at` is None after the last attempt."""

    claimed: ClaimedWebhook
    status: int | None
    error: Sentence
    retry_at: int | None
    at: int


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt was interrupted; another machine may start at once."""

    claimed: ClaimedWebhook
    at: int


WebhookOutcome = Delivered | NotDelivered | Released


def is_final(outcome: WebhookOutcome) -> bool:
    """Return whether no further attempt follows."""
    if isinstance(outcome, NotDelivered):
        return outcome.retry_at is None
    return isinstance(outcome, Delivered)


@dataclass(frozen=True, slots=True)
class NextDue:
    """Due time of an endpoint's next delivery, and whether deliveries are failing."""

    endpoint_id: int
    at: int | None
    is_failing: bool
