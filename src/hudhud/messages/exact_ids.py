"""Find messages by an exact id: of the job, verification or request, or a reference or key name.

An id with few messages gives their numbers. One with many, such as the name of a busy API key,
gives a way to find them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Select, exists, func, select

from hudhud.auth.caller import ENVIRONMENT, ENVIRONMENT_NAME
from hudhud.db.tables import api_keys, messages, storable, verifications
from hudhud.messages.states import STATUSES

# A job's number as people write it: 123 or #123, in digits of any script.
_JOB: Final = re.compile(r"#?\s*(\d{1,15})")


@dataclass(frozen=True, slots=True)
class SharedId:
    """An id of many messages: `found` selects their numbers, `fits` is the condition on a row."""

    found: Select[Any]
    fits: Callable[[FromClause], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Exact:
    """Messages with an exact id: few by their `numbers`, newest first, many by a shared id."""

    numbers: Sequence[int] = ()
    shared: Sequence[SharedId] = ()


def find(connection: Connection, search: str, statuses: Sequence[str], *, most: int) -> Exact:
    """Return the messages in one of these statuses that have exactly this id.

    An id of more than `most` messages is shared.
    """
    if not search:
        return Exact()
    numbers: set[int] = set()
    shared = []
    for one in _ids(connection, storable(search)):
        # Of any status: a filter with few matches would scan all messages of a busy key.
        found = connection.scalars(one.found.limit(most + 1)).all()
        if len(found) > most:
            shared.append(one)
        elif found:
            numbers.update(connection.scalars(_of_statuses(found, statuses)))
    return Exact(sorted(numbers, reverse=True), shared)


def job_number(search: str) -> int | None:
    """Return the number if the text can be that of a job."""
    written = _JOB.fullmatch(search)
    number = int(written[1]) if written else 0
    return number if written and number and len(str(number)) == len(written[1]) else None


def _ids(connection: Connection, search: str) -> Iterator[SharedId]:
    number = job_number(search)
    if number is not None:
        yield _of_messages(lambda rows: rows.c.id == number)
    yield _of_messages(lambda rows: rows.c.verification_id == search)
    yield _of_messages(lambda rows: rows.c.request_id == search)
    yield _of_verifications(verifications.c.reference == search)
    named = select(api_keys.c.owner).where(api_keys.c.name == search).distinct()
    owners = [ENVIRONMENT] if search == ENVIRONMENT_NAME else connection.scalars(named).all()
    if owners:
        yield _of_verifications(verifications.c.api_key.in_(owners))


def _of_messages(fits: Callable[[FromClause], ColumnElement[bool]]) -> SharedId:
    return SharedId(select(messages.c.id).where(fits(messages)), fits)


def _of_verifications(condition: ColumnElement[bool]) -> SharedId:
    same = messages.c.verification_id == verifications.c.id
    return SharedId(
        select(messages.c.id).join(verifications, same).where(condition),
        lambda rows: exists().where(verifications.c.id == rows.c.verification_id, condition),
    )


def _of_statuses(found: Sequence[int], statuses: Sequence[str]) -> Select[Any]:
    these = select(messages.c.id).where(messages.c.id.in_(found))
    if tuple(statuses) == STATUSES:
        return these
    # An expression, so that the databases do not scan all messages of these statuses.
    return these.where(func.coalesce(messages.c.status, "").in_(statuses))
