"""Find messages by status, phone, code, text and error, at a cost that history does not raise.

First the `scanned` messages next to the cursor are looked at: what is in many messages fills the
page at once, and the share of those that fit tells how to go on. Where it is large, messages are
looked at one by one until enough are found. Else indexes find them: of pieces of phone numbers
(`db/phone_index.py`), of texts (`text_store.py`), of codes. One statement then brings page
and count.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
    union_all,
)

from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import Sentence
from hudhud.db import phone_index
from hudhud.db.tables import messages, verifications
from hudhud.messages import counters, text_store
from hudhud.messages.states import STATUSES, LegacyStatus, legacy_status

MOST_WITH_ONE_CODE = 200
# A word without a digit is a word.
CODE = re.compile(r"(?=.*\d)[A-Za-z0-9]{4,10}", re.ASCII)
PHONE = re.compile(r"\+?\d+", re.ASCII)
_PUNCTUATION = str.maketrans("", "", " -().\u00a0\u200e\u200f\u2066\u2069")
_DIGITS = {ord(digit): str(number % 10) for number, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages a search looks at and counts; with small ones few are like a million."""

    scanned: int = 2_000
    dense: float = 10
    """What one in so many has is found sooner by looking at them than by an index of pieces."""
    scanned_widely: int = 100_000
    """So many can be looked at in an index of statuses, or where another one would have to sort."""
    most_counted: int = 10_000
    """Totals are exact up to here, and pages by number reach as far."""


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted: one of the four old words, an exact status, a text to search for.

    A search also finds errors with one of the `codes`, and those with parameters that `reads`
    recognises: so a reader finds what the dashboard shows.
    """

    status: LegacyStatus | None = None
    delivery: str | None = None
    search: str = ""
    codes: tuple[str, ...] = ()
    reads: Callable[[Sentence], bool] | None = field(default=None, compare=False)

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
class PageCursor:
    """Where a page begins: the newest, those `before` an id, or the ones next `after` it.

    `skip` leaves out as many first, which costs the more the larger it is.
    """

    limit: int
    before: int | None = None
    after: int | None = None
    skip: int = 0

    def order(self, branch: Select[Any]) -> Select[Any]:
        """Begin at the cursor, go on in its direction, end where the page ends."""
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


# Of no text: 2**64 to one.
_NO_KEY = 0


# All of it is in the index of statuses.
_LOOKED_AT: tuple[ColumnElement[Any], ...] = (
    messages.c.id,
    messages.c.phone,
    messages.c.body_key,
    messages.c.error_key,
)


class Search:
    """The ways in which a filter finds messages; what fits is counted up to `most_counted`."""

    def __init__(
        self, connection: Connection, cipher: CodeCipher, chosen: JobFilter, limits: Limits
    ) -> None:
        self._connection = connection
        self._chosen = chosen
        self._limits = limits
        self._most = limits.most_counted
        self._all = chosen.statuses == STATUSES
        self._texts = self._find_texts()
        code = chosen.code
        self._with_code = [] if code is None else messages_with(connection, cipher, code)
        self._share: float | None = None
        self._total: int | None = None

    def ids(self, cursor: PageCursor) -> list[int]:
        """Return the ids next to the cursor, nearest first."""
        if not self._chosen.search:
            return self._run(self._by_status([messages.c.id], cursor), cursor)
        near = self._look(cursor, self._limits.scanned)
        if len(near) == cursor.limit or self._is_rare:
            return near
        found = self._find(cursor)
        if self._counted() <= self._most:
            return found
        if self._is_dense():
            return self._run(self._by_status([messages.c.id], cursor, self._fits(messages)), cursor)
        return self._among_many(cursor)

    def count(self) -> int:
        """Count what fits, up to one more than `most_counted`."""
        if not self._chosen.search:
            return self._of_statuses()
        if self._total is None:
            nothing = PageCursor(1)
            if self._share is None:
                self._look(nothing, self._limits.scanned)
            self._find(nothing)
        return self._counted()

    def _counted(self) -> int:
        assert self._total is not None  # noqa: S101 -- for the type checker
        return self._total

    @cached_property
    def _kept(self) -> dict[str, int]:
        """How many messages have each status, as `counters.py` keeps it."""
        return dict.fromkeys(STATUSES, 0) | counters.counts(self._connection)

    def _of_statuses(self) -> int:
        return sum(self._kept[status] for status in self._chosen.statuses)

    @property
    def _is_rare(self) -> bool:
        """Whether there are so few messages of these statuses that all have been looked at."""
        return self._of_statuses() <= self._limits.scanned

    def _is_dense(self) -> bool:
        """Tell whether looking at messages of these statuses is the shortest way to many."""
        phone, share = self._chosen.phone, self._share or 0
        if phone is not None and len(phone) < phone_index.SHORTEST_INDEXED:
            return True
        if self._all:
            indexed = phone is None or phone_index.is_ordered(self._connection)
            return not indexed and share >= 1 / self._limits.dense
        # An index finds those of other statuses too, and each must be read to tell.
        nearly_all = min(self._of_statuses(), self._most / max(share, 1e-9))
        return nearly_all <= self._limits.scanned_widely

    def _look(self, cursor: PageCursor, many: int) -> list[int]:
        """Return what fits among the messages next to the cursor, and note what share fits."""
        window = replace(cursor, limit=many, skip=0)
        looked_at = self._merge(self._by_status(_LOOKED_AT, window), window).subquery()
        fit = select(looked_at.c.id, func.count().over().label("fit")).where(self._fits(looked_at))
        found = self._connection.execute(cursor.order(fit)).all()
        self._share = (found[0].fit if found else 0) / many
        return [row.id for row in found[cursor.skip :]]

    def _find(self, cursor: PageCursor) -> list[int]:
        """Return what fits next to the cursor, and note how much fits anywhere.

        Where that is more than is counted, what is returned is not what is next to the cursor.
        """
        found = self._once([self._one_by_one()] if self._is_dense() else self._by_indexes())
        hits = found.cte("hits")
        total = select(func.count().label("total")).select_from(hits).subquery()
        page = cursor.cut(cursor.order(select(hits.c.id))).subquery()
        rows = self._connection.execute(
            select(total.c.total, page.c.id).select_from(total.outerjoin(page, true()))
        ).all()
        self._total = rows[0].total
        return sorted((row.id for row in rows if row.id is not None), reverse=cursor.after is None)

    def _once(self, parts: Sequence[Select[Any]]) -> Select[Any]:
        """Select what any part finds, once and in any order, up to one more than is counted."""
        enough = [part.limit(self._most + 1) for part in parts]
        if not enough:
            return select(messages.c.id).where(false())
        if len(enough) == 1:
            return enough[0]
        merged = union_all(*(select(part.subquery()) for part in enough)).subquery()
        return select(merged.c.id).distinct().limit(self._most + 1)

    def _among_many(self, cursor: PageCursor) -> list[int]:
        """Return what is next to the cursor where an index finds more than it should sort."""
        if self._chosen.phone is not None and not phone_index.is_ordered(self._connection):
            near = self._look(cursor, self._limits.scanned_widely)
            if len(near) == cursor.limit:
                return near
        parts = [cursor.order(part) for part in self._by_indexes(ordered=True)]
        return self._run(parts, cursor, overlap=True)

    def _one_by_one(self) -> Select[Any]:
        fits = select(messages.c.id).where(self._fits(messages))
        if self._all and not phone_index.is_ordered(self._connection):
            return fits
        # By the index of statuses, not by that of phones: all that fits may be last in this one.
        return fits.where(messages.c.status.in_(self._chosen.statuses))

    def _fits(self, looked_at: FromClause) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = [false()]
        if self._chosen.phone is not None:
            ways.append(looked_at.c.phone.like(f"%{self._chosen.phone}%"))
        if self._texts:
            # Expressions, or the databases would go through all messages with these texts.
            keys = (looked_at.c.body_key, looked_at.c.error_key)
            ways += [func.coalesce(key, _NO_KEY).in_(self._texts) for key in keys]
        if self._with_code:
            ways.append(looked_at.c.id.in_(self._with_code))
        return or_(*ways)

    def _by_status(
        self, columns: Sequence[ColumnElement[Any]], cursor: PageCursor, *fits: ColumnElement[bool]
    ) -> list[Select[Any]]:
        branch = select(*columns).where(*fits)
        if self._all:
            return [cursor.order(branch)]
        of_each = [branch.where(messages.c.status == one) for one in self._chosen.statuses]
        return [cursor.order(one) for one in of_each or [branch.where(false())]]

    def _by_indexes(self, *, ordered: bool = False) -> list[Select[Any]]:
        """Select by each index; an index of texts is in the order of ids only for one text."""
        ids = select(messages.c.id)
        branches: list[Select[Any]] = []
        for column in (messages.c.body_key, messages.c.error_key) if self._texts else ():
            if ordered:
                branches += [ids.where(column == key) for key in self._texts]
            else:
                branches.append(ids.where(column.in_(self._texts)))
        if self._with_code:
            branches.append(ids.where(messages.c.id.in_(self._with_code)))
        if self._chosen.phone is not None:
            branches.append(
                phone_index.holding(self._connection, self._chosen.phone, alone=self._all)
            )
        if self._all:
            return branches
        # An expression, or the databases would go through all messages of the statuses.
        has_status = func.coalesce(messages.c.status, "").in_(self._chosen.statuses)
        return [branch.where(has_status) for branch in branches]

    def _merge(
        self, parts: Sequence[Select[Any]], cursor: PageCursor, *, overlap: bool = False
    ) -> Select[Any]:
        """Select what any part finds, once; `overlap` where several can find the same."""
        if len(parts) == 1:
            return parts[0]
        merged = select(union_all(*(select(part.subquery()) for part in parts)).subquery())
        return cursor.order(merged.distinct() if overlap else merged)

    def _run(
        self, parts: Sequence[Select[Any]], cursor: PageCursor, *, overlap: bool = False
    ) -> list[int]:
        merged = self._merge(parts, cursor, overlap=overlap)
        return list(self._connection.scalars(cursor.cut(merged)))

    def _find_texts(self) -> list[int]:
        chosen = self._chosen
        if not chosen.search:
            return []
        return text_store.find(
            self._connection, chosen.search, codes=chosen.codes, reads=chosen.reads
        )


def messages_with(connection: Connection, cipher: CodeCipher, code: str) -> list[int]:
    """Return the ids of messages that carry this code, as long as it is valid."""
    same = messages.c.verification_id == verifications.c.id
    found = select(messages.c.id).join(verifications, same)
    found = found.where(verifications.c.code_index.in_(cipher.indexes(code)))
    return list(connection.scalars(found.limit(MOST_WITH_ONE_CODE)))


def _compact(search: str) -> str:
    return search.translate(_DIGITS).translate(_PUNCTUATION)
