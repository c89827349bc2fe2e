"""The results of sending: what a sender claims, and what it reports of it."""

from dataclasses import dataclass

from hudhud.core.sentences import Sentence
from hudhud.messages.templates.shipped import CODE_LINE


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this sender, and no other, may send until its lease ends."""

    id: int
    verification_id: str | None  # None of an answer that belongs to no verification
    phone: str
    body: str
    attempts: int
    expires_at: int
    request_id: str | None
    code_sealed: bytes | None

    @property
    def is_void(self) -> bool:
        """Whether it should carry a code that is erased: its verification has ended."""
        return self.code_sealed is None and CODE_LINE.search(self.body) is not None


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel took a message at `at` milliseconds."""

    message_id: int
    provider_message_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that will not be tried again, and why."""

    message_id: int
    error: Sentence
    at: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that goes back and may be claimed again from `available_at` on."""

    message_id: int
    available_at: int
    error: Sentence | None
    spends_attempt: bool


Outcome = Sent | Failed | Returned
