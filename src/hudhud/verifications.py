"""Start a verification: make a code and, in one transaction, store it with its message."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, select, update

from hudhud import queue, tally, texts
from hudhud.clock import now_ms
from hudhud.codes import new_code
from hudhud.db.engine import Database, insert_rows
from hudhud.db.tables import messages, verifications
from hudhud.errors import QueueUnavailable
from hudhud.messages import QUEUED
from hudhud.phones import Phone
from hudhud.sealing import CodeSealer
from hudhud.settings import Settings
from hudhud.templates import locale_for, render

PENDING = "pending"
EXPIRED = "expired"
# A bound on how long one transaction holds the lock.
EXPIRED_AT_ONCE = 1000
ID_BYTES = 16


def new_verification_id(now: int) -> str:
    """Return an id that nobody can guess; rising with time, so that its index grows at one end."""
    return f"v{now:011x}{secrets.token_hex(ID_BYTES)}"


@dataclass(frozen=True, slots=True)
class NewVerification:
    """A verification that is made but not yet stored; `code` leaves memory only sealed."""

    id: str
    phone: Phone
    code: str
    code_digest: bytes
    code_index: bytes
    code_sealed: bytes
    body: str
    api_key: str
    request_id: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A verification that is on disk."""

    message_id: int
    verification: NewVerification


class VerificationStarter:
    """Makes verifications by the settings and writes them, many in one transaction."""

    def __init__(self, settings: Settings, database: Database, sealer: CodeSealer) -> None:
        self._settings = settings
        self._database = database
        self._sealer = sealer

    def make(self, phone: Phone, *, api_key: str, request_id: str, now: int) -> NewVerification:
        """Choose the code and the wording for `phone`; nothing is stored yet."""
        settings = self._settings
        locale = locale_for(phone.country, settings.default_locale)
        verification_id = new_verification_id(now)
        code = new_code(settings.otp_length)
        return NewVerification(
            id=verification_id,
            phone=phone,
            code=code,
            code_digest=self._sealer.digest(verification_id, code),
            code_index=self._sealer.index(code),
            code_sealed=self._sealer.seal(verification_id, code),
            body=render(locale, brand=settings.brand_name, ttl_seconds=settings.otp_ttl_seconds),
            api_key=api_key,
            request_id=request_id,
            created_at=now,
            expires_at=now + settings.otp_ttl_seconds * 1000,
        )

    def write(
        self, connection: Connection, group: Sequence[NewVerification]
    ) -> list[Accepted | Exception]:
        """Store as many of the group as can arrive in time; refuse the others.

        The refused get QueueUnavailable with the seconds after which a place is free.
        """
        settings = self._settings
        if settings.mean_send_gap > 0:
            self._database.lock_for_admission(connection)
        room = queue.room(
            connection,
            channel=settings.channel,
            mean_gap=settings.mean_send_gap,
            validity=settings.otp_ttl_seconds,
            now=now_ms(),
        )
        taken = group if room is None else group[: room.places]
        results: list[Accepted | Exception] = []
        if taken:
            results.extend(self._insert(connection, taken))
            self._database.ring(connection)
        if room is not None:
            refused = group[len(taken) :]
            results.extend(QueueUnavailable("the queue is full", room.retry_after) for _ in refused)
        return results

    def _insert(
        self, connection: Connection, group: Sequence[NewVerification]
    ) -> list[Accepted | Exception]:
        ids = self._database.new_ids(connection, messages, len(group))
        insert_rows(connection, verifications, [_verification_row(new) for new in group])
        rows = [self._message_row(number, new) for number, new in zip(ids, group, strict=True)]
        insert_rows(connection, messages, rows)
        texts.keep(connection, [new.body for new in group])
        count = len(group)
        tally.add(connection, now=now_ms(), moved={QUEUED: count}, happened={"accepted": count})
        return [Accepted(number, new) for number, new in zip(ids, group, strict=True)]

    def _message_row(self, number: int, new: NewVerification) -> dict[str, object]:
        return {
            "id": number,
            "verification_id": new.id,
            "channel": self._settings.channel,
            "phone": new.phone.number,
            "body": new.body,
            "body_key": texts.key(new.body),
            "status": QUEUED,
            "attempts": 0,
            "available_at": new.created_at,
            "expires_at": new.expires_at,
            "request_id": new.request_id,
            "created_at": new.created_at,
        }


def _verification_row(new: NewVerification) -> dict[str, object]:
    return {
        "id": new.id,
        "phone": new.phone.number,
        "status": PENDING,
        "code_digest": new.code_digest,
        "code_index": new.code_index,
        "code_sealed": new.code_sealed,
        "api_key": new.api_key,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
    }


def expire(connection: Connection, *, now: int) -> int:
    """End verifications whose time is over and erase their codes; return how many."""
    over = (
        select(verifications.c.id)
        .where(verifications.c.expires_at <= now, verifications.c.code_sealed.is_not(None))
        .limit(EXPIRED_AT_ONCE)
    )
    result = connection.execute(
        update(verifications)
        .where(verifications.c.id.in_(over))
        .values(
            status=case((verifications.c.status == PENDING, EXPIRED), else_=verifications.c.status),
            code_index=None,
            code_sealed=None,
        )
    )
    return result.rowcount
