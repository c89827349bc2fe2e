"""The timeline of a message: its steps, for admins.

Most steps are read from the message's row. The table `message_steps` has the others: earlier
attempts, whose columns the next attempt overwrites, and the actions of admins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, literal, select

from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import columns, stored
from hudhud.db.tables import message_steps, messages
from hudhud.messages.states import CANCELED, EXPIRED, QUEUED

Kept = Literal["attempt_failed", "put_off", "attempt_lost", "retried", "canceled"]
StepKind = Literal[
    "accepted", "sending", "sent", "delivered", "read", "failed", "expired", "canceled", Kept
]
# Ended while queued: the last attempt, if any, is in `message_steps` and not in the row.
_ENDED_WAITING = (EXPIRED, CANCELED)
_BY_A_PERSON = ("retried", "canceled")
_COLUMNS = ("message_id", "kind", "at", "began_at", "attempt", "sender", *columns("text", None))
_OWN_ERROR = tuple(messages.c[name] for name in columns("error", None))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a message: when (`at`, milliseconds), why, and by whom."""

    kind: StepKind
    at: int
    attempt: int | None = None
    sender: str | None = None
    error: Sentence | None = None
    who: str | None = None


def keep_attempts(
    connection: Connection,
    which: Select[Any],
    *,
    kind: Kept,
    at: int,
    error: Sentence | None,
) -> None:
    """Store the attempts of the selected messages before their rows change.

    `which` selects message ids; the attempts ended at `at` because of `error`.
    """
    ended = literal(at, message_steps.c.at.type)
    values = columns("text", error)
    why = [literal(values[name], message_steps.c[name].type) for name in values]
    _keep(connection, which, kind, ended, why)


def keep_failures(connection: Connection, which: Select[Any]) -> None:
    """Store the last attempts of failed messages, with their errors."""
    _keep(connection, which, "attempt_failed", messages.c.finished_at, _OWN_ERROR)


def _keep(
    connection: Connection,
    which: Select[Any],
    kind: Kept,
    ended: ColumnElement[Any],
    why: Sequence[ColumnElement[Any]],
) -> None:
    attempts = select(
        messages.c.id,
        literal(kind),
        ended,
        messages.c.sending_at,
        messages.c.attempts,
        messages.c.sender,
        *why,
    ).where(messages.c.id.in_(which))
    connection.execute(message_steps.insert().from_select(list(_COLUMNS), attempts))


def keep_intervention(
    connection: Connection, ids: Sequence[int], *, kind: Kept, at: int, who: str
) -> None:
    """Store an action of an admin on messages."""
    rows = [{"message_id": number, "kind": kind, "at": at, "text": who} for number in ids]
    if rows:
        connection.execute(message_steps.insert(), rows)


def steps_of(connection: Connection, message: Row[Any]) -> list[Step]:
    """Return the steps of a message in order; none is dated before another, whatever the clock."""
    kept = connection.execute(
        select(message_steps)
        .where(message_steps.c.message_id == message.id)
        .order_by(message_steps.c.id)
    ).all()
    steps = [Step("accepted", message.created_at)]
    for row in kept:
        steps.extend(_kept_steps(row))
    steps.extend(_own_steps(message, already=steps[-1]))
    times = accumulate((step.at for step in steps), max)
    return [replace(step, at=at) for step, at in zip(steps, times, strict=True)]


def _kept_steps(row: Row[Any]) -> Iterator[Step]:
    if row.began_at is not None:
        yield Step("sending", row.began_at, row.attempt, row.sender)
    if row.kind in _BY_A_PERSON:
        yield Step(row.kind, row.at, row.attempt, row.sender, who=row.text)
    else:
        yield Step(row.kind, row.at, row.attempt, row.sender, stored(row, "text"))


def _own_steps(message: Row[Any], already: Step) -> Iterator[Step]:
    if message.status == QUEUED:
        return
    if message.sending_at is not None and message.status not in _ENDED_WAITING:
        yield Step("sending", message.sending_at, message.attempts, message.sender)
    times: tuple[tuple[StepKind, int | None], ...] = (
        ("sent", message.sent_at),
        ("delivered", message.delivered_at),
        ("read", message.read_at),
    )
    for kind, at in times:
        if at is not None:
            yield Step(kind, at, sender=message.sender)
    if message.finished_at is not None and already.kind != message.status:
        error = stored(message, "error")
        yield Step(message.status, message.finished_at, sender=message.sender, error=error)
