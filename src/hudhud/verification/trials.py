"""The admin's test codes: sent from the dashboard, and checked where they were asked for.

They belong to the owner `ADMIN`, so no key sees them and no key's webhook reports them. The limits
of the settings apply. Success rate and conversion leave them out (`messages/trial_traffic.py`,
`auth/api_keys.py`), because an operator's tests say nothing about the users.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select

from hudhud.auth.caller import ADMIN, Caller
from hudhud.core.clock import HOUR_MS
from hudhud.core.phones import Phone
from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import stored
from hudhud.db.tables import messages, verifications
from hudhud.verification.accept import Acceptor
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.ids import first_id_since
from hudhud.verification.lifecycle import APPROVED, PENDING, Status
from hudhud.verification.new_verification import Accepted, SendRequest
from hudhud.verification.start import VerificationStarter

CALLER: Final = Caller(ADMIN, ADMIN, frozenset({"send", "verify"}), hides_code=True)
# How long the newest test code is shown.
SHOWN_MS: Final = HOUR_MS
# With more jobs than these, an installation is no longer fresh, with any key.
MOST_WHILE_FRESH: Final = 20

_NEWEST: Select[Any] = (
    select(
        messages,
        verifications.c.status.label("verification_status"),
        verifications.c.expires_at.label("code_expires_at"),
    )
    .join(verifications, verifications.c.id == messages.c.verification_id)
    .where(verifications.c.api_key == ADMIN)
    .order_by(messages.c.id.desc())
    .limit(1)
)
_OF_ADMIN: Select[int] = (
    select(func.count())
    .select_from(messages)
    .join(verifications, verifications.c.id == messages.c.verification_id)
    .where(verifications.c.api_key == ADMIN)
)


@dataclass(frozen=True, slots=True)
class Trial:
    """The newest test code, without the code; times in milliseconds.

    `delivery` is the exact status of its message, `is_valid` whether it can still be checked.
    """

    job: int
    phone: str
    delivery: str
    error: Sentence | None
    status: Status
    is_valid: bool
    created_at: int
    delivered_at: int | None

    @property
    def is_approved(self) -> bool:
        """Whether the right code was typed."""
        return self.status == APPROVED


class Trials:
    """Sends test codes through the queue of all codes, and checks them."""

    def __init__(
        self, starter: VerificationStarter, acceptor: Acceptor, checker: CodeChecker
    ) -> None:
        self._starter = starter
        self._acceptor = acceptor
        self._checker = checker

    def send(self, connection: Connection, phone: Phone, *, request_id: str, now: int) -> Accepted:
        """Queue a test code. Raises NotAllowed, TooMany or QueueUnavailable."""
        request = SendRequest(phone)
        new = self._starter.make(request, caller=CALLER, request_id=request_id, now=now)
        (result,) = self._acceptor.write(connection, [new])
        if isinstance(result, Exception):
            raise result
        return result

    def check(self, connection: Connection, *, job: int, typed: str) -> Checked:
        """Check the code that arrived. Raises Refused, also for a job of others."""
        check = Check(CALLER, typed, job_id=job)
        (result,) = self._checker.write(connection, [check])
        if isinstance(result, Exception):
            raise result
        return result


def newest(connection: Connection, *, now: int) -> Trial | None:
    """Return the newest test code, unless it is older than `SHOWN_MS`."""
    recent = _NEWEST.where(verifications.c.id >= first_id_since(now - SHOWN_MS))
    row = connection.execute(recent).first()
    return None if row is None else _trial(row, now)


def phone_of(connection: Connection, job: int) -> str | None:
    """Return the number that a test code was sent to; None for other jobs."""
    row = connection.execute(_NEWEST.where(messages.c.id == job)).first()
    return None if row is None else row.phone


def is_fresh(connection: Connection, *, jobs: int, has_sent: bool) -> bool:
    """Return whether nothing but test codes was asked for, and none was typed correctly yet.

    `jobs` is the number of all stored jobs; `has_sent` whether a sender ever sent a message, which
    tells an installation whose jobs were deleted from a new one.
    """
    if jobs == 0:
        return not has_sent
    if jobs > MOST_WHILE_FRESH or connection.scalar(_OF_ADMIN) != jobs:
        return False
    approved = select(verifications.c.id).where(
        verifications.c.api_key == ADMIN, verifications.c.status == APPROVED
    )
    return connection.execute(approved.limit(1)).first() is None


def _trial(row: Row[Any], now: int) -> Trial:
    return Trial(
        job=row.id,
        phone=row.phone,
        delivery=row.status,
        error=stored(row, "error"),
        status=row.verification_status,
        is_valid=row.verification_status == PENDING and row.code_expires_at > now,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
    )
