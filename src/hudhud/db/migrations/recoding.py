"""Give codes to sentences from before revision 0004; frozen like it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Connection,
    TableClause,
    Text,
    and_,
    bindparam,
    column,
    select,
    table,
    true,
    update,
)

from hudhud.db.migrations.old_sentences import OTHER, coded

MARK = "_of"
MARK_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Recoding:
    """The sentences in one column of a table, ordered by `key`."""

    table: TableClause
    key: ColumnClause[Any]
    sentence: str
    which: ColumnElement[bool]

    @property
    def name(self) -> str:
        """The name under which `installation` stores the position."""
        return f"0004 {self.table.name}.{self.sentence}"

    def window(self, connection: Connection, before: str | None, limit: int) -> Sequence[Any]:
        """Return the next rows' keys, newest first, with whether each is old."""
        rows = self._rows().order_by(self.key.desc()).limit(limit)
        if before is not None:
            rows = rows.where(self.key < self._position(before))
        return [(row[0], _is_old(row)) for row in connection.execute(rows)]

    def rewrite(self, connection: Connection, keys: Sequence[Any]) -> int:
        """Give these rows codes, except locked ones; return how many."""
        held = self._rows().where(self.key.in_(keys)).order_by(self.key)
        rows = connection.execute(held.with_for_update(skip_locked=True)).all()
        values = [_values(row) for row in rows if _is_old(row)]
        if values:
            connection.execute(self._update(), values)
            if self.table.name == "messages":
                self._recode_texts(connection, values)
        return len(values)

    def _rows(self) -> Any:
        named = (self.sentence, f"{self.sentence}_code", f"{self.sentence}_params")
        return select(
            self.key.label("key"),
            *(self.table.c[name].label(label) for name, label in zip(named, _LABELS, strict=True)),
            self.which.label("counts"),
        )

    def _update(self) -> Any:
        return (
            update(self.table)
            .where(self.key == bindparam("b_key"))
            .values(
                {
                    f"{self.sentence}_code": bindparam("b_code"),
                    f"{self.sentence}_params": bindparam("b_params"),
                }
            )
        )

    def _position(self, text: str) -> int | str:
        return int(text) if isinstance(self.key.type, BigInteger) else text

    def _recode_texts(self, connection: Connection, values: Sequence[dict[str, Any]]) -> None:
        known = {_key(one["b_text"]): one for one in values if one["b_code"] != OTHER}
        # The worker that locks a row writes its code.
        free = select(_TEXTS.c.key).where(_TEXTS.c.key.in_(known), _TEXTS.c.code.is_(None))
        rows = [
            {
                "b_key": key,
                "b_code": known[key]["b_code"],
                "b_params": _unmarked(known[key]["b_text"]),
            }
            for key in connection.scalars(free.with_for_update(skip_locked=True))
        ]
        if rows:
            connection.execute(_RECODE_TEXT, rows)


def _recoding(
    name: str, sentence: str, key: str = "id", which: ColumnElement[bool] | None = None
) -> Recoding:
    kind = Text() if key == "name" else BigInteger()
    columns = (sentence, f"{sentence}_code", f"{sentence}_params")
    of_table = table(name, column(key, kind), *(column(one, Text()) for one in columns))
    return Recoding(of_table, of_table.c[key], sentence, true() if which is None else which)


def _is_old(row: Any) -> bool:
    """Return whether a text lacks a code or has an outdated one."""
    if not row.counts or row.text is None:
        return False
    return row.code is None or _mark_in(row.params) != _mark(row.text)


def _mark_in(params: str | None) -> object:
    try:
        found = json.loads(params or "{}")
    except ValueError:
        return None
    return found.get(MARK) if isinstance(found, dict) else None


def _values(row: Any) -> dict[str, Any]:
    code, params = coded(row.text)
    marked = json.dumps({**params, MARK: _mark(row.text)}, ensure_ascii=False)
    return {"b_key": row.key, "b_code": code, "b_params": marked, "b_text": row.text}


def _unmarked(text: str) -> str | None:
    params = coded(text)[1]
    return json.dumps(params, ensure_ascii=False) if params else None


def _mark(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:MARK_DIGITS]


def _key(text: str) -> int:
    digest = sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


_LABELS = ("text", "code", "params")
_TEXTS = table("texts", column("key", BigInteger()), column("code"), column("params"))
_RECODE_TEXT = (
    update(_TEXTS)
    .where(_TEXTS.c.key == bindparam("b_key"), _TEXTS.c.code.is_(None))
    .values(code=bindparam("b_code"), params=bindparam("b_params"))
)
# Other steps hold the name of the admin who retried or canceled the message.
_IS_ERROR = column("kind", Text()).not_in(("retried", "canceled"))
# The result is a pairing code.
_IS_PAIR_CODE = and_(column("kind", Text()) == "pair_phone", column("status", Text()) == "done")

RECODINGS = (
    _recoding("senders", "detail", key="name"),
    _recoding("commands", "result", which=~_IS_PAIR_CODE),
    _recoding("webhook_endpoints", "disabled_reason"),
    _recoding("messages", "error"),
    _recoding("message_steps", "text", which=_IS_ERROR),
    _recoding("webhook_deliveries", "last_error"),
    _recoding("audit", "detail"),
)
