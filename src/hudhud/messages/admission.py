"""Admission to the queue: refuse what could not arrive in time."""

import math
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from hudhud.channels.base import SANDBOX
from hudhud.core.errors import QueueUnavailable
from hudhud.core.settings import Settings
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
    settings: Settings,
    *,
    channel: str,
    validity: float,
    now: int,
) -> Room | None:
    """Return the room that the channel's senders have for codes valid for at most `validity` s.

    None where the channel has no pace. Until the transaction ends nobody else counts: what is
    found here may be filled.
    """
    if channel == SANDBOX:
        return None
    if settings.mean_send_gap > 0:
        lock(connection, Lock.ADMISSION)
    return _counted(
        connection,
        channel=channel,
        mean_gap=settings.mean_send_gap,
        validity=validity,
        now=now,
    )


def _counted(
    connection: Connection, *, channel: str, mean_gap: float, validity: float, now: int
) -> Room | None:
    """Return what waits and what it takes, or None where there is no pace.

    What waits takes (messages queued) x `mean_gap` / (senders) seconds; that must not be longer
    than a code is valid. No more rows are counted than matter for `validity` seconds.
    """
    if mean_gap == 0:
        return None
    carriers = max(1, records.count_alive(connection, channel=channel, now=now))
    gap = mean_gap / carriers
    most = math.floor(validity / gap)
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
