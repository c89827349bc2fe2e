"""The way of one message, step by step, as an admin reads it.

Most of it stands in the message's own row. `message_steps` keeps the rest: attempts that came to
nothing, whose traces the next attempt overwrites, and what admins did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, literal, select

from hudhud.db.tables import message_steps, messages
from hudhud.messages import CANCELED, EXPIRED, QUEUED

Kept = Literal["attempt_failed", "put_off", "attempt_lost", "retried", "canceled"]
Kind = Literal[
    "accepted", "sending", "sent", "delivered", "read", "failed", "expired", "canceled", Kept
]
# What ended waiting: its last attempt, where there was one, is kept and not the row's own.
_ENDED_WAITING = (EXPIRED, CANCELED)
_COLUMNS = ("message_id", "kind", "at", "began_at", "attempt", "sender", "text")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a message at `at` milliseconds; `text` is an error or a person."""

    kind: Kind
    at: int
    attempt: int | None = None
    sender: str | None = None
    text: str | None = None


def keep_attempts(
    connection: Connection,
    which: Select[Any],
    *,
    kind: Kept,
    at: int | ColumnElement[Any],
    text: str | ColumnElement[Any] | None,
) -> None:
    """Keep the attempts of the messages whose ids `which` selects, before their rows change.

    They ended at `at` because of `text`; either can be a column of the messages.
    """
    ended = at if isinstance(at, ColumnElement) else literal(at, message_steps.c.at.type)
    error = text if isinstance(text, ColumnElement) else literal(text, message_steps.c.text.type)
    attempts = select(
        messages.c.id,
        literal(kind),
        ended,
        messages.c.sending_at,
        messages.c.attempts,
        messages.c.sender,
        error,
    ).where(messages.c.id.in_(which))
    connection.execute(message_steps.insert().from_select(list(_COLUMNS), attempts))


def keep_intervention(
    connection: Connection, ids: Sequence[int], *, kind: Kept, at: int, who: str
) -> None:
    """Keep what a person did to messages."""
    rows = [{"message_id": number, "kind": kind, "at": at, "text": who} for number in ids]
    if rows:
        connection.execute(message_steps.insert(), rows)


def of(connection: Connection, message: Row[Any]) -> list[Step]:
    """Return the steps of a message, the first one first."""
    kept = connection.execute(
        select(message_steps)
        .where(message_steps.c.message_id == message.id)
        .order_by(message_steps.c.id)
    ).all()
    steps = [Step("accepted", message.created_at)]
    for row in kept:
        steps.extend(_kept_steps(row))
    steps.extend(_own_steps(message, already=steps[-1]))
    return steps


def _kept_steps(row: Row[Any]) -> Iterator[Step]:
    if row.began_at is not None:
        yield Step("sending", row.began_at, row.attempt, row.sender)
    yield Step(row.kind, row.at, row.attempt, row.sender, row.text)


def _own_steps(message: Row[Any], already: Step) -> Iterator[Step]:
    if message.status == QUEUED:
        return
    if message.sending_at is not None and message.status not in _ENDED_WAITING:
        yield Step("sending", message.sending_at, message.attempts, message.sender)
    times: tuple[tuple[Kind, int | None], ...] = (
        ("sent", message.sent_at),
        ("delivered", message.delivered_at),
        ("read", message.read_at),
    )
    for kind, at in times:
        if at is not None:
            yield Step(kind, at, sender=message.sender)
    if message.finished_at is not None and already.kind != message.status:
        yield Step(message.status, message.finished_at, sender=message.sender, text=message.error)
