"""Admission control: how many more messages can arrive in time."""

import math
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from hudhud.channels.registry import channel_type
from hudhud.core.errors import QueueUnavailable
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import messages
from hudhud.messages.states import QUEUED


class Room(NamedTuple):
    """Queued messages, counted up to the limit, and the seconds per message."""

    waiting: int
    gap: float

    def places(self, validity: float) -> int:
        """Return how many more messages can arrive within `validity` seconds."""
        return max(0, math.floor(validity / self.gap) + 1 - self.waiting)

    @property
    def retry_after(self) -> int:
        """Seconds until there is room for one more message."""
        return max(1, math.ceil(self.gap))


def room(
    connection: Connection,
    *,
    channel: str,
    senders: int,
    mean_gap: float,
    validity: float,
) -> Room | None:
    """Return the room for codes valid for at most `validity` seconds.

    `senders` is the number of senders with a lease, `mean_gap` the mean number of seconds between
    two messages of one of them. Returns None if the channel has no pace. The lock serialises
    callers until the transaction ends, so the caller may fill the room that it gets.
    """
    if mean_gap == 0 or not channel_type(channel).is_paced:
        return None
    lock(connection, Lock.ADMISSION)
    # (messages queued) x (mean gap) / (senders) seconds must not exceed a code's validity.
    gap = mean_gap / max(1, senders)
    most = math.floor(validity / gap)  # counting further rows would not change the answer
    waiting = (
        select(messages.c.id)
        .where(messages.c.status == QUEUED, messages.c.channel == channel)
        .limit(most + 1)
        .subquery()
    )
    queued = connection.scalar(select(func.count()).select_from(waiting)) or 0
    return Room(queued, gap)


def full(room: Room) -> QueueUnavailable:
    """Return the error for requests beyond the room in the queue."""
    return QueueUnavailable("the queue is full", room.retry_after)
