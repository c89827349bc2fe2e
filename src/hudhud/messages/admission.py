"""Room in the queue: how many more messages can arrive in time; `accept.py` refuses others."""

import math
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from hudhud.channels.registry import channel_type
from hudhud.core.errors import QueueUnavailable
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import messages
from hudhud.messages.states import QUEUED
from hudhud.senders import records


class Room(NamedTuple):
    """How many messages wait, at most as many as matter, and the seconds that each takes."""

    waiting: int
    gap: float

    def places(self, validity: float) -> int:
        """Return how many messages more can arrive within `validity` seconds."""
        return max(0, math.floor(validity / self.gap) + 1 - self.waiting)

    @property
    def retry_after(self) -> int:
        """After how many seconds a place is free."""
        return max(1, math.ceil(self.gap))


def room(
    connection: Connection,
    *,
    channel: str,
    mean_gap: float,
    validity: float,
    now: int,
) -> Room | None:
    """Return the room that the channel's senders have for codes valid for at most `validity` s.

    `mean_gap` is the mean of seconds between two messages of one sender. None where the channel
    has no pace. Until the transaction ends nobody else counts: what is
    found here may be filled.
    """
    if mean_gap == 0 or not channel_type(channel).is_paced:
        return None
    lock(connection, Lock.ADMISSION)
    # (messages queued) x (mean gap) / (senders) seconds must not exceed a code's validity.
    gap = mean_gap / max(1, records.count_alive(connection, channel=channel, now=now))
    most = math.floor(validity / gap)  # no more rows are counted than matter
    waiting = (
        select(messages.c.id)
        .where(messages.c.status == QUEUED, messages.c.channel == channel)
        .limit(most + 1)
        .subquery()
    )
    queued = connection.scalar(select(func.count()).select_from(waiting)) or 0
    return Room(queued, gap)


def full(room: Room) -> QueueUnavailable:
    """Return the error for whom there is no place."""
    return QueueUnavailable("the queue is full", room.retry_after)
