"""The data of a verification on its way: the request, what is written, the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from hudhud.auth.caller import Caller
from hudhud.core.phones import Phone
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limit, Quota


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What a caller asks for; what it leaves open comes of its key, the country or the settings."""

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
    """A verification that is made but not yet stored; `code` leaves memory only sealed."""

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
        """Whether the answer leaves the code out."""
        return self.request.hides_code or self.caller.hides_code

    @property
    def validity(self) -> float:
        """The seconds for which the code is good."""
        return (self.expires_at - self.created_at) / 1000

    @property
    def is_conversion(self) -> bool:
        """Whether it counts for the habit of its country: its code is checked here, in earnest."""
        return self.caller.may("verify") and not self.caller.is_test

    @property
    def kind(self) -> tuple[str, str, str]:
        """What a newer one of the same replaces."""
        return self.request.phone.number, self.caller.owner, self.template


@dataclass(frozen=True, slots=True)
class Accepted:
    """A verification that is on disk; `code` is None where the caller is not to see it."""

    verification_id: str
    message_id: int
    code: str | None
    expires_at: int
    quota: Quota = NO_LIMITS
    is_repeated: bool = False
