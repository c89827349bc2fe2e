"""Read verifications for their callers: one, or pages, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select, union_all

from hudhud.auth.caller import ENVIRONMENT, Caller
from hudhud.db.tables import api_keys, messages, verifications
from hudhud.messages import whatsapp_accounts
from hudhud.verification.lifecycle import STATUSES, Status

PAGE = 50
LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Filter of the list; None and empty values match everything."""

    phone: str | None = None
    reference: str | None = None
    statuses: Sequence[Status] = ()


@dataclass(frozen=True, slots=True)
class VerificationPage:
    """Verifications, newest first; `following` is the cursor of the next page."""

    rows: Sequence[Row[Any]]
    following: str | None


def find(
    connection: Connection, caller: Caller, *, verification_id: str | None, job_id: int | None
) -> Row[Any] | None:
    """Return the caller's verification with this id or job, or None."""
    if verification_id is None:
        of_job = select(messages.c.verification_id).where(messages.c.id == job_id)
        verification_id = connection.scalar(of_job)
    found = select(verifications).where(verifications.c.id == verification_id)
    row = connection.execute(found).first()
    return row if row is not None and caller.sees(row.api_key) else None


def jobs_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Return the messages of each verification, oldest first."""
    found = select(messages).where(messages.c.verification_id.in_(ids)).order_by(messages.c.id)
    jobs: dict[str, list[Row[Any]]] = {one: [] for one in ids}
    for row in connection.execute(found):
        jobs[row.verification_id].append(row)
    return jobs


def page(
    connection: Connection, caller: Caller, chosen: ListFilter, *, before: str | None, limit: int
) -> VerificationPage:
    """Return up to `limit` of the key's matching verifications, newest first.

    Only those older than the id `before`, if given.
    """
    ids = _ids(connection, caller, chosen, before, limit + 1)
    rows = connection.execute(
        select(verifications)
        .where(verifications.c.id.in_(ids[:limit]))
        .order_by(verifications.c.id.desc())
    ).all()
    return VerificationPage(rows, ids[limit - 1] if len(ids) > limit else None)


def _ids(
    connection: Connection, caller: Caller, chosen: ListFilter, before: str | None, limit: int
) -> Sequence[str]:
    """Return the ids with the best index; all are ordered by id."""
    fits = _fits(connection, chosen, before)
    statuses = chosen.statuses or STATUSES
    if chosen.phone is not None or chosen.reference is not None:
        fits.append(verifications.c.status.in_(statuses))
        if "admin" not in caller.scopes:
            fits.append(verifications.c.api_key == caller.owner)
    elif "admin" not in caller.scopes:
        return connection.scalars(_of_owner(caller.owner, statuses, fits, limit)).all()
    elif chosen.statuses:  # no index begins with the status
        owners = [ENVIRONMENT, *connection.scalars(select(api_keys.c.owner).distinct())]
        parts = [_of_owner(owner, statuses, fits, limit) for owner in owners]
        return sorted((one for part in parts for one in connection.scalars(part)), reverse=True)
    return connection.scalars(_newest(fits, limit)).all()


def _of_owner(
    owner: str, statuses: Sequence[Status], fits: Sequence[ColumnElement[bool]], limit: int
) -> Select[str]:
    mine = verifications.c.api_key == owner
    parts = [_newest([*fits, mine, verifications.c.status == one], limit) for one in statuses]
    merged = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(merged.c.id).order_by(merged.c.id.desc()).limit(limit)


def _fits(
    connection: Connection, chosen: ListFilter, before: str | None
) -> list[ColumnElement[bool]]:
    fits: list[ColumnElement[bool]] = []
    if before is not None:
        fits.append(verifications.c.id < before)
    if chosen.phone is not None:
        forms = whatsapp_accounts.all_forms(connection, chosen.phone)
        fits.append(verifications.c.phone.in_(forms))
    if chosen.reference is not None:
        fits.append(verifications.c.reference == chosen.reference)
    return fits


def _newest(fits: Sequence[ColumnElement[bool]], limit: int) -> Select[str]:
    newest = select(verifications.c.id).where(*fits)
    return newest.order_by(verifications.c.id.desc()).limit(limit)
