"""Find messages by status, phone, code, text and error, at a cost that history does not raise.

First the `SCANNED` messages next to the cursor are looked at: what is in many messages fills the
page at once. What is rare is then found by an index: of pieces of phone numbers
(`db/fragments.py`), of texts (`texts.py`), of codes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    false,
    func,
    or_,
    select,
    union_all,
)

from hudhud import texts
from hudhud.db import fragments
from hudhud.db.tables import message_counts, messages, verifications
from hudhud.messages import STATUSES, LegacyStatus, legacy_status
from hudhud.sealing import CodeSealer

SCANNED = 2_000
# What one in so many messages has is counted by going through them, not by an index.
DENSE = 10
MOST_WITH_ONE_CODE = 200
CODE = re.compile(r"[A-Za-z0-9]{4,10}", re.ASCII)
PHONE = re.compile(r"\+?\d+", re.ASCII)
_PUNCTUATION = str.maketrans("", "", " -().\u00a0\u200e\u200f\u2066\u2069")
_DIGITS = {ord(digit): str(number % 10) for number, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted: one of the four old words, an exact status, a text to search for."""

    status: LegacyStatus | None = None
    delivery: str | None = None
    search: str = ""

    @property
    def statuses(self) -> tuple[str, ...]:
        """The exact statuses that fit both words."""
        return tuple(
            status
            for status in STATUSES
            if self.status in (None, legacy_status(status)) and self.delivery in (None, status)
        )

    @property
    def code(self) -> str | None:
        """The search as a code, where it can be one; such a search is audited."""
        compact = _compact(self.search)
        return compact if CODE.fullmatch(compact) else None

    @property
    def phone(self) -> str | None:
        """The search as a piece of a phone number, where it can be one."""
        compact = _compact(self.search)
        return compact if PHONE.fullmatch(compact) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: the newest, those `before` an id, or the ones next `after` it."""

    limit: int
    before: int | None = None
    after: int | None = None

    def order(self, branch: Select[Any]) -> Select[Any]:
        """Begin at the place, go on in its direction, end at the limit."""
        number = branch.selected_columns[0]
        if self.before is not None:
            branch = branch.where(number < self.before)
        if self.after is not None:
            return branch.where(number > self.after).order_by(number.asc()).limit(self.limit)
        return branch.order_by(number.desc()).limit(self.limit)


def kept_count(connection: Connection, statuses: Sequence[str]) -> int:
    """Return how many messages have these statuses, as `tally.py` keeps it."""
    kept = select(func.sum(message_counts.c.count)).where(message_counts.c.status.in_(statuses))
    return int(connection.scalar(kept) or 0)


class Search:
    """The ways in which a filter finds messages."""

    def __init__(self, connection: Connection, sealer: CodeSealer, chosen: JobFilter) -> None:
        self._connection = connection
        self._chosen = chosen
        self._all = chosen.statuses == STATUSES
        self._texts = texts.containing(connection, chosen.search) if chosen.search else []
        self._verifications = self._with_code(sealer)

    def ids(self, place: Place) -> list[int]:
        """Return the ids next to the place, nearest first."""
        if not self._chosen.search:
            parts = self._by_status([messages.c.id], place)
            return list(self._connection.scalars(self._merge(parts, place, overlap=False)))
        found = self._run([self._scanned(place)], place)
        if len(found) == place.limit or self._is_rare():
            return found
        if len(found) >= SCANNED // DENSE:
            return self._run([place.order(self._one_by_one())], place)
        return self._run(self._by_index(place), place)

    def count(self, limit: int) -> int:
        """Count what fits, up to `limit`."""
        place = Place(limit)
        if self._is_rare() or self._is_dense():
            return self._count(self._one_by_one().limit(limit))
        parts = self._by_index(place)
        for part in parts:
            if self._count(part) == limit:
                return limit
        return self._count(self._merge(parts, place))

    def _scanned(self, place: Place) -> Select[Any]:
        """Select what fits among the messages next to the place."""
        window = replace(place, limit=SCANNED)
        looked_at = self._merge(
            self._by_status(_LOOKED_AT, window), window, overlap=False
        ).subquery()
        return place.order(select(looked_at.c.id).where(self._fits(looked_at)))

    def _one_by_one(self) -> Select[Any]:
        fits = self._fits(messages)
        if self._is_rare():
            return select(messages.c.id).where(messages.c.status.in_(self._chosen.statuses), fits)
        return select(messages.c.id).where(_has(self._chosen.statuses), fits)

    def _is_rare(self) -> bool:
        """Tell whether there are so few messages of these statuses that all can be looked at."""
        return kept_count(self._connection, self._chosen.statuses) <= SCANNED

    def _is_dense(self) -> bool:
        most = SCANNED // DENSE
        return self._count(self._scanned(Place(most))) == most

    def _count(self, found: Select[Any]) -> int:
        return self._connection.scalar(select(func.count()).select_from(found.subquery())) or 0

    def _fits(self, looked_at: FromClause) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = [false()]
        if self._chosen.phone is not None:
            ways.append(looked_at.c.phone.contains(self._chosen.phone))
        if self._texts:
            ways.append(looked_at.c.body_key.in_(self._texts))
            ways.append(looked_at.c.error_key.in_(self._texts))
        if self._verifications:
            ways.append(looked_at.c.verification_id.in_(self._verifications))
        return or_(*ways)

    def _by_status(self, columns: Sequence[ColumnElement[Any]], place: Place) -> list[Select[Any]]:
        branch = select(*columns)
        if self._all:
            return [place.order(branch)]
        statuses = self._chosen.statuses
        return [place.order(branch.where(messages.c.status == status)) for status in statuses]

    def _by_index(self, place: Place) -> list[Select[Any]]:
        ids = select(messages.c.id)
        branches = [ids.where(messages.c.body_key == key) for key in self._texts]
        branches += [ids.where(messages.c.error_key == key) for key in self._texts]
        if self._verifications:
            branches.append(ids.where(messages.c.verification_id.in_(self._verifications)))
        if self._chosen.phone is not None:
            branches.append(self._by_phone(self._chosen.phone))
        if not self._all:
            branches = [branch.where(_has(self._chosen.statuses)) for branch in branches]
        return [place.order(branch) for branch in branches]

    def _by_phone(self, phone: str) -> Select[Any]:
        if len(phone) < fragments.SHORTEST_INDEXED:
            return select(messages.c.id).where(messages.c.phone.contains(phone))
        return fragments.holding(self._connection, phone)

    def _merge(
        self, parts: Sequence[Select[Any]], place: Place, *, overlap: bool = True
    ) -> Select[Any]:
        """Select what any part finds, once."""
        if not parts:
            return select(*_LOOKED_AT).where(false())
        if len(parts) == 1:
            return parts[0]
        merged = select(union_all(*(select(part.subquery()) for part in parts)).subquery())
        return place.order(merged.distinct() if overlap else merged)

    def _run(self, parts: Sequence[Select[Any]], place: Place) -> list[int]:
        return list(self._connection.scalars(self._merge(parts, place)))

    def _with_code(self, sealer: CodeSealer) -> list[str]:
        if self._chosen.code is None:
            return []
        indexes = sealer.indexes(self._chosen.code)
        found = select(verifications.c.id).where(verifications.c.code_index.in_(indexes))
        return list(self._connection.scalars(found.limit(MOST_WITH_ONE_CODE)))


def _compact(search: str) -> str:
    return search.translate(_DIGITS).translate(_PUNCTUATION)


def _has(statuses: Sequence[str]) -> ColumnElement[bool]:
    # An expression, or the databases would go through all messages of the statuses.
    return func.coalesce(messages.c.status, "").in_(statuses)


_LOOKED_AT: tuple[ColumnElement[Any], ...] = (
    messages.c.id,
    messages.c.phone,
    messages.c.body_key,
    messages.c.error_key,
    messages.c.verification_id,
)
