"""Find messages by status, exact id, phone, code, text and error.

Those with an exact id come first (`exact_ids.py`), then the others, each newest first.
The cost does not grow with the history. A search first scans the `scanned` messages next to the
cursor: a frequent match fills the page at once, and the share of matches decides the next step. If
it is large, messages are scanned until enough are found. Otherwise indexes find them: of pieces of
phone numbers (`db/phone_index.py`), of texts (`text_store.py`) and of codes. One statement then
returns page and count.
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
    and_,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)

from hudhud.core import phones
from hudhud.core.code_lengths import LONGEST, SHORTEST
from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import Sentence
from hudhud.db import phone_index
from hudhud.db.tables import messages, verifications
from hudhud.messages import counters, exact_ids, text_store, whatsapp_accounts
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.states import STATUSES, StatusFilter, fits

MOST_WITH_ONE_CODE = 200
# A search term without a digit is a word, not a code.
CODE = re.compile(rf"(?=.*\d)[A-Z0-9]{{{SHORTEST},{LONGEST}}}", re.ASCII)
PHONE = re.compile(r"\+?\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How many messages a search scans and counts; tests use smaller limits."""

    scanned: int = 2_000
    dense: float = 10
    """A scan is faster than the index of pieces if at least one message in this many matches."""
    scanned_widely: int = 100_000
    """How many messages to scan in the index of statuses, or to avoid sorting."""
    most_counted: int = 10_000
    """Limit of exact totals and of pages by number."""
    most_first: int = 200
    """How many messages of one exact id come first."""


USUAL = SearchLimits()


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Filter for jobs by group of statuses, exact status and search text.

    A search leaves out the codes of messages unless it `searches_codes` (`code_searches.py`). It
    also finds errors with one of the `codes`, and errors with parameters that `reads`
    accepts, so that readers can search for the translated texts on the dashboard.
    """

    status: StatusFilter | None = None
    delivery: str | None = None
    search: str = ""
    codes: tuple[str, ...] = ()
    searches_codes: bool = True
    reads: Callable[[Sentence], bool] | None = field(default=None, compare=False)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The exact statuses that match both `status` and `delivery`."""
        return tuple(
            status
            for status in STATUSES
            if (self.status is None or fits(status, self.status))
            and self.delivery in (None, status)
        )

    @property
    def code(self) -> str | None:
        """The search text as a code, if possible; such searches are audited and limited."""
        compact = phones.compact(self.search).upper()
        is_digits = compact.isdecimal()
        return (
            compact if (is_digits or " " not in self.search) and CODE.fullmatch(compact) else None
        )

    @property
    def phone(self) -> str | None:
        """The search text as part of a phone number, if possible."""
        compact = phones.compact(self.search)
        return compact if PHONE.fullmatch(compact) else None


# A key that no text has (probability 2**-64 that one does).
_NO_KEY = 0


# The index of statuses covers these columns.
_LOOKED_AT: tuple[ColumnElement[Any], ...] = (
    messages.c.id,
    messages.c.phone,
    messages.c.body_key,
    messages.c.error_key,
)
_OF_SHARED_IDS: tuple[ColumnElement[Any], ...] = (
    messages.c.verification_id,
    messages.c.request_id,
)


class Search:
    """One search with its query strategies; matches are counted up to `most_counted`."""

    def __init__(
        self, connection: Connection, cipher: CodeCipher, chosen: JobFilter, limits: SearchLimits
    ) -> None:
        self._connection = connection
        self._chosen = chosen
        self._limits = limits
        self._most = limits.most_counted
        self._all = chosen.statuses == STATUSES
        self._exact = exact_ids.find(
            connection, chosen.search, chosen.statuses, most=limits.most_first
        )
        self._texts = self._find_texts()
        self._other_numbers = self._find_other_numbers()
        code = chosen.code if chosen.searches_codes else None
        self._with_code = [] if code is None else messages_with(connection, cipher, code)
        self._share: float | None = None
        self._total: int | None = None

    def ids(self, cursor: PageCursor) -> list[int]:
        """Return the ids next to the cursor, nearest first; those found by an exact id lead."""
        first = self._exact.numbers
        if not first:
            return self._others(cursor)
        if cursor.after is not None:
            return self._back_to(first, cursor)
        if cursor.before in first:
            first = first[first.index(cursor.before) + 1 :]
            cursor = replace(cursor, before=None)
        elif cursor.before is not None:
            first = []
        rest = replace(cursor, skip=max(0, cursor.skip - len(first)))
        return [*first[cursor.skip :], *self._others(rest)][: cursor.limit]

    def _back_to(self, first: Sequence[int], cursor: PageCursor) -> list[int]:
        """Return the ids before the cursor's `after` in the list, nearest first."""
        if cursor.after in first:
            found = list(reversed(first[: first.index(cursor.after)]))
        else:
            reach = replace(cursor, limit=cursor.skip + cursor.limit, skip=0)
            found = [*self._others(reach), *reversed(first)]
        return found[cursor.skip :][: cursor.limit]

    def _others(self, cursor: PageCursor) -> list[int]:
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

    def is_exact(self, number: int) -> bool:
        """Return whether an exact id found this message."""
        return number in self._exact.numbers

    def count(self) -> int:
        """Count the matches, up to one more than `most_counted`."""
        if not self._chosen.search:
            return self._of_statuses()
        if self._total is None:
            nothing = PageCursor(1)
            if self._share is None:
                self._look(nothing, self._limits.scanned)
            self._find(nothing)
        return self._counted() + len(self._exact.numbers)

    def _counted(self) -> int:
        assert self._total is not None  # noqa: S101 -- for the type checker
        return self._total

    @cached_property
    def _kept(self) -> dict[str, int]:
        """Number of messages by status, from `counters.py`."""
        return dict.fromkeys(STATUSES, 0) | counters.counts(self._connection)

    def _of_statuses(self) -> int:
        return sum(self._kept[status] for status in self._chosen.statuses)

    @property
    def _is_rare(self) -> bool:
        """Whether the first scan covers all messages of these statuses."""
        return self._of_statuses() <= self._limits.scanned

    def _is_dense(self) -> bool:
        """Return whether a scan is faster than the indexes."""
        phone, share = self._chosen.phone, self._share or 0
        if phone is not None and len(phone) < phone_index.SHORTEST_INDEXED:
            return True
        if self._all:
            indexed = phone is None or phone_index.is_ordered(self._connection)
            return not indexed and share >= 1 / self._limits.dense
        # An index also finds messages of other statuses, and each must be read to exclude it.
        nearly_all = min(self._of_statuses(), self._most / max(share, 1e-9))
        return nearly_all <= self._limits.scanned_widely

    def _look(self, cursor: PageCursor, many: int) -> list[int]:
        """Scan `many` messages next to the cursor; note the share of matches."""
        window = replace(cursor, limit=many, skip=0)
        columns = _LOOKED_AT + (_OF_SHARED_IDS if self._exact.shared else ())
        looked_at = self._merge(self._by_status(columns, window), window).subquery()
        fit = select(looked_at.c.id, func.count().over().label("fit")).where(self._fits(looked_at))
        found = self._connection.execute(cursor.order(fit)).all()
        self._share = (found[0].fit if found else 0) / many
        return [row.id for row in found[cursor.skip :]]

    def _find(self, cursor: PageCursor) -> list[int]:
        """Return the matches next to the cursor, and note their total.

        If the total exceeds `most_counted`, the matches returned are not those next to the cursor.
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
        """Select the parts' union, unordered, up to `most_counted` + 1."""
        enough = [part.limit(self._most + 1) for part in parts]
        if not enough:
            return select(messages.c.id).where(false())
        if len(enough) == 1:
            return enough[0]
        merged = union_all(*(select(part.subquery()) for part in enough)).subquery()
        return select(merged.c.id).distinct().limit(self._most + 1)

    def _among_many(self, cursor: PageCursor) -> list[int]:
        """Return the matches next to the cursor without sorting all matches."""
        sorts_phones = self._chosen.phone and not phone_index.is_ordered(self._connection)
        if sorts_phones or self._exact.shared:
            near = self._look(cursor, self._limits.scanned_widely)
            if len(near) == cursor.limit:
                return near
        parts = [cursor.order(part) for part in self._by_indexes(ordered=True)]
        return self._run(parts, cursor, overlap=True)

    def _one_by_one(self) -> Select[Any]:
        fits = select(messages.c.id).where(self._fits(messages))
        if self._all and not phone_index.is_ordered(self._connection):
            return fits
        # Use the index of statuses: in that of phones, all matches may come last.
        return fits.where(messages.c.status.in_(self._chosen.statuses))

    def _fits(self, looked_at: FromClause) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = [false()]
        if self._chosen.phone is not None:
            ways.append(looked_at.c.phone.like(f"%{self._chosen.phone}%"))
        if self._other_numbers:
            # An expression, so that the databases do not scan all messages to these numbers.
            ways.append(func.coalesce(looked_at.c.phone, "").in_(self._other_numbers))
        if self._texts:
            # Expressions, so that the databases do not scan all messages with these texts.
            keys = (looked_at.c.body_key, looked_at.c.error_key)
            ways += [func.coalesce(key, _NO_KEY).in_(self._texts) for key in keys]
        if self._with_code:
            ways.append(looked_at.c.id.in_(self._with_code))
        ways += [shared.fits(looked_at) for shared in self._exact.shared]
        return and_(or_(*ways), self._comes_later(looked_at.c.id))

    def _comes_later(self, number: ColumnElement[int]) -> ColumnElement[bool]:
        """Exclude the messages that come first."""
        return number.not_in(self._exact.numbers) if self._exact.numbers else true()

    def _by_status(
        self, columns: Sequence[ColumnElement[Any]], cursor: PageCursor, *fits: ColumnElement[bool]
    ) -> list[Select[Any]]:
        branch = select(*columns).where(*fits)
        if self._all:
            return [cursor.order(branch)]
        of_each = [branch.where(messages.c.status == one) for one in self._chosen.statuses]
        return [cursor.order(one) for one in of_each or [branch.where(false())]]

    def _by_indexes(self, *, ordered: bool = False) -> list[Select[Any]]:
        """Select the matches of each index; `ordered` uses one select per text."""
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
            branches += phone_index.holding(self._connection, self._chosen.phone, alone=self._all)
        if self._other_numbers:
            branches.append(ids.where(messages.c.phone.in_(self._other_numbers)))
        branches += [shared.found for shared in self._exact.shared]
        branches = [one.where(self._comes_later(one.selected_columns[0])) for one in branches]
        if self._all:
            return branches
        # An expression, so that the databases do not scan all messages of these statuses.
        has_status = func.coalesce(messages.c.status, "").in_(self._chosen.statuses)
        return [branch.where(has_status) for branch in branches]

    def _merge(
        self, parts: Sequence[Select[Any]], cursor: PageCursor, *, overlap: bool = False
    ) -> Select[Any]:
        """Select the union of the parts; `overlap` removes duplicates."""
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

    def _find_other_numbers(self) -> list[str]:
        """Return other spellings and numbers of the person whose number is searched for."""
        phone = phones.parse_known_phone(self._chosen.search)
        if phone is None:
            return []
        fragment = self._chosen.phone or ""
        forms = whatsapp_accounts.all_forms(self._connection, phone.number)
        return sorted(form for form in forms if fragment not in form)


def messages_with(connection: Connection, cipher: CodeCipher, code: str) -> list[int]:
    """Return the ids of messages with this code, while it is valid."""
    same = messages.c.verification_id == verifications.c.id
    found = select(messages.c.id).join(verifications, same)
    found = found.where(verifications.c.code_index.in_(cipher.indexes(code)))
    return list(connection.scalars(found.limit(MOST_WITH_ONE_CODE)))
