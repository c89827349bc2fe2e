"""Search all text columns of all tables for a phone number."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, or_, select

from hudhud.core.stored_sentences import texts_in
from hudhud.db import phone_index
from hudhud.db.tables import ForeignText, messages, metadata

INDEX = "the search index"


class PhoneMatcher:
    """Matches the digits of a person's numbers, but not within a longer number."""

    def __init__(self, numbers: Collection[str]) -> None:
        self.digits = sorted(number.removeprefix("+") for number in numbers)
        self._pattern = re.compile(rf"(?<!\d)(?:\+|00)?(?:{'|'.join(self.digits)})(?!\d)")

    def is_in(self, text: str) -> bool:
        """Return whether the text contains the number."""
        return self._pattern.search(text) is not None

    def replaced(self, text: str, other: str) -> str:
        """Return the text with the number replaced by `other`."""
        return self._pattern.sub(other, text)


@dataclass(frozen=True, slots=True)
class Trace:
    """A row that contains the number, with those texts by column."""

    table: Table
    key: tuple[Any, ...]
    texts: dict[Column[Any], str]


def find(connection: Connection, matcher: PhoneMatcher, table: Table) -> list[Trace]:
    """Return the rows that contain the number, by scanning the whole table."""
    columns = [column for column in table.columns if isinstance(column.type, Text | ForeignText)]
    if not columns:
        return []
    key = list(table.primary_key.columns)
    with_digits = or_(
        *(
            column.contains(digits, autoescape=True)
            for column in columns
            for digits in matcher.digits
        )
    )
    traces = []
    # Always in the same order, so that two transactions cannot deadlock.
    found = select(*key, *columns).where(with_digits).order_by(*key)
    for row in connection.execute(found):
        values = zip(columns, row[len(key) :], strict=True)
        texts = {column: text for column, text in values if text and _has(matcher, column, text)}
        if texts:
            traces.append(Trace(table, tuple(row[: len(key)]), texts))
    return traces


def has_params(column: Column[Any]) -> bool:
    """Return whether a column contains the parameters of a sentence, as JSON."""
    return column.name.endswith("params")


def _has(matcher: PhoneMatcher, column: Column[Any], text: str) -> bool:
    parts = texts_in(text) if has_params(column) else (text,)
    return any(map(matcher.is_in, parts))


def places(connection: Connection, matcher: PhoneMatcher) -> Sequence[str]:
    """Return the names of tables and index that contain the number."""
    found = [table.name for table in metadata.sorted_tables if find(connection, matcher, table)]
    return [*found, *([INDEX] if _is_indexed(connection, matcher) else [])]


def _is_indexed(connection: Connection, matcher: PhoneMatcher) -> bool:
    """Return whether the index has a number for messages without it."""
    return any(_is_indexed_without_row(connection, digits) for digits in matcher.digits)


def _is_indexed_without_row(connection: Connection, digits: str) -> bool:
    found = phone_index.holding(connection, digits, alone=True)
    indexed = [number for part in found for number in connection.scalars(part)]
    has_digits = messages.c.phone.contains(digits, autoescape=True)
    stored = select(messages.c.id).where(messages.c.id.in_(indexed), has_digits)
    return len(indexed) > len(connection.scalars(stored).all())
