"""Refuse codes for strangers that would end before a restricted sender may write to them."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from hudhud.core.errors import SenderRestricted
from hudhud.messages import contacts
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.senders.carriers import Restriction


class Addressed(NamedTuple):
    """A code's number, and the end of its validity in milliseconds."""

    phone: str
    expires_at: int


def refuse(
    connection: Connection,
    restriction: Restriction | None,
    codes: Mapping[str, Addressed],
    *,
    now: int,
) -> dict[str, SenderRestricted]:
    """Return the errors of codes that cannot arrive, by verification id.

    People who wrote first are not refused.
    """
    if restriction is None:
        return {}
    begins = restriction.until + LAST_CALL_MS
    late = {one: code.phone for one, code in codes.items() if code.expires_at <= begins}
    known = contacts.that_wrote(connection, late.values()) if late else frozenset()
    return {
        one: SenderRestricted(restriction.until, now=now, reaches_known=restriction.reaches_known)
        for one, phone in late.items()
        if phone not in known
    }
