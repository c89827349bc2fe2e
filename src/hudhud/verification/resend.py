"""Resend a valid code: a few times, after growing waits."""

import math
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from hudhud.auth import api_keys
from hudhud.auth.caller import Caller
from hudhud.channels.registry import channel_type
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import BadRequest, Conflict, Gone, TooMany
from hudhud.core.phones import Phone, stored_phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from hudhud.db.upserts import insert_rows
from hudhud.messages import admission, counters, states, text_store, whatsapp_accounts
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.states import QUEUED, SENDING
from hudhud.messages.templates.catalog import Templates
from hudhud.senders.carriers import carriers
from hudhud.verification import lifecycle, strangers
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.kept_answers import KeptAnswers
from hudhud.verification.lifecycle import EXPIRED, FAILED, OVER, PENDING
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limits, Quota
from hudhud.verification.strangers import Addressed

# Seconds between the previous message and the first, second and third resend.
WAITS = (30, 60, 120)
ENDED = "This verification has ended. Send a new code."
STILL_QUEUED = "Its message has not been sent yet."
TOO_EARLY = "The code was sent a moment ago. Wait before it is sent again."
NO_MORE = "The code was sent again as often as it may be. Send a new one."


@dataclass(frozen=True, slots=True)
class Resent:
    """The message of a resend; the code is valid until `expires_at`."""

    verification_id: str
    message_id: int
    expires_at: int
    resends_left: int
    quota: Quota
    is_repeated: bool = False


_LOCKED = select(tables.verifications).with_for_update()


_LAST_MESSAGE = select(tables.messages).order_by(tables.messages.c.id.desc()).limit(1)


class Resender:
    """Queues resends for pending verifications."""

    def __init__(
        self,
        database: Database,
        cipher: CodeCipher,
        templates: Templates,
        countries: CountryPolicy,
        limits: Limits,
        *,
        mean_gap: float,
    ) -> None:
        self._database = database
        self._kept = KeptAnswers(cipher.answers, Resent)
        self._templates = templates
        self._countries = countries
        self._limits = limits
        self._mean_gap = mean_gap

    def queue(
        self,
        connection: Connection,
        verification_id: str,
        *,
        caller: Caller,
        request_id: str,
        now: int,
        idempotent: IdempotentRequest | None = None,
    ) -> Resent:
        """Queue the code of an existing verification again, with unchanged validity.

        A request repeated under the same Idempotency-Key gets its first answer again.
        Raises Gone, Conflict, Contradiction, NotAllowed, TooMany, SenderRestricted or
        QueueUnavailable, without changing anything.
        """
        endpoint = f"resend {verification_id}"
        self._kept.lock(connection, endpoint, [idempotent])
        first = self._kept.find(connection, endpoint, idempotent, now=now)
        if first is not None:
            return first
        resent = self._queue(connection, verification_id, caller, request_id, now)
        repeated = replace(resent, quota=NO_LIMITS, is_repeated=True)
        self._kept.keep(connection, endpoint, idempotent, repeated, now=now)
        return resent

    def _queue(
        self,
        connection: Connection,
        verification_id: str,
        caller: Caller,
        request_id: str,
        now: int,
    ) -> Resent:
        # The same lock order as in a send.
        lock(connection, Lock.ADMISSION)
        lock(connection, Lock.LIMITS)
        row = connection.execute(_LOCKED.where(tables.verifications.c.id == verification_id)).one()
        last = connection.execute(
            _LAST_MESSAGE.where(tables.messages.c.verification_id == verification_id)
        ).first()
        if last is None:  # its link has not been used yet
            raise Conflict(STILL_QUEUED, "still_queued")
        _refuse_ended(row, now)
        _refuse_early(row, last, now)
        self._countries.check(stored_phone(row.phone))
        if channel_type(last.channel).is_paced:
            self._refuse_out_of_reach(connection, last, row.expires_at, now)
        quota = self._take_limits(connection, caller, stored_phone(row.phone), now)
        number = self._insert(connection, row, last, request_id, now)
        return Resent(row.id, number, row.expires_at, len(WAITS) - row.resends - 1, quota)

    def _refuse_out_of_reach(
        self, connection: Connection, last: Row[Any], expires_at: int, now: int
    ) -> None:
        """Raise an error if paced senders cannot deliver the code in time."""
        found = carriers(connection, channel=last.channel, now=now)
        code = {last.verification_id: Addressed(last.phone, expires_at)}
        for error in strangers.refuse(connection, found.restriction, code, now=now).values():
            raise error
        left = (expires_at - now) / 1000
        room = admission.room(
            connection,
            channel=last.channel,
            senders=found.alive,
            mean_gap=self._mean_gap,
            validity=left,
        )
        if room is not None and room.places(left) == 0:
            raise admission.full(room)

    def _take_limits(self, connection: Connection, caller: Caller, phone: Phone, now: int) -> Quota:
        applying = self._limits.of_send(caller, phone, None)
        if not applying:
            return NO_LIMITS
        numbers = whatsapp_accounts.numbers_of(connection, [phone.number])[phone.number]
        of_person = rate_limits.for_each_number(applying, phone.number, numbers)
        (taken,) = rate_limits.take(connection, [of_person], now=now)
        if isinstance(taken, TooMany):
            raise taken
        return taken

    def _insert(
        self,
        connection: Connection,
        row: Row[Any],
        last: Row[Any],
        request_id: str,
        now: int,
    ) -> int:
        (number,) = self._database.new_ids(connection, tables.messages, 1)
        body = self._body(connection, row, now)
        new = states.new_row(
            number,
            verification_id=row.id,
            channel=last.channel,
            phone=last.phone,
            body=body,
            request_id=request_id,
            created_at=now,
            expires_at=row.expires_at,
            only_sender=last.only_sender,
        )
        insert_rows(connection, tables.messages, [new])
        text_store.keep(connection, [body])
        lifecycle.reopen(connection, [row.id])
        connection.execute(
            update(tables.verifications)
            .where(tables.verifications.c.id == row.id)
            .values(resends=tables.verifications.c.resends + 1)
        )
        counters.add(connection, now=now, moved={QUEUED: 1}, happened={"accepted": 1})
        self._database.notify(connection)
        return number

    def _body(self, connection: Connection, row: Row[Any], now: int) -> str:
        """Render the message; use the default template if its own is gone."""
        key_name = api_keys.name_of(connection, row.api_key)
        country = stored_phone(row.phone).country
        locale = row.locale or self._templates.choose_locale(country, None, key_name)
        left = (row.expires_at - now) // 1000
        try:
            _, body = self._templates.render(
                row.template, locale, key_name=key_name, ttl_seconds=left
            )
        except BadRequest:
            _, body = self._templates.render(None, locale, key_name=key_name, ttl_seconds=left)
        return body


def _refuse_ended(row: Row[Any], now: int) -> None:
    if row.status == EXPIRED or row.expires_at <= now + LAST_CALL_MS:
        raise Gone(OVER, "expired")
    if row.status not in (PENDING, FAILED) or row.code_sealed is None:
        raise Conflict(ENDED, "not_pending")


def _refuse_early(row: Row[Any], last: Row[Any], now: int) -> None:
    if last.status in (QUEUED, SENDING):
        raise Conflict(STILL_QUEUED, "still_queued")
    if row.resends >= len(WAITS):
        raise TooMany(NO_MORE, "resends_used_up", None)
    left = last.created_at + WAITS[row.resends] * 1000 - now
    if left > 0:
        raise TooMany(TOO_EARLY, "resend_too_early", math.ceil(left / 1000))
