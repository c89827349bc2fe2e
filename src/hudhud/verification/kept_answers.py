"""Answers to checks, links and resends, kept for repetitions under one Idempotency-Key.

Only the answer of a request that changed something is kept, for 24 hours. It may contain a link's
token or a person's number, so it is sealed.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, select

from hudhud.core.crypto import Cipher
from hudhud.db import tables
from hudhud.db.batches import delete_some
from hudhud.db.locks import lock_idempotency_keys
from hudhud.db.upserts import insert_or_update
from hudhud.verification.idempotency import KEPT_MS, IdempotentRequest, other_body


class _Answer(Protocol):
    @property
    def verification_id(self) -> str: ...


# A dataclass; a field added later needs a default, because answers of the version before lack it.
Answer = TypeVar("Answer", bound=_Answer)


class KeptAnswers(Generic[Answer]):
    """Answers of one type; requests without a key (None) have none.

    A key may be used once for each `endpoint`.
    """

    def __init__(self, cipher: Cipher, kind: type[Answer]) -> None:
        self._cipher = cipher
        self._kind = kind

    def lock(
        self, connection: Connection, endpoint: str, requests: Iterable[IdempotentRequest | None]
    ) -> None:
        """Wait for the answers of simultaneous requests; call it once, before other locks."""
        places = [_place(endpoint, one) for one in requests if one is not None]
        lock_idempotency_keys(connection, places)

    def find(
        self,
        connection: Connection,
        endpoint: str,
        request: IdempotentRequest | None,
        *,
        now: int,
    ) -> Answer | None:
        """Return the answer to the first request with this key, or None.

        Raises Contradiction if its body was another, or SealingError if its secret is not set.
        """
        if request is None:
            return None
        is_kept = tables.kept_answers.c.created_at > now - KEPT_MS
        found = select(tables.kept_answers).where(_here(endpoint, request), is_kept)
        row = connection.execute(found).first()
        if row is None:
            return None
        if row.body_digest not in request.body_digests:
            raise other_body()
        opened = self._cipher.open(row.verification_id, row.answer_sealed)
        return msgspec.json.decode(opened, type=self._kind)

    def keep(
        self,
        connection: Connection,
        endpoint: str,
        request: IdempotentRequest | None,
        answer: Answer,
        *,
        now: int,
    ) -> None:
        """Keep an answer as repetitions of the request will get it."""
        if request is None:
            return
        key = {"api_key": request.owner, "endpoint": endpoint, "key_digest": request.key_digest}
        text = msgspec.json.encode(answer).decode()
        values = {
            "body_digest": request.body_digests[0],
            "verification_id": answer.verification_id,
            "answer_sealed": self._cipher.seal(answer.verification_id, text),
            "created_at": now,
        }
        insert_or_update(connection, tables.kept_answers, key, values)


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` answers kept since `before` or earlier; return how many."""
    created = tables.kept_answers.c.created_at
    is_old = created <= before
    return delete_some(connection, tables.kept_answers, is_old, order=created, limit=limit)


def _place(endpoint: str, request: IdempotentRequest) -> str:
    return f"{request.owner} {endpoint} {request.key_digest.hex()}"


def _here(endpoint: str, request: IdempotentRequest) -> ColumnElement[bool]:
    return and_(
        tables.kept_answers.c.api_key == request.owner,
        tables.kept_answers.c.endpoint == endpoint,
        tables.kept_answers.c.key_digest == request.key_digest,
    )
