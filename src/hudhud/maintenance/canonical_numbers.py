"""Rewrite stored numbers to the form in which they are kept now (`core/numbering.py`).

Rows of earlier versions have numbers as they were written. Numbers that are refused now stay as
they are, and so do messages that are queued or being sent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Row, delete, select, update

from hudhud.channels.base import Account
from hudhud.core.phones import canonical_or_same
from hudhud.db import phone_index
from hudhud.db.tables import (
    contacts,
    inbound_messages,
    link_answers,
    messages,
    verifications,
)
from hudhud.db.upserts import insert_or_ignore, insert_or_update
from hudhud.messages import whatsapp_accounts
from hudhud.messages.states import QUEUED, SENDING

Change = Callable[[Connection, Sequence[Row[Any]]], None]


@dataclass(frozen=True, slots=True)
class NumberRewrite:
    """Numbers in columns of a table, whose rows are ordered by `key`."""

    key: Column[Any]
    phones: Sequence[Column[Any]]
    change: Change
    prepare: Change | None = None
    """Runs before the rows are locked, with the same rows."""

    @property
    def name(self) -> str:
        """The name under which `installation` stores the position."""
        return f"numbers {self.key.table.name}"

    def window(self, connection: Connection, before: str | None, limit: int) -> Sequence[Any]:
        """Return the next rows' keys, newest first, with whether each is old."""
        rows = self._rows().order_by(self.key.desc()).limit(limit)
        if before is not None:
            rows = rows.where(self.key < (int(before) if self._is_numeric else before))
        return [(row[0], self._is_old(row)) for row in connection.execute(rows)]

    def rewrite(self, connection: Connection, keys: Sequence[Any]) -> int:
        """Rewrite these rows, except locked messages and verifications; return how many."""
        if self.prepare is not None:
            rows = connection.execute(self._rows().where(self.key.in_(keys)).order_by(self.key))
            self.prepare(connection, [row for row in rows if self._is_old(row)])
        old = [row for row in self._lock(connection, keys) if self._is_old(row)]
        if old:
            self.change(connection, old)
        return len(old)

    def _lock(self, connection: Connection, keys: Sequence[Any]) -> Sequence[Row[Any]]:
        """Lock rows in the order of their keys; of numbers, also those to merge with."""
        if self._is_numeric:
            held = self._rows().where(self.key.in_(keys)).order_by(self.key)
            return connection.execute(held.with_for_update(skip_locked=True)).all()
        both = {*keys, *map(canonical_or_same, keys)}
        held = self._rows().where(self.key.in_(both)).order_by(self.key)
        return connection.execute(held.with_for_update()).all()

    @property
    def _is_numeric(self) -> bool:
        return isinstance(self.key.type, BigInteger)

    def _rows(self) -> Any:
        return select(self.key.label("key"), *self.key.table.columns)

    def _is_old(self, row: Row[Any]) -> bool:
        if getattr(row, "status", None) in (QUEUED, SENDING):
            return False
        numbers = [getattr(row, column.name) for column in self.phones]
        return any(number and canonical_or_same(number) != number for number in numbers)


def _update(key: Column[Any], *phones: Column[Any]) -> Change:
    def change(connection: Connection, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            numbers = {column.name: getattr(row, column.name) for column in phones}
            values = {name: canonical_or_same(number) for name, number in numbers.items() if number}
            connection.execute(update(key.table).where(key == row.key).values(values))

    return change


def _change_messages(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    _update(messages.c.id, messages.c.phone)(connection, rows)
    phone_index.merge_after(connection, len(rows))


def _prepare_contacts(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Store accounts before contacts are locked, as everywhere, and a contact to merge with."""
    for row in rows:
        if row.wrote_at is not None:  # then this is the number that WhatsApp named
            account = Account(phone=row.phone, lid=None)
            whatsapp_accounts.remember(connection, phone=row.phone, account=account)
    for phone in sorted({canonical_or_same(row.phone) for row in rows}):
        insert_or_ignore(connection, contacts, {"phone": phone})


def _merge_contacts(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Merge each with the contact of the kept number: latest check, earliest first text."""
    for row in rows:
        phone = canonical_or_same(row.phone)
        kept = connection.execute(select(contacts).where(contacts.c.phone == phone)).first()
        connection.execute(delete(contacts).where(contacts.c.phone == row.phone))
        both = [row] if kept is None else [row, kept]
        insert_or_update(connection, contacts, {"phone": phone}, _merged(both))


def _merged(rows: Sequence[Row[Any]]) -> dict[str, object]:
    checked = [row for row in rows if row.on_whatsapp is not None]
    latest = max(checked, key=lambda row: row.checked_at or 0, default=None)
    return {
        "on_whatsapp": None if latest is None else latest.on_whatsapp,
        "checked_at": None if latest is None else latest.checked_at,
        "wrote_at": min((row.wrote_at for row in rows if row.wrote_at is not None), default=None),
    }


def _merge_link_answers(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        phone = canonical_or_same(row.phone)
        values = {"phone": phone, "answered_at": row.answered_at}
        insert_or_ignore(connection, link_answers, values)
        connection.execute(delete(link_answers).where(link_answers.c.phone == row.phone))


REWRITES: Final = (
    NumberRewrite(
        verifications.c.id,
        (verifications.c.phone, verifications.c.proved_phone),
        _update(verifications.c.id, verifications.c.phone, verifications.c.proved_phone),
    ),
    NumberRewrite(contacts.c.phone, (contacts.c.phone,), _merge_contacts, _prepare_contacts),
    NumberRewrite(link_answers.c.phone, (link_answers.c.phone,), _merge_link_answers),
    NumberRewrite(
        inbound_messages.c.id,
        (inbound_messages.c.phone,),
        _update(inbound_messages.c.id, inbound_messages.c.phone),
    ),
    NumberRewrite(messages.c.id, (messages.c.phone,), _change_messages),
)
