"""Look for a phone number in every text of every table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, or_, select

from hudhud.core.stored_sentences import texts_in
from hudhud.db import phone_index
from hudhud.db.tables import ForeignText, messages, metadata

INDEX = "the search index"


class PhoneMatcher:
    """A number as it is looked for: its digits, which are no part of a longer number."""

    def __init__(self, number: str) -> None:
        self.digits = number.removeprefix("+")
        self._pattern = re.compile(rf"(?<!\d)(?:\+|00)?{self.digits}(?!\d)")

    def is_in(self, text: str) -> bool:
        """Tell whether the text has the number."""
        return self._pattern.search(text) is not None

    def replaced(self, text: str, other: str) -> str:
        """Return the text with something else in the number's place."""
        return self._pattern.sub(other, text)


@dataclass(frozen=True, slots=True)
class Trace:
    """A row that has the number, and its texts that do, by their columns."""

    table: Table
    key: tuple[Any, ...]
    texts: dict[Column[Any], str]


def find(connection: Connection, matcher: PhoneMatcher, table: Table) -> list[Trace]:
    """Return the rows of a table that have the number; reads the whole table."""
    columns = [column for column in table.columns if isinstance(column.type, Text | ForeignText)]
    if not columns:
        return []
    key = list(table.primary_key.columns)
    with_digits = or_(*(column.contains(matcher.digits, autoescape=True) for column in columns))
    traces = []
    # In one order everywhere, so that two transactions cannot wait for each other.
    found = select(*key, *columns).where(with_digits).order_by(*key)
    for row in connection.execute(found):
        values = zip(columns, row[len(key) :], strict=True)
        texts = {column: text for column, text in values if text and _has(matcher, column, text)}
        if texts:
            traces.append(Trace(table, tuple(row[: len(key)]), texts))
    return traces


def has_params(column: Column[Any]) -> bool:
    """Tell whether a column holds the parameters of a sentence, as JSON."""
    return column.name.endswith("params")


def _has(matcher: PhoneMatcher, column: Column[Any], text: str) -> bool:
    parts = texts_in(text) if has_params(column) else (text,)
    return any(map(matcher.is_in, parts))


def places(connection: Connection, matcher: PhoneMatcher) -> Sequence[str]:
    """Return the names of the tables that have the number, and the index if it still finds it."""
    found = [table.name for table in metadata.sorted_tables if find(connection, matcher, table)]
    return [*found, *([INDEX] if _is_indexed(connection, matcher) else [])]


def _is_indexed(connection: Connection, matcher: PhoneMatcher) -> bool:
    """Tell whether the index of phone numbers has it for messages that have it no longer."""
    indexed = connection.scalars(phone_index.holding(connection, matcher.digits, alone=True)).all()
    has_digits = messages.c.phone.contains(matcher.digits, autoescape=True)
    stored = select(messages.c.id).where(messages.c.id.in_(indexed), has_digits)
    return len(indexed) > len(connection.scalars(stored).all())
