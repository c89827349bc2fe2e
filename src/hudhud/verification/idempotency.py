"""Idempotency keys of sends: repeating one within 24 hours gives the same answer.

The request that inserts the key's row first is executed. On PostgreSQL a second insert waits for
the first one's commit; SQLite has only one writer. `kept_answers.py` does the same for other
requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select

from hudhud.core.clock import DAY_MS
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import Contradiction
from hudhud.db.batches import delete_some
from hudhud.db.tables import idempotency_keys
from hudhud.db.upserts import insert_missing

KEPT_MS = DAY_MS
OTHER_BODY = "This Idempotency-Key was used with another body before. Use a new key for it."


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A caller's idempotency key and request body, both as digests."""

    owner: str
    key_digest: bytes
    body_digests: Sequence[bytes]  # with the current secret, then with the previous one

    @classmethod
    def of(cls, owner: str, key: str, body: bytes, cipher: CodeCipher) -> "IdempotentRequest":
        """Build a request from its key and body."""
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        return cls(owner, digest, cipher.request_digests(body))

    @property
    def place(self) -> tuple[str, bytes]:
        """The owner and key digest that identify the request."""
        return self.owner, self.key_digest


@dataclass(frozen=True, slots=True)
class Original:
    """A key's first request: its verification, and whether the bodies match."""

    verification_id: str
    same_body: bool


def other_body() -> Contradiction:
    """Return the refusal of a request whose key was used with another body."""
    return Contradiction(OTHER_BODY, "idempotency_key_reused")


def claim(
    connection: Connection, asked: Sequence[tuple[IdempotentRequest, str]], *, now: int
) -> list[Original]:
    """Store keys with their verifications; return each key's first request."""
    if not asked:
        return []
    here = _at([request for request, _ in asked])
    over = idempotency_keys.c.created_at <= now - KEPT_MS
    connection.execute(delete(idempotency_keys).where(here, over))
    # Always in the same order, so that two transactions cannot deadlock.
    in_order = sorted(asked, key=lambda one: one[0].place)
    insert_missing(connection, idempotency_keys, [_row(*one, now) for one in in_order])
    found = {
        (row.api_key, row.key_digest): row
        for row in connection.execute(select(idempotency_keys).where(here))
    }
    first = [(found[request.place], request) for request, _ in asked]
    return [
        Original(row.verification_id, row.body_digest in one.body_digests) for row, one in first
    ]


def release(connection: Connection, refused: Sequence[tuple[IdempotentRequest, str]]) -> None:
    """Delete the keys of refused requests, so that they can be retried."""
    if not refused:
        return
    mine = idempotency_keys.c.verification_id.in_([one for _, one in refused])
    here = _at([request for request, _ in refused])
    connection.execute(delete(idempotency_keys).where(here, mine))


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` keys created by `before`; return how many."""
    created = idempotency_keys.c.created_at
    is_old = created <= before
    return delete_some(connection, idempotency_keys, is_old, order=created, limit=limit)


def _at(requests: Sequence[IdempotentRequest]) -> ColumnElement[bool]:
    # Conditions per owner instead of a list of pairs, for which SQLite would scan the table.
    digests: dict[str, set[bytes]] = {}
    for request in requests:
        digests.setdefault(request.owner, set()).add(request.key_digest)
    return or_(
        *(
            and_(idempotency_keys.c.api_key == owner, idempotency_keys.c.key_digest.in_(of_owner))
            for owner, of_owner in sorted(digests.items())
        )
    )


def _row(request: IdempotentRequest, verification_id: str, now: int) -> dict[str, object]:
    return {
        "api_key": request.owner,
        "key_digest": request.key_digest,
        "body_digest": request.body_digests[0],
        "verification_id": verification_id,
        "created_at": now,
    }
