"""Actions of admins on jobs: retry failed jobs, cancel queued ones.

Each change is conditional. If another process was faster, the result describes the job's new state.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from hudhud.core.stored_sentences import columns
from hudhud.db.tables import messages, verifications
from hudhud.messages import contacts, counters, listing, timeline
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.listing import JobRefusal
from hudhud.messages.states import CANCELED, FAILED, QUEUED, next_step_at
from hudhud.verification import lifecycle

AT_ONCE = 500

JobActionResult = Literal["done", "unknown"] | JobRefusal


def retry(connection: Connection, number: int, *, who: str, now: int) -> JobActionResult:
    """Requeue a failed job with attempts reset, if its code is valid."""
    if _queue_again(connection, [number], who=who, now=now):
        return "done"
    job = listing.find(connection, number, now=now)
    if job is None:
        return "unknown"
    return job.refusal or "not_failed"


def retry_all(
    connection: Connection, *, who: str, now: int, most: int | None, at_once: int = AT_ONCE
) -> int:
    """Requeue failed jobs with valid codes, newest first; return how many.

    `most` is the room in the queue, None without a bound; `at_once` is the number of jobs per
    statement.
    """
    newest = retryable(now).order_by(messages.c.id.desc()).limit(most)
    ids = connection.scalars(newest).all()
    groups = (ids[start : start + at_once] for start in range(0, len(ids), at_once))
    return sum(_queue_again(connection, group, who=who, now=now) for group in groups)


def retryable(now: int) -> Select[int]:
    """Select the failed jobs whose codes are still valid."""
    return select(messages.c.id).where(_can_be_retried(now))


def count_retryable(connection: Connection, *, now: int) -> int:
    """Count the failed jobs whose codes are still valid."""
    return connection.scalar(select(func.count()).select_from(retryable(now).subquery())) or 0


def cancel(connection: Connection, number: int, *, who: str, now: int) -> JobActionResult:
    """Cancel a queued job, and its verification unless another job remains."""
    of_job = select(messages.c.verification_id).where(messages.c.id == number)
    verification = connection.scalar(of_job)
    lifecycle.lock(connection, [verification] if verification else [])
    canceled = connection.execute(
        update(messages)
        .where(messages.c.id == number, messages.c.status == QUEUED)
        .values(status=CANCELED, finished_at=next_step_at(now))
    ).rowcount
    if not canceled:
        return "unknown" if listing.find(connection, number, now=now) is None else "not_queued"
    lifecycle.cancel_uncarried(connection, [verification] if verification else [], now=now)
    timeline.keep_intervention(connection, [number], kind="canceled", at=now, who=who)
    moved = {QUEUED: -1, CANCELED: 1}
    counters.add(connection, now=now, moved=moved, happened={"canceled": 1})
    return "done"


def _queue_again(connection: Connection, ids: Sequence[int], *, who: str, now: int) -> int:
    chosen = and_(messages.c.id.in_(ids), _can_be_retried(now))
    of_these = select(messages.c.verification_id).where(chosen)
    verification_ids = [one for one in connection.scalars(of_these) if one is not None]
    lifecycle.lock(connection, verification_ids)
    found = select(messages.c.id, messages.c.finished_at).where(chosen).with_for_update()
    failed_at = {row.id: row.finished_at for row in connection.execute(found)}
    if not failed_at:
        return 0
    held = list(failed_at)
    failed = select(messages.c.id).where(messages.c.id.in_(held))
    timeline.keep_failures(connection, failed)
    connection.execute(
        update(messages)
        .where(messages.c.id.in_(held))
        .values(
            status=QUEUED,
            attempts=0,
            available_at=now,
            sender=None,
            **columns("error", None),
            error_key=None,
            finished_at=None,
        )
    )
    lifecycle.reopen(connection, verification_ids)
    timeline.keep_intervention(connection, held, kind="retried", at=now, who=who)
    contacts.ask_again(connection, jobs=held)
    count = len(held)
    counters.add(connection, now=now, moved={FAILED: -count, QUEUED: count})
    _take_back_failures(connection, failed_at.values())
    return count


def _take_back_failures(connection: Connection, times: Iterable[int]) -> None:
    """Undo the failure counts of messages that are retried."""
    minute = counters.UNIT_MS["minute"]
    failures = Counter(at - at % minute for at in times)
    for at in sorted(failures):
        counters.add(connection, now=at, moved={}, happened={"failed": -failures[at]})


def _can_be_retried(now: int) -> ColumnElement[bool]:
    has_code = exists().where(
        verifications.c.id == messages.c.verification_id,
        verifications.c.code_sealed.is_not(None),
    )
    in_time = messages.c.expires_at > now + LAST_CALL_MS
    # SQLite uses the index of failed messages only for a literal.
    is_failed = messages.c.status == literal_column(f"'{FAILED}'")
    return and_(is_failed, in_time, or_(has_code, listing.needs_no_code))
