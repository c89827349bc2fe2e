"""The messages that a sender may claim.

The statements are built once: to build them for each claim would take longer than to run them.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    exists,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from hudhud.db.tables import contacts, messages
from hudhud.messages.states import QUEUED, SENDING, next_step_at
from hudhud.senders import records

# A message with less validity left is not sent: it would arrive too late to be typed.
LAST_CALL_MS: Final = 1000
_NOW: BindParameter[int] = bindparam("b_now", type_=BigInteger)


class Claimable:
    """Due messages that fulfil conditions with the parameter `named`.

    `look` selects the id of one; `take` claims `b_most` for `b_sender` until `b_lease`.
    """

    def __init__(self, named: str, *conditions: ColumnElement[bool]) -> None:
        self._named = named
        due = select(messages.c.id).where(
            messages.c.status == QUEUED,
            messages.c.available_at <= _NOW,
            messages.c.expires_at > _NOW + LAST_CALL_MS,
            *conditions,
        )
        self.look = due.limit(1)
        self.take = _taking(due)

    def values(self, *, channel: str, sender: str, now: int) -> Mapping[str, object]:
        """Return the values of the conditions."""
        every = {"b_channel": channel, "b_name": records.name_in(sender)}
        return {"b_now": now, self._named: every[self._named]}


def _taking(due: Select[int]) -> ReturningUpdate[Any]:
    due = due.order_by(messages.c.available_at, messages.c.id).limit(bindparam("b_most"))
    # A CTE runs once; some PostgreSQL plans run a subquery for each row, and so exceed the limit.
    chosen = due.with_for_update(skip_locked=True).cte("chosen")
    return (
        update(messages)
        .where(messages.c.id.in_(select(chosen.c.id)))
        .values(
            status=SENDING,
            sender=bindparam("b_sender"),
            attempts=messages.c.attempts + 1,
            sending_at=next_step_at(_NOW),
            lease_expires_at=bindparam("b_lease"),
        )
        .returning(
            messages.c.id,
            messages.c.verification_id,
            messages.c.phone,
            messages.c.body,
            messages.c.attempts,
            messages.c.expires_at,
            messages.c.request_id,
        )
    )


_OF_CHANNEL = (messages.c.channel == bindparam("b_channel"), messages.c.only_sender.is_(None))
_HAS_WRITTEN = exists().where(
    contacts.c.phone == messages.c.phone, contacts.c.wrote_at.is_not(None)
)

# Answers in chats that people began with this sender. No condition on the channel: SQLite would use
# its index and scan the whole queue.
ANSWERS: Final = Claimable("b_name", messages.c.only_sender == bindparam("b_name"))
TO_EVERYONE: Final = Claimable("b_channel", *_OF_CHANNEL)
TO_KNOWN: Final = Claimable("b_channel", *_OF_CHANNEL, _HAS_WRITTEN)


def in_order(*, only_known: bool) -> tuple[Claimable, Claimable]:
    """Return the messages in the order of their claims; `only_known` people wrote to us first."""
    return ANSWERS, TO_KNOWN if only_known else TO_EVERYONE
