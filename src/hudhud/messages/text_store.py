"""Distinct texts of messages (bodies and errors), each stored once.

Millions of messages share a few texts. A search looks for matching texts first, then for the
messages that refer to them by key.
"""

from collections.abc import Callable, Collection, Iterator
from hashlib import sha256

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

from hudhud.core.clock import HOUR_MS
from hudhud.core.english import OTHER
from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import decoded_text, encoded
from hudhud.db.engine import Database
from hudhud.db.locks import lock_table
from hudhud.db.tables import messages, storable, texts
from hudhud.db.upserts import insert_missing
from hudhud.messages.templates.catalog import with_code

KEY_BYTES = 8
MOST_FOUND = 100
# Errors with parameters are rendered one by one; this many take a few milliseconds.
MOST_READ = 500
MASK = "••••"
ORPHANS_MS = HOUR_MS


def key(text: str) -> int:
    """Return the text key: 64 bits of the SHA-256, as signed integer."""
    return int.from_bytes(
        sha256(text.encode("utf-8", "replace")).digest()[:KEY_BYTES], "big", signed=True
    )


def keep(connection: Connection, found: Collection[str]) -> dict[str, int]:
    """Store new texts with `{code}` masked; return the key of every text."""
    keys = {text: key(text) for text in sorted(set(found))}
    if keys:
        rows = [{"key": number, "text": _shown(text)} for text, number in keys.items()]
        insert_missing(connection, texts, rows)
    return keys


# For texts stored by a version that had no error codes.
_ADD_CODE = (
    update(texts)
    .where(texts.c.key == bindparam("b_key"), texts.c.code.is_(None))
    .values(code=bindparam("b_code"), params=bindparam("b_params"))
)


def keep_errors(connection: Connection, found: Collection[Sentence]) -> None:
    """Store new errors with their codes, by which they are also found."""
    by_text = {sentence.english(): sentence for sentence in found}
    rows = [
        {
            "key": key(text),
            "text": _shown(text),
            "code": by_text[text].code,
            "params": encoded(by_text[text]),
        }
        for text in sorted(by_text)
    ]
    if rows:
        insert_missing(connection, texts, rows)
        connection.execute(_ADD_CODE, [{f"b_{name}": row[name] for name in row} for row in rows])


def find(
    connection: Connection,
    fragment: str,
    *,
    codes: Collection[str] = (),
    reads: Callable[[Sentence], bool] | None = None,
    most: int = MOST_FOUND,
) -> list[int]:
    """Return keys of at most `most` texts that contain the fragment.

    Ignores case. Errors are also found by their codes, and errors with parameters if `reads`
    accepts them.
    """
    fits = or_(texts.c.text.icontains(fragment, autoescape=True), texts.c.code.in_(codes))
    found = list(connection.scalars(select(texts.c.key).where(fits).limit(most)))
    if reads is not None and len(found) < most:
        found += [number for number in _read(connection, reads) if number not in found]
    return found[:most]


def _read(connection: Connection, reads: Callable[[Sentence], bool]) -> Iterator[int]:
    """Yield the keys of the errors with parameters that `reads` accepts."""
    has_parameters = (texts.c.params.is_not(None), texts.c.code != OTHER)
    with_parameters = select(texts).where(*has_parameters).limit(MOST_READ)
    for row in connection.execute(with_parameters):
        sentence = decoded_text(row.code, row.params)
        if sentence is not None and reads(sentence):
            yield row.key


class Orphans:
    """Removes texts that no message refers to, with one scan per hour."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after: int | None = None
        self._next_at = 0

    def purge(self, connection: Connection, *, before: int, limit: int) -> int:
        """Delete unused texts among the next `limit`; return how many were checked."""
        if before < self._next_at:
            return 0
        next_texts = select(texts.c.key).order_by(texts.c.key).limit(limit)
        if self._after is not None:
            next_texts = next_texts.where(texts.c.key > self._after)
        keys = connection.scalars(next_texts).all()
        if len(keys) < limit:
            self._after, self._next_at = None, before + ORPHANS_MS
        else:
            self._after = keys[-1]
        if self._are_unused(connection, keys):
            # Check again under the lock: an uncommitted transaction may refer to one of them.
            lock_table(connection, texts)
            unused = self._are_unused(connection, keys)
            connection.execute(delete(texts).where(texts.c.key.in_(unused)))
        return len(keys)

    def _are_unused(self, connection: Connection, keys: Collection[int]) -> list[int]:
        of_message = [
            select(messages.c.id).where(column == texts.c.key).limit(1).scalar_subquery()
            for column in (messages.c.body_key, messages.c.error_key)
        ]
        unused = and_(*(found.is_(None) for found in of_message))
        return list(connection.scalars(select(texts.c.key).where(texts.c.key.in_(keys), unused)))


def _shown(text: str) -> str:
    """Mask `{code}`, and remove characters that databases reject."""
    return storable(with_code(text, MASK))
