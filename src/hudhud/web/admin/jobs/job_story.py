"""A job with everything that its page shows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from hudhud.auth import api_keys
from hudhud.channels.registry import ChannelType, channel_type
from hudhud.db.tables import verifications
from hudhud.messages import listing, states, timeline
from hudhud.messages.listing import Job
from hudhud.messages.templates.catalog import with_code
from hudhud.messages.text_store import MASK
from hudhud.messages.timeline import Step
from hudhud.verification.cancellations import Cancellation, cancellation


@dataclass(frozen=True, slots=True)
class JobStory:
    """The page's content; `key` is the name of the API key, if one asked for it."""

    job: Job
    body: str
    channel: ChannelType
    key: str | None
    request_id: str | None
    steps: list[Step]
    verification: Row[Any] | None
    cancellation: Cancellation | None


def read(connection: Connection, number: int, *, now: int) -> JobStory | None:
    """Return the story of a job, or None if there is no such job."""
    job = listing.find(connection, number, now=now)
    row = states.find(connection, number)
    if job is None or row is None:
        return None
    verification = connection.execute(
        select(verifications).where(verifications.c.id == row.verification_id)
    ).first()
    return JobStory(
        job=job,
        body=with_code(row.body, MASK),
        channel=channel_type(row.channel),
        key=None if verification is None else api_keys.name_of(connection, verification.api_key),
        request_id=row.request_id,
        steps=timeline.steps_of(connection, row),
        verification=verification,
        cancellation=None if verification is None else cancellation(connection, verification),
    )
