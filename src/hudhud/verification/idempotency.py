"""The same request twice gives the same answer: `Idempotency-Key`, for 24 hours.

Whoever writes a key's row first does what is asked. On PostgreSQL a second one waits there for the
first one's commit; on SQLite there is only one writer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select

from hudhud.core.clock import DAY_MS
from hudhud.core.crypto import CodeCipher
from hudhud.db.batches import delete_some
from hudhud.db.tables import idempotency_keys
from hudhud.db.upserts import insert_missing

KEPT_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A key that a caller chose, and what was asked with it; only digests are kept."""

    owner: str
    key_digest: bytes
    body_digests: Sequence[bytes]  # under the secret in force, then under the one before it

    @classmethod
    def of(cls, owner: str, key: str, body: bytes, cipher: CodeCipher) -> "IdempotentRequest":
        """Digest a key and a body."""
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        return cls(owner, digest, cipher.request_digests(body))

    @property
    def place(self) -> tuple[str, bytes]:
        """What tells it from other requests."""
        return self.owner, self.key_digest


@dataclass(frozen=True, slots=True)
class Original:
    """The request that came first under a key: what it started, and whether its body was this."""

    verification_id: str
    same_body: bool


def claim(
    connection: Connection, asked: Sequence[tuple[IdempotentRequest, str]], *, now: int
) -> list[Original]:
    """Write down keys with the verifications they start; return who was first for each."""
    if not asked:
        return []
    here = _at([request for request, _ in asked])
    over = idempotency_keys.c.created_at <= now - KEPT_MS
    connection.execute(delete(idempotency_keys).where(here, over))
    # In one order everywhere, so that two transactions cannot wait for each other.
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
    """Forget the keys of requests that were refused: they may be tried again."""
    if not refused:
        return
    mine = idempotency_keys.c.verification_id.in_([one for _, one in refused])
    here = _at([request for request, _ in refused])
    connection.execute(delete(idempotency_keys).where(here, mine))


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` keys that are as old as `before`; return how many."""
    created = idempotency_keys.c.created_at
    is_old = created <= before
    return delete_some(connection, idempotency_keys, is_old, order=created, limit=limit)


def _at(requests: Sequence[IdempotentRequest]) -> ColumnElement[bool]:
    """The condition of these keys, an index look-up each.

    Not as a list of pairs, with which SQLite compares every row there is.
    """
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
