"""Data classes of a new verification: request, stored data and answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from hudhud.auth import api_keys
from hudhud.auth.caller import Caller
from hudhud.core.phones import Phone
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limit, Quota


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A caller's request; defaults come from the key, country or settings."""

    phone: Phone
    locale: str | None = None
    template: str | None = None
    length: int | None = None
    ttl_seconds: int | None = None
    code: str | None = None
    reference: str | None = None
    metadata_json: str | None = None
    hides_code: bool = False
    client_ip: str | None = None
    idempotent: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class NewVerification:
    """A verification that is not stored yet; `code` is stored only sealed."""

    id: str
    request: SendRequest
    caller: Caller
    code: str
    code_digest: bytes
    code_index: bytes
    code_sealed: bytes
    template: str
    locale: str
    body: str
    channel: str
    limits: Sequence[Limit]
    request_id: str
    created_at: int
    expires_at: int

    @property
    def hides_code(self) -> bool:
        """Whether the answer omits the code."""
        return self.request.hides_code or self.caller.hides_code

    @property
    def validity(self) -> float:
        """Validity of the code in seconds."""
        return (self.expires_at - self.created_at) / 1000

    @property
    def is_conversion(self) -> bool:
        """Whether its start counts towards conversion: checked here, and not a test."""
        return self.caller.checks_codes_here and not api_keys.only_tests(self.caller.owner)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored verification; `code` is None if the answer omits it."""

    verification_id: str
    message_id: int
    code: str | None
    locale: str | None
    expires_at: int
    quota: Quota = NO_LIMITS
    is_repeated: bool = False
