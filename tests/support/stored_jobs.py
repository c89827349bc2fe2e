"""Messages in any state, inserted with all their related rows."""

import itertools
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import Sentence
from hudhud.core.stored_sentences import columns
from hudhud.db import phone_index
from hudhud.db.engine import Database
from hudhud.db.tables import messages, metadata, verifications
from hudhud.db.upserts import SHARD
from hudhud.messages import counters, text_store
from support.queued import NOW, PHONE, SECRET, VALIDITY_MS

BODY = "Your Acme code:\n\n{code}\n\nNever share it."
CIPHER = CodeCipher(SECRET)
_numbers = itertools.count()


@dataclass(frozen=True)
class StoredJob:
    """The description of a message; `code` is None once it is erased."""

    phone: str = PHONE
    body: str = BODY
    error: Sentence | str | None = None  # only a text: from before codes existed
    status: str = "queued"
    code: str | None = "4711"
    cipher: CodeCipher = CIPHER
    created_at: int = NOW
    validity_ms: int = VALIDITY_MS
    sender: str | None = None
    sent_at: int | None = None
    finished_at: int | None = None
    request_id: str | None = None
    reference: str | None = None
    api_key: str = "k"


def put_jobs(database: Database, *jobs: StoredJob, shard: int = SHARD) -> list[int]:
    """Insert messages with all earlier events; return their ids.

    The newer half waits for the index of phones.
    """
    with database.write() as connection:
        ids = database.new_ids(connection, messages, len(jobs))
        rows = [_rows(number, job) for number, job in zip(ids, jobs, strict=True)]
        if rows:
            connection.execute(insert(verifications), [verification for verification, _ in rows])
            connection.execute(insert(messages), [message for _, message in rows])
            index_phones(connection, len(rows) // 2)
        text_store.keep(connection, [job.body for job in jobs])
        text_store.keep(connection, [job.error for job in jobs if isinstance(job.error, str)])
        text_store.keep_errors(
            connection, [one.error for one in jobs if isinstance(one.error, Sentence)]
        )
        moved = Counter(job.status for job in jobs)
        counters.add(connection, now=NOW, moved=moved, shard=shard)
    return ids


def index_phones(connection: Connection, most: int) -> None:
    """Add messages to the index of phones, as housekeeping does."""
    if phone_index.has_new(connection):
        phone_index.index_some(connection, most)


def forget_everything(database: Database) -> None:
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


def _error(error: Sentence | str | None) -> dict[str, object]:
    if isinstance(error, str):
        return {**columns("error", None), "error": error, "error_key": text_store.key(error)}
    key = None if error is None else text_store.key(error.english())
    return {**columns("error", error), "error_key": key}


def _rows(number: int, job: StoredJob) -> tuple[dict[str, object], dict[str, object]]:
    name = f"v{next(_numbers)}"
    code = job.code
    verification: dict[str, object] = {
        "id": name,
        "phone": job.phone,
        "status": "pending",
        "code_digest": b"",
        "code_index": None if code is None else job.cipher.index(code),
        "code_sealed": None if code is None else job.cipher.codes.seal(name, code),
        "api_key": job.api_key,
        "reference": job.reference,
        "created_at": job.created_at,
        "expires_at": job.created_at + job.validity_ms,
    }
    message: dict[str, object] = {
        "id": number,
        "verification_id": name,
        "channel": "sandbox",
        "phone": job.phone,
        "body": job.body,
        "body_key": text_store.key(job.body),
        **_error(job.error),
        "status": job.status,
        "attempts": 0,
        "available_at": job.created_at,
        "created_at": job.created_at,
        "expires_at": job.created_at + job.validity_ms,
        "sender": job.sender,
        "sent_at": job.sent_at,
        "finished_at": job.finished_at,
        "request_id": job.request_id,
    }
    return verification, message
