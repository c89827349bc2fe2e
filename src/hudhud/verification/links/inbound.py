"""Handle inbound messages: answer link tokens, ignore all other texts.

Runs once per message, in the transaction that stores it, so that a repetition by the provider
changes nothing. Several senders may receive the same token: the first to use it erases it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection, Row, Select, select, update

from hudhud.auth import api_keys
from hudhud.channels.base import SANDBOX, Inbound
from hudhud.core.clock import HOUR_MS
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import NotAllowed
from hudhud.core.phones import mask_phone, parse_phone
from hudhud.db import tables
from hudhud.db.batches import delete_some
from hudhud.db.engine import Database
from hudhud.db.upserts import insert_or_update, insert_rows
from hudhud.messages import counters, states, text_store
from hudhud.messages.states import QUEUED
from hudhud.messages.templates.catalog import Templates
from hudhud.verification import lifecycle
from hudhud.verification.codes import new_code
from hudhud.verification.lifecycle import PENDING
from hudhud.verification.limits import conversions
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.links import tokens as tokens_module

# Answer an invalid token at most once per hour and phone.
ANSWERED_AGAIN_MS = HOUR_MS

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat; `sender` answers in it, or any sender if None.

    `numbers` are those of the account with which `phone` is written; of these, the text itself
    proves only those `confirmed` by WhatsApp.
    """

    channel: str
    sender: str | None
    phone: str
    numbers: frozenset[str]
    confirmed: frozenset[str]


class LinkReplies:
    """Answers inbound texts with link tokens."""

    def __init__(
        self,
        database: Database,
        cipher: CodeCipher,
        templates: Templates,
        countries: CountryPolicy,
        *,
        channel: str,
        code_length: int | None,
        ttl_seconds: int,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._templates = templates
        self._countries = countries
        self._channel = channel
        self._code_length = code_length
        self._ttl_seconds = ttl_seconds

    def take(
        self,
        connection: Connection,
        message: Inbound,
        *,
        numbers: frozenset[str],
        confirmed: frozenset[str],
        channel: str,
        sender: str | None,
        now: int,
    ) -> None:
        """Act on the token in a new text; ignore texts without one.

        `numbers` are those of the writer's account, of which a link may expect any; a link of mode
        `verify` accepts only those `confirmed` by WhatsApp.
        An unknown, used or expired token, or one of another person, changes nothing and is
        answered at most once per hour.
        """
        tokens = tokens_module.find(message.text)
        if not tokens:
            return
        chat = Chat(channel, sender, message.phone, numbers, confirmed)
        row = self._waiting(connection, tokens, chat, now)
        if row is None:
            if tokens_module.looks_like_one(message.text):
                self._refuse(connection, chat, message.at, now)
            return
        chat = replace(chat, phone=row.phone or chat.phone)
        log.info("link text received", mode=row.link_mode, phone=mask_phone(message.phone))
        if row.link_mode == "verify":
            self._approve(connection, row, chat, now)
        else:
            self._send_code(connection, row, chat, now)

    def expected_numbers(
        self, connection: Connection, text: str, *, now: int
    ) -> Sequence[str | None]:
        """Return the number that each link with a token of this text expects, newest first.

        It is None for a link that expects no certain number.
        """
        tokens = tokens_module.find(text)
        newest = self._pending(tokens, now).order_by(tables.verifications.c.id.desc())
        rows = connection.execute(newest).all() if tokens else ()
        return [row.phone or None for row in rows]

    def _waiting(
        self, connection: Connection, tokens: Sequence[str], chat: Chat, now: int
    ) -> Row[Any] | None:
        """Return this person's newest pending verification with one of these tokens."""
        pending = self._pending(tokens, now).order_by(tables.verifications.c.id)
        rows = connection.execute(pending.with_for_update()).all()  # the lock order everywhere
        return next((row for row in reversed(rows) if self._may_be_proved(row, chat)), None)

    def _pending(self, tokens: Sequence[str], now: int) -> Select[Any]:
        indexes = [index for token in tokens for index in self._cipher.link_indexes(token)]
        return select(tables.verifications).where(
            tables.verifications.c.link_index.in_(indexes),
            tables.verifications.c.status == PENDING,
            tables.verifications.c.expires_at > now,
        )

    def _may_be_proved(self, row: Row[Any], chat: Chat) -> bool:
        """Return whether the chat's channel fits, and its number is acceptable."""
        is_of_tests = self._channel == SANDBOX or api_keys.is_test_prefix(row.api_key)
        if is_of_tests != (chat.channel == SANDBOX):
            return False
        if row.phone:
            return row.phone in (chat.confirmed if row.link_mode == "verify" else chat.numbers)
        phone = parse_phone(chat.phone)
        if phone is None:
            return False
        try:
            self._countries.check(phone)
        except NotAllowed:
            return False
        return True

    def _send_code(self, connection: Connection, row: Row[Any], chat: Chat, now: int) -> None:
        """Generate and queue a code for the chat; its validity starts now."""
        owner = api_keys.owning(connection, row.api_key)
        code = new_code(owner.digits(self._code_length))
        expires_at = now + self._ttl_seconds * 1000
        template, body = self._templates.render(
            None,
            row.locale,
            key_name=_key_name(connection, row),
            ttl_seconds=self._ttl_seconds,
        )
        connection.execute(
            update(tables.verifications)
            .where(tables.verifications.c.id == row.id)
            .values(
                phone=chat.phone,
                template=template,
                proved_phone=chat.phone,
                code_digest=self._cipher.digest(row.id, code),
                code_index=self._cipher.index(code),
                code_sealed=self._cipher.codes.seal(row.id, code),
                expires_at=expires_at,
                link_index=None,
                link_sealed=None,
            )
        )
        _note_started(connection, row, chat.phone)
        self._queue(connection, chat, body, row.id, expires_at, now)

    def _approve(self, connection: Connection, row: Row[Any], chat: Chat, now: int) -> None:
        """Approve by the text itself, and queue a confirmation."""
        _note_started(connection, row, chat.phone)
        lifecycle.approve(connection, row.id, now=now, proved_phone=chat.phone)
        body = self._templates.approved_text(row.locale, key_name=_key_name(connection, row))
        self._queue(connection, chat, body, row.id, self._answer_expires(now), now)

    def _refuse(self, connection: Connection, chat: Chat, written_at: int, now: int) -> None:
        """Queue a refusal, unless the text is old or was just answered."""
        if written_at <= now - ANSWERED_AGAIN_MS or not _note_answer(connection, chat.phone, now):
            return
        phone = parse_phone(chat.phone)
        locale = self._templates.choose_locale("" if phone is None else phone.country, None, None)
        body = self._templates.refused_text(locale, key_name=None)
        log.info("answered an invalid link token", phone=mask_phone(chat.phone))
        self._queue(connection, chat, body, None, self._answer_expires(now), now)

    def _answer_expires(self, now: int) -> int:
        return now + self._ttl_seconds * 1000

    def _queue(
        self,
        connection: Connection,
        chat: Chat,
        body: str,
        verification_id: str | None,
        expires_at: int,
        now: int,
    ) -> None:
        (number,) = self._database.new_ids(connection, tables.messages, 1)
        row = states.new_row(
            number,
            verification_id=verification_id,
            channel=chat.channel,
            phone=chat.phone,
            body=body,
            request_id=None,
            created_at=now,
            expires_at=expires_at,
            only_sender=chat.sender,
        )
        insert_rows(connection, tables.messages, [row])
        text_store.keep(connection, [body])
        counters.add(connection, now=now, moved={QUEUED: 1}, happened={"accepted": 1})


def _note_started(connection: Connection, row: Row[Any], phone: str) -> None:
    """Count the start for the number's country, except for test keys."""
    if not api_keys.is_test_prefix(row.api_key):
        conversions.note_started(connection, [phone], now=row.created_at)


def _note_answer(connection: Connection, phone: str, now: int) -> bool:
    """Store the answer's time; return False if one was sent recently."""
    return insert_or_update(
        connection,
        tables.link_answers,
        {"phone": phone},
        {"answered_at": now},
        where=tables.link_answers.c.answered_at <= now - ANSWERED_AGAIN_MS,
    )


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` answer times up to `before`; return how many."""
    answered = tables.link_answers.c.answered_at
    is_old = answered <= before
    return delete_some(connection, tables.link_answers, is_old, order=answered, limit=limit)


def _key_name(connection: Connection, row: Row[Any]) -> str | None:
    return api_keys.name_of(connection, row.api_key)
