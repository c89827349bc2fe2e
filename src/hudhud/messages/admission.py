"""Whether what a caller asks for can still arrive in time; what cannot is not accepted."""

from sqlalchemy import Connection

from hudhud.channels.base import SANDBOX
from hudhud.core.errors import QueueUnavailable
from hudhud.core.settings import Settings
from hudhud.db.locks import Lock, lock
from hudhud.messages import queue
from hudhud.messages.queue import Room


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
    return queue.room(
        connection,
        channel=channel,
        mean_gap=settings.mean_send_gap,
        validity=validity,
        now=now,
    )


def full(room: Room) -> QueueUnavailable:
    """Return the error for whom there is no place."""
    return QueueUnavailable("the queue is full", room.retry_after)
