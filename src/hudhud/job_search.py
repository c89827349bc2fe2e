"""Find messages by status, phone, code, text and error, at a cost that history does not raise.

First the `SCANNED` messages next to the cursor are looked at: what is in many messages fills the
page at once, and the share of those that fit tells how to go on. Where it is large, messages are
looked at one by one until enough are found. Else indexes find them: of pieces of phone numbers
(`db/fragments.py`), of texts (`texts.py`), of codes. One statement then brings page and count.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
    true,
    union,
    union_all,
)

from hudhud import texts
from hudhud.db import fragments
from hudhud.db.tables import message_counts, messages, verifications
from hudhud.messages import STATUSES, LegacyStatus, legacy_status
from hudhud.sealing import CodeSealer

SCANNED = 2_000
# What one in so many messages has is found sooner by looking at them than by an index of pieces.
DENSE = 10
# How many messages are looked at where an index would have to sort too many.
SCANNED_WIDELY = 50_000
MOST_WITH_ONE_CODE = 200
# A word without a digit is a word.
CODE = re.compile(r"(?=.*\d)[A-Za-z0-9]{4,10}", re.ASCII)
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
        is_digits = compact.isdecimal()
        return (
            compact if (is_digits or " " not in self.search) and CODE.fullmatch(compact) else None
        )

    @property
    def phone(self) -> str | None:
        """The search as a piece of a phone number, where it can be one."""
        compact = _compact(self.search)
        return compact if PHONE.fullmatch(compact) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: the newest, those `before` an id, or the ones next `after` it.

    `skip` leaves out as many first, which costs the more the larger it is.
    """

    limit: int
    before: int | None = None
    after: int | None = None
    skip: int = 0

    def order(self, branch: Select[Any]) -> Select[Any]:
        """Begin at the place, go on in its direction, end where the page ends."""
        number = branch.selected_columns[0]
        if self.before is not None:
            branch = branch.where(number < self.before)
        if self.after is not None:
            branch = branch.where(number > self.after).order_by(number.asc())
        else:
            branch = branch.order_by(number.desc())
        return branch.limit(self.skip + self.limit)

    def cut(self, found: Select[Any]) -> Select[Any]:
        """Leave out what is skipped of what `order` has ordered."""
        if not self.skip:
            return found
        rows = found.subquery()
        number = rows.c[0]
        ordered = number.desc() if self.after is None else number.asc()
        return select(*rows.c).order_by(ordered).limit(self.limit).offset(self.skip)


class Search:
    """The ways in which a filter finds messages; what fits is counted up to `most`."""

    def __init__(
        self, connection: Connection, sealer: CodeSealer, chosen: JobFilter, most: int
    ) -> None:
        self._connection = connection
        self._chosen = chosen
        self._most = most
        self._all = chosen.statuses == STATUSES
        self._texts = texts.containing(connection, chosen.search) if chosen.search else []
        self._verifications = self._with_code(sealer)
        self._share: float | None = None
        self._total: int | None = None

    def ids(self, place: Place) -> list[int]:
        """Return the ids next to the place, nearest first."""
        if not self._chosen.search:
            return self._run(self._by_status([messages.c.id], place), place)
        near = self._look(place, SCANNED)
        if len(near) == place.limit or (self._is_rare and not place.skip):
            return near
        if self._is_dense():
            return self._run(self._by_status([messages.c.id], place, self._fits(messages)), place)
        found = self._by_index(place)
        return found if self._counted() <= self._most else self._among_many(place)

    def count(self) -> int:
        """Count what fits, up to one more than `most`."""
        if not self._chosen.search:
            return sum(self._kept[status] for status in self._chosen.statuses)
        if self._total is None:
            nothing = Place(1)
            if self._share is None:
                self._look(nothing, SCANNED)
            if self._is_rare or self._is_dense():
                self._total = self._count_one_by_one()
            else:
                self._by_index(nothing)
        return self._counted()

    def _counted(self) -> int:
        assert self._total is not None  # noqa: S101 -- for the type checker
        return self._total

    @cached_property
    def _kept(self) -> dict[str, int]:
        """How many messages have each status, as `tally.py` keeps it."""
        sums = select(message_counts.c.status, func.sum(message_counts.c.count))
        found = self._connection.execute(sums.group_by(message_counts.c.status)).all()
        return dict.fromkeys(STATUSES, 0) | {row[0]: int(row[1]) for row in found}

    @property
    def _is_rare(self) -> bool:
        """Whether there are so few messages of these statuses that all can be looked at."""
        return sum(self._kept[status] for status in self._chosen.statuses) <= SCANNED

    def _is_dense(self) -> bool:
        """Tell whether looking at messages of these statuses is the shortest way to many."""
        if self._chosen.phone is not None and len(self._chosen.phone) < fragments.SHORTEST_INDEXED:
            return True
        # By an index those of other statuses are met as well.
        of_statuses = sum(self._kept[one] for one in self._chosen.statuses)
        enough = of_statuses / max(1, sum(self._kept.values()))
        if self._chosen.phone is not None:
            enough = min(enough, 1 / DENSE)
        return (self._share or 0) >= enough

    def _look(self, place: Place, many: int) -> list[int]:
        """Return what fits among the messages next to the place, and note how large its share is."""
        window = replace(place, limit=many, skip=0)
        looked_at = self._merge(self._by_status(self._columns(), window), window).subquery()
        fit = select(looked_at.c.id, func.count().over().label("fit")).where(self._fits(looked_at))
        found = self._connection.execute(place.cut(place.order(fit))).all()
        self._share = (found[0].fit if found else 0) / many
        return [row.id for row in found]

    def _by_index(self, place: Place) -> list[int]:
        """Return what indexes find next to the place, and note how much they find anywhere.

        That is not what is next to it where they find more than `most`.
        """
        parts = [part.limit(self._most + 1) for part in self._by_indexes()]
        if not parts:
            self._total = 0
            return []
        hits = parts[0] if len(parts) == 1 else union(*(select(one.subquery()) for one in parts))
        found = hits.cte("hits")
        total = select(func.count().label("total")).select_from(found).subquery()
        page = place.cut(place.order(select(found.c.id))).subquery()
        rows = self._connection.execute(
            select(total.c.total, page.c.id).select_from(total.outerjoin(page, true()))
        ).all()
        self._total = rows[0].total
        return sorted((row.id for row in rows if row.id is not None), reverse=place.after is None)

    def _among_many(self, place: Place) -> list[int]:
        """Return what is next to the place where an index finds more than it should sort."""
        if self._chosen.phone is not None and not fragments.is_ordered(self._connection):
            near = self._look(place, SCANNED_WIDELY)
            if len(near) == place.limit:
                return near
        return self._run([place.order(part) for part in self._by_indexes(ordered=True)], place)

    def _count_one_by_one(self) -> int:
        fits = select(messages.c.id).where(self._fits(messages))
        if not self._all:
            fits = fits.where(messages.c.status.in_(self._chosen.statuses))
        counted = select(func.count()).select_from(fits.limit(self._most + 1).subquery())
        return self._connection.scalar(counted) or 0

    def _columns(self) -> list[ColumnElement[Any]]:
        """Return what `_fits` looks at; id and phone alone are in the index of statuses."""
        columns: list[ColumnElement[Any]] = [messages.c.id]
        if self._chosen.phone is not None:
            columns.append(messages.c.phone)
        if self._texts:
            columns += [messages.c.body_key, messages.c.error_key]
        if self._verifications:
            columns.append(messages.c.verification_id)
        return columns

    def _fits(self, looked_at: FromClause) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = [false()]
        if self._chosen.phone is not None:
            ways.append(looked_at.c.phone.like(f"%{self._chosen.phone}%"))
        if self._texts:
            ways.append(looked_at.c.body_key.in_(self._texts))
            ways.append(looked_at.c.error_key.in_(self._texts))
        if self._verifications:
            ways.append(looked_at.c.verification_id.in_(self._verifications))
        return or_(*ways)

    def _by_status(
        self, columns: Sequence[ColumnElement[Any]], place: Place, *fits: ColumnElement[bool]
    ) -> list[Select[Any]]:
        branch = select(*columns).where(*fits)
        if self._all:
            return [place.order(branch)]
        statuses = self._chosen.statuses
        return [place.order(branch.where(messages.c.status == status)) for status in statuses]

    def _by_indexes(self, *, ordered: bool = False) -> list[Select[Any]]:
        """Select by each index; an index of texts is in the order of ids only for one text."""
        ids = select(messages.c.id)
        branches: list[Select[Any]] = []
        for column in (messages.c.body_key, messages.c.error_key) if self._texts else ():
            if ordered:
                branches += [ids.where(column == key) for key in self._texts]
            else:
                branches.append(ids.where(column.in_(self._texts)))
        if self._verifications:
            branches.append(ids.where(messages.c.verification_id.in_(self._verifications)))
        if self._chosen.phone is not None:
            branches.append(
                fragments.holding(self._connection, self._chosen.phone, alone=self._all)
            )
        if self._all:
            return branches
        # An expression, or the databases would go through all messages of the statuses.
        has_status = func.coalesce(messages.c.status, "").in_(self._chosen.statuses)
        return [branch.where(has_status) for branch in branches]

    def _merge(self, parts: Sequence[Select[Any]], place: Place) -> Select[Any]:
        """Select what any part finds, once."""
        if not parts:
            return select(messages.c.id).where(false())
        if len(parts) == 1:
            return parts[0]
        merged = select(union_all(*(select(part.subquery()) for part in parts)).subquery())
        return place.order(merged.distinct())

    def _run(self, parts: Sequence[Select[Any]], place: Place) -> list[int]:
        return list(self._connection.scalars(place.cut(self._merge(parts, place))))

    def _with_code(self, sealer: CodeSealer) -> list[str]:
        if self._chosen.code is None:
            return []
        indexes = sealer.indexes(self._chosen.code)
        found = select(verifications.c.id).where(verifications.c.code_index.in_(indexes))
        return list(self._connection.scalars(found.limit(MOST_WITH_ONE_CODE)))


def _compact(search: str) -> str:
    return search.translate(_DIGITS).translate(_PUNCTUATION)
