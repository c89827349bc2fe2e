"""Record the outcomes of sends, with what follows from them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from hudhud.messages import queue
from hudhud.messages.counters import Counts
from hudhud.messages.outcomes import Outcome, Sent
from hudhud.senders import records
from hudhud.verification import lifecycle


def record_outcomes(
    connection: Connection,
    *,
    sender: str,
    outcomes: Sequence[Outcome],
    now: int,
    counts_traffic: bool = True,
    counts: Counts | None = None,
) -> None:
    """Record outcomes, and fail verifications without any message left.

    `counts_traffic` includes the outcomes in the charts. If `counts` are given, the caller writes
    them.
    """
    recorded = queue.record(connection, sender=sender, outcomes=outcomes, now=now)
    lifecycle.fail(connection, recorded.failed, now=now)
    recorded.count(connection, now=now, counts_traffic=counts_traffic, counts=counts)


def note_last_sent(connection: Connection, *, sender: str, outcomes: Sequence[Outcome]) -> None:
    """Record when the sender last sent a message, after the messages, as everywhere."""
    times = [outcome.at for outcome in outcomes if isinstance(outcome, Sent)]
    if times:
        records.note_sent(connection, name=records.name_in(sender), at=max(times))
