"""Jobs for the dashboard: filtered, paged and counted (`search.py` finds them)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Row, or_, select

from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import stored
from hudhud.db.tables import messages, verifications
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import USUAL, JobFilter, Search, SearchLimits
from hudhud.messages.states import CANCELED, EXPIRED, FAILED, QUEUED, LegacyStatus, legacy_status
from hudhud.messages.templates.shipped import CODE

MOST_COUNTED = USUAL.most_counted
LARGEST_PAGE = 200

# A retry and a requeued message set `available_at`.
_TIMES = (
    "created_at",
    "available_at",
    "sending_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "finished_at",
)

JobRefusal = Literal["not_failed", "not_queued", "expired", "canceled", "erased"]


@dataclass(frozen=True, slots=True)
class Job:
    """One message with its times in milliseconds.

    `changed_at` is the latest of these times: every change sets one of them. `refusal` is the
    reason why the message cannot be retried.
    """

    id: int
    phone: str
    status: str
    attempts: int
    error: Sentence | None
    sender: str | None
    created_at: int
    expires_at: int
    sent_at: int | None
    delivered_at: int | None
    read_at: int | None
    finished_at: int | None
    changed_at: int
    refusal: JobRefusal | None

    @property
    def legacy_status(self) -> LegacyStatus:
        """The status in the terms of the earlier application."""
        return legacy_status(self.status)

    @property
    def can_cancel(self) -> bool:
        """Whether the message is still queued."""
        return self.status == QUEUED


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, those with an exact id first, then newest first.

    `newer` and `older` are cursors of adjacent pages, `begins_exact` whether an exact id leads.
    """

    jobs: Sequence[Job]
    newer: int | None
    older: int | None
    begins_exact: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """Number of jobs that match a filter, exact up to `most_counted`."""

    count: int
    is_exact: bool


def page(
    connection: Connection,
    cipher: CodeCipher,
    chosen: JobFilter,
    cursor: PageCursor,
    *,
    now: int,
    limits: SearchLimits = USUAL,
) -> tuple[JobPage, Total]:
    """Return one page of the matching jobs, and their total number."""
    search = Search(connection, cipher, chosen, limits)
    return _page(connection, search, cursor, now), _total(search, limits.most_counted)


def newest(connection: Connection, *, now: int, limit: int) -> Sequence[Job]:
    """Return the newest jobs."""
    newest_ids = select(messages.c.id).order_by(messages.c.id.desc()).limit(limit)
    return _jobs(connection, list(connection.scalars(newest_ids)), now)


def find(connection: Connection, number: int, *, now: int) -> Job | None:
    """Return one job, or None."""
    found = _jobs(connection, [number], now)
    return found[0] if found else None


def _page(connection: Connection, search: Search, cursor: PageCursor, now: int) -> JobPage:
    onwards = cursor.after is None
    found = search.ids(replace(cursor, limit=cursor.limit + 1))
    ids = found[: cursor.limit][:: 1 if onwards else -1]
    more = len(found) > cursor.limit
    has_newer = more if not onwards else cursor.before is not None or cursor.skip > 0
    has_older = more if onwards else True
    return JobPage(
        jobs=_jobs(connection, ids, now),
        newer=ids[0] if ids and has_newer else None,
        older=ids[-1] if ids and has_older else None,
        begins_exact=bool(ids) and search.is_exact(ids[0]),
    )


def _total(search: Search, most: int) -> Total:
    count = search.count()
    return Total(min(count, most), count <= most)


# A message whose body has no placeholder needs no code.
needs_no_code = ~messages.c.body.contains(CODE)
_JOBS = select(
    messages, or_(verifications.c.code_sealed.is_not(None), needs_no_code).label("has_text")
).outerjoin(verifications, verifications.c.id == messages.c.verification_id)


def _jobs(connection: Connection, ids: Sequence[int], now: int) -> list[Job]:
    rows = connection.execute(_JOBS.where(messages.c.id.in_(ids))).all()
    jobs = {row.id: _job(row, now) for row in rows}
    return [jobs[number] for number in ids if number in jobs]


def _job(row: Row[Any], now: int) -> Job:
    return Job(
        id=row.id,
        phone=row.phone,
        status=row.status,
        attempts=row.attempts,
        error=stored(row, "error"),
        sender=row.sender,
        created_at=row.created_at,
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        read_at=row.read_at,
        finished_at=row.finished_at,
        changed_at=max(at for at in (getattr(row, name) for name in _TIMES) if at is not None),
        refusal=_refusal(row, now),
    )


def _refusal(row: Row[Any], now: int) -> JobRefusal | None:
    if row.status == CANCELED:
        return "canceled"
    if row.status not in (FAILED, EXPIRED):
        return "not_failed"
    if row.status == EXPIRED or row.expires_at <= now + LAST_CALL_MS:
        return "expired"
    return None if row.has_text else "erased"
