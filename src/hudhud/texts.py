"""The texts that messages have had: their bodies and errors, each kept once.

Millions of messages share a few texts. A search looks among these, then for the messages that have
one of them, by its key.
"""

from collections.abc import Collection
from hashlib import sha256

from sqlalchemy import Connection, or_, select

from hudhud.db.engine import insert_missing
from hudhud.db.tables import storable, texts
from hudhud.templates import with_code

KEY_BYTES = 8
MOST_FOUND = 100
MASK = "••••"


def key(text: str) -> int:
    """Return the key of a text: 64 bits of its SHA-256, with a sign as databases have it."""
    return int.from_bytes(
        sha256(text.encode("utf-8", "replace")).digest()[:KEY_BYTES], "big", signed=True
    )


def keep(connection: Connection, found: Collection[str]) -> dict[str, int]:
    """Store texts that are not stored yet, with the code's place masked; return the key of each."""
    keys = {text: key(text) for text in sorted(set(found))}
    if keys:
        rows = [{"key": number, "text": _shown(text)} for text, number in keys.items()]
        insert_missing(connection, texts, rows)
    return keys


def containing(connection: Connection, *fragments: str) -> list[int]:
    """Return the keys of texts that hold any fragment, in whatever case; at most `MOST_FOUND`."""
    holds = or_(*(texts.c.text.icontains(fragment, autoescape=True) for fragment in fragments))
    return list(connection.scalars(select(texts.c.key).where(holds).limit(MOST_FOUND)))


def _shown(text: str) -> str:
    """Mask the code's place, and leave out what no database takes."""
    return storable(with_code(text, MASK))
