"""Why a message was canceled: read from the verification that ended before it was sent."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, or_, select

from hudhud.db.tables import messages, verifications
from hudhud.messages import whatsapp_accounts
from hudhud.verification.lifecycle import APPROVED, CANCELED, EXPIRED, MAX_ATTEMPTS_REACHED, Reason

Cause = Literal["used", "wrong_codes", "expired", Reason]

_ENDED: Final[dict[str, Cause]] = {
    APPROVED: "used",
    MAX_ATTEMPTS_REACHED: "wrong_codes",
    EXPIRED: "expired",
}


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Why a message was canceled; `job` is the message that superseded it, if any."""

    cause: Cause
    job: int | None = None


def cancellation(connection: Connection, verification: Row[Any]) -> Cancellation | None:
    """Return why the messages of a verification were canceled; None while it has not ended."""
    if verification.status != CANCELED:
        cause = _ENDED.get(verification.status)
        return None if cause is None else Cancellation(cause)
    if verification.reason == "superseded":
        return Cancellation("superseded", _job_of_successor(connection, verification))
    return Cancellation(verification.reason)


def _job_of_successor(connection: Connection, verification: Row[Any]) -> int | None:
    """Return the first message of the verification that superseded this one.

    The next of this person, key and template, apart from those that the same send superseded.
    """
    successor = (
        select(verifications.c.id)
        .where(
            verifications.c.phone.in_(whatsapp_accounts.all_forms(connection, verification.phone)),
            verifications.c.api_key == verification.api_key,
            verifications.c.template == verification.template,
            verifications.c.link_mode.is_(None),  # a link supersedes no code
            verifications.c.id > verification.id,
            or_(
                verifications.c.ended_at.is_(None),
                verifications.c.ended_at > verification.ended_at,
            ),
        )
        .order_by(verifications.c.id)
        .limit(1)
    )
    first = select(messages.c.id).where(messages.c.verification_id == successor.scalar_subquery())
    return connection.scalar(first.order_by(messages.c.id).limit(1))
