"""Claimed messages, and the results of sending them."""

from dataclasses import dataclass

from hudhud.core.sentences import Sentence
from hudhud.messages.templates.shipped import CODE_LINE


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that only this sender may send until the lease ends."""

    id: int
    verification_id: str | None  # None for an answer that belongs to no verification
    phone: str
    body: str
    attempts: int
    expires_at: int
    request_id: str | None
    code_sealed: bytes | None

    @property
    def is_void(self) -> bool:
        """Whether its code is erased because the verification has ended."""
        return self.code_sealed is None and CODE_LINE.search(self.body) is not None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the channel accepted at `at` (milliseconds)."""

    message_id: int
    provider_message_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that is not retried, and why."""

    message_id: int
    error: Sentence
    at: int


class Misaddressed(Failed):
    """A message to the sender's own number, which the charts leave out."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A requeued message, which may be claimed again from `available_at`."""

    message_id: int
    available_at: int
    error: Sentence | None
    spends_attempt: bool


Outcome = Sent | Failed | Returned
