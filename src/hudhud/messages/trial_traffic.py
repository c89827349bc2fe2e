"""The part of the traffic that judges nothing: test codes that the admin sent.

The charts show them, because they are sent like all others. The success rate, the delivery times
and the verdict leave them out. They are few, so they are read from their own rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select

from hudhud.auth.caller import ADMIN
from hudhud.core.clock import DAY_MS
from hudhud.db.tables import messages, verifications
from hudhud.messages import counters
from hudhud.messages.states import EXPIRED, FAILED, SENT

# A phone that was off takes a code days later, which the traffic counts on that day.
LATEST_MS: Final = 7 * DAY_MS
# The failure of a message to the sender's own number is not counted (`outcomes.Misaddressed`).
_UNCOUNTED: Final = "job.own_number"

_ROWS: Select[Any] = (
    select(
        messages.c.status,
        messages.c.created_at,
        messages.c.sent_at,
        messages.c.delivered_at,
        messages.c.finished_at,
    )
    .join(verifications, verifications.c.id == messages.c.verification_id)
    .where(
        verifications.c.api_key == ADMIN,
        func.coalesce(messages.c.error_code, "") != _UNCOUNTED,
    )
)


@dataclass(frozen=True, slots=True)
class TrialTraffic:
    """Test codes of a period: ended, delivered, and deliveries by bucket of their time."""

    ended: int
    delivered: int
    times: Mapping[int, int]


def read(connection: Connection, *, since: int) -> Sequence[Row[Any]]:
    """Return the rows of test codes that may count in a period from `since`."""
    return connection.execute(_ROWS.where(verifications.c.created_at >= since - LATEST_MS)).all()


def summed(rows: Sequence[Row[Any]], *, begin: int, still_on_the_way: int) -> TrialTraffic:
    """Add up the rows from `begin`; a message sent since `still_on_the_way` may still arrive."""
    sent = [
        row
        for row in rows
        if (row.sent_at or 0) >= begin
        and not (row.status == SENT and row.sent_at > still_on_the_way)
    ]
    failed = [
        row for row in rows if row.status in (FAILED, EXPIRED) and (row.finished_at or 0) >= begin
    ]
    arrived = [row for row in rows if (row.delivered_at or 0) >= begin]
    times = Counter(counters.bucket(row.delivered_at - row.created_at) for row in arrived)
    return TrialTraffic(len(sent) + len(failed), len(arrived), times)
