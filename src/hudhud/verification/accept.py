"""Accept a group of new verifications in one transaction."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from hudhud.channels.registry import channel_type
from hudhud.core.clock import DAY_MS, now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import NotAllowed
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock, lock_numbers
from hudhud.db.upserts import insert_rows
from hudhud.messages import admission, counters, states, text_store, whatsapp_accounts
from hudhud.messages.states import CANCELED, QUEUED
from hudhud.senders.carriers import carriers
from hudhud.verification import idempotency, lifecycle, strangers
from hudhud.verification.idempotency import IdempotentRequest, Original
from hudhud.verification.ids import first_id_since
from hudhud.verification.lifecycle import PENDING
from hudhud.verification.limits import conversions, rate_limits
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limit, Quota
from hudhud.verification.new_verification import Accepted, NewVerification
from hudhud.verification.strangers import Addressed
from hudhud.webhooks import events

_FIRST_MESSAGE = (
    select(func.min(tables.messages.c.id))
    .where(tables.messages.c.verification_id == tables.verifications.c.id)
    .scalar_subquery()
)
_ORIGINAL = select(
    tables.verifications.c.id,
    tables.verifications.c.code_sealed,
    tables.verifications.c.hides_code,
    tables.verifications.c.locale,
    tables.verifications.c.expires_at,
    _FIRST_MESSAGE.label("message_id"),
)


# Built once: to build it for each group would take as long as to run it.
_PENDING: Select[Any] = (
    select(
        tables.verifications.c.id,
        tables.verifications.c.phone,
        tables.verifications.c.api_key,
        tables.verifications.c.template,
    )
    .where(
        tables.verifications.c.phone.in_(bindparam("phones", expanding=True)),
        tables.verifications.c.id >= bindparam("since"),
        tables.verifications.c.status == PENDING,
        tables.verifications.c.link_mode.is_(None),
    )
    .order_by(tables.verifications.c.id)
    .with_for_update()
)


class _Answers(dict[str, Accepted | Exception]):
    """Answers for a group so far, by verification id."""

    def open(self, group: Sequence[NewVerification]) -> list[NewVerification]:
        """Return the verifications without an answer."""
        return [new for new in group if new.id not in self]


class _People:
    """The numbers of a group's people, several if their account has several."""

    def __init__(self, connection: Connection, group: Sequence[NewVerification]) -> None:
        phones = [new.request.phone.number for new in group]
        self._numbers = whatsapp_accounts.numbers_of(connection, phones)
        self._person = {number: numbers for numbers in self._numbers.values() for number in numbers}

    def of(self, phone: str) -> frozenset[str]:
        """Return all numbers of the person with this one."""
        return self._person[phone]

    def numbers_of(self, group: Sequence[NewVerification]) -> set[str]:
        """Return all numbers of a part of the group."""
        return {number for new in group for number in self._numbers[new.request.phone.number]}

    def kind_of(self, new: NewVerification) -> tuple[frozenset[str], str, str]:
        """Return person, key and template: a newer verification with the same supersedes it."""
        return self.of(new.request.phone.number), new.caller.owner, new.template

    def limits_of(self, new: NewVerification) -> Sequence[Limit]:
        """Return the limits, with those on each number of the person."""
        phone = new.request.phone.number
        return rate_limits.for_each_number(new.limits, phone, self.of(phone))


class Acceptor:
    """Stores verifications, many in one transaction."""

    def __init__(
        self,
        database: Database,
        cipher: CodeCipher,
        countries: CountryPolicy,
        *,
        channel: str,
        mean_gap: float,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._countries = countries
        self._channel = channel
        self._mean_gap = mean_gap
        self._clock = clock

    def write(
        self, connection: Connection, group: Sequence[NewVerification]
    ) -> list[Accepted | Exception]:
        """Store the verifications that are allowed and can arrive in time.

        The others get NotAllowed, or TooMany, SenderRestricted or QueueUnavailable with a time to
        retry after.
        A request repeated under the same Idempotency-Key gets its first answer again.
        """
        now = self._clock()
        people = _People(connection, group)
        answers = _Answers()
        originals = self._claim_keys(connection, group, now)
        answers.update(_contradicting(originals))
        first = [new for new in group if new.id not in originals]
        answers.update(self._beyond_borders(first))
        answers.update(self._beyond_reach(connection, answers.open(first), now))
        quotas = self._take_limits(connection, people, answers, first, now)
        _release_keys(connection, first, answers)
        answers.update(self._insert(connection, people, answers.open(first), quotas, now))
        for new in answers.open(group):
            answers[new.id] = self._repeat(connection, new, originals[new.id], answers)
        return [answers[new.id] for new in group]

    def _claim_keys(
        self, connection: Connection, group: Sequence[NewVerification], now: int
    ) -> dict[str, Original]:
        """Return the original requests of those that repeat an Idempotency-Key."""
        with_key = [new for new in group if new.request.idempotent is not None]
        found = idempotency.claim(connection, _keys(with_key), now=now)
        return {
            new.id: original
            for new, original in zip(with_key, found, strict=True)
            if original.verification_id != new.id
        }

    def _beyond_borders(self, group: Sequence[NewVerification]) -> dict[str, Exception]:
        refused: dict[str, Exception] = {}
        for new in group:
            try:
                self._countries.check(new.request.phone)
            except NotAllowed as error:
                refused[new.id] = error
        return refused

    def _beyond_reach(
        self, connection: Connection, group: Sequence[NewVerification], now: int
    ) -> Mapping[str, Exception]:
        """Refuse messages that paced senders cannot deliver in time."""
        paced = [new for new in group if channel_type(new.channel).is_paced]
        if not paced:
            return {}
        found = carriers(connection, channel=paced[0].channel, now=now)
        codes = {new.id: Addressed(new.request.phone.number, new.expires_at) for new in paced}
        refused = strangers.refuse(connection, found.restriction, codes, now=now)
        others = [new for new in paced if new.id not in refused]
        return {**refused, **self._beyond_room(connection, others, found.alive)}

    def _beyond_room(
        self, connection: Connection, paced: Sequence[NewVerification], senders: int
    ) -> dict[str, Exception]:
        if not paced:
            return {}
        room = admission.room(
            connection,
            channel=paced[0].channel,
            senders=senders,
            mean_gap=self._mean_gap,
            validity=max(new.validity for new in paced),
        )
        if room is None:
            return {}
        refused: dict[str, Exception] = {}
        taken = 0
        for new in paced:
            if taken < room.places(new.validity):
                taken += 1
            else:
                refused[new.id] = admission.full(room)
        return refused

    def _take_limits(
        self,
        connection: Connection,
        people: _People,
        answers: _Answers,
        group: Sequence[NewVerification],
        now: int,
    ) -> dict[str, Quota]:
        """Count towards the limits; put refusals into `answers`."""
        limited = [new for new in answers.open(group) if new.limits]
        if not limited:
            return {}
        lock(connection, Lock.LIMITS)
        quotas = {}
        taken = rate_limits.take(connection, [people.limits_of(new) for new in limited], now=now)
        for new, result in zip(limited, taken, strict=True):
            if isinstance(result, Quota):
                quotas[new.id] = result
            else:
                answers[new.id] = result
        return quotas

    def _insert(
        self,
        connection: Connection,
        people: _People,
        group: Sequence[NewVerification],
        quotas: Mapping[str, Quota],
        now: int,
    ) -> dict[str, Accepted]:
        if not group:
            return {}
        # Of two simultaneous sends only one may remain pending, for checks by number.
        checkable = [new for new in group if new.caller.may_verify]
        lock_numbers(connection, people.numbers_of(checkable))
        numbers = self._database.new_ids(connection, tables.messages, len(group))
        insert_rows(connection, tables.verifications, [_verification_row(new) for new in group])
        rows = [_message_row(number, new) for number, new in zip(numbers, group, strict=True)]
        insert_rows(connection, tables.messages, rows)
        text_store.keep(connection, [new.body for new in group])
        canceled = self._supersede(connection, people, group, now)
        counted = [one.request.phone.number for one in group if one.is_conversion]
        conversions.note_started(connection, counted, now=now)
        created = [new.id for new in group]
        events.verification_changed(connection, "verification.created", created, now=now)
        traffic = sum(new.channel == self._channel for new in group)
        _count(connection, queued=len(group), traffic=traffic, canceled=canceled, now=now)
        self._database.notify(connection)
        return {
            new.id: _accepted(new, number, quotas.get(new.id, NO_LIMITS))
            for number, new in zip(numbers, group, strict=True)
        }

    def _supersede(
        self, connection: Connection, people: _People, group: Sequence[NewVerification], now: int
    ) -> int:
        """End the verifications that the group supersedes; return the canceled messages."""
        newest = {people.kind_of(new): new for new in group}
        older = [
            (row.id, newest[kind].caller)
            for row in _pending_of(connection, people.numbers_of(group), now)
            if (kind := (people.of(row.phone), row.api_key, row.template)) in newest
            and newest[kind].id != row.id
        ]
        checked_here = [one for one, caller in older if caller.checks_codes_here]
        checked_there = [one for one, caller in older if not caller.checks_codes_here]
        lifecycle.supersede_silently(connection, checked_there, now=now)
        return lifecycle.cancel(connection, checked_here, reason="superseded", now=now).canceled

    def _repeat(
        self, connection: Connection, new: NewVerification, original: Original, answers: _Answers
    ) -> Accepted | Exception:
        """Return the answer of the first request with this Idempotency-Key."""
        id_of_first = original.verification_id
        if id_of_first in answers:  # the first request is in the same group
            answer = answers[id_of_first]
            return answer if isinstance(answer, Exception) else replace(answer, is_repeated=True)
        row = connection.execute(_ORIGINAL.where(tables.verifications.c.id == id_of_first)).one()
        code = None
        if row.code_sealed is not None and not (new.hides_code or row.hides_code):
            code = self._cipher.codes.open(row.id, row.code_sealed)
        return Accepted(row.id, row.message_id, code, row.locale, row.expires_at, is_repeated=True)


def _keys(group: Iterable[NewVerification]) -> list[tuple[IdempotentRequest, str]]:
    return [(new.request.idempotent, new.id) for new in group if new.request.idempotent is not None]


def _contradicting(originals: Mapping[str, Original]) -> dict[str, Exception]:
    return {
        id_of_new: idempotency.other_body()
        for id_of_new, original in originals.items()
        if not original.same_body
    }


def _release_keys(
    connection: Connection, group: Sequence[NewVerification], answers: _Answers
) -> None:
    idempotency.release(connection, _keys(new for new in group if new.id in answers))


def _pending_of(connection: Connection, phones: Collection[str], now: int) -> Sequence[Row[Any]]:
    """Return the pending verifications of these numbers, none older than a day."""
    since = first_id_since(now - DAY_MS)
    return connection.execute(_PENDING, {"phones": list(phones), "since": since}).all()


def _accepted(new: NewVerification, number: int, quota: Quota) -> Accepted:
    code = None if new.hides_code else new.code
    return Accepted(new.id, number, code, new.locale, new.expires_at, quota)


def _count(connection: Connection, *, queued: int, traffic: int, canceled: int, now: int) -> None:
    # A linked device's charts exclude the messages of test keys (`traffic`).
    counters.add(
        connection,
        now=now,
        moved={QUEUED: queued - canceled, CANCELED: canceled},
        happened={"accepted": traffic, "canceled": canceled},
    )


def _message_row(number: int, new: NewVerification) -> dict[str, object]:
    return states.new_row(
        number,
        verification_id=new.id,
        channel=new.channel,
        phone=new.request.phone.number,
        body=new.body,
        request_id=new.request_id,
        created_at=new.created_at,
        expires_at=new.expires_at,
    )


def _verification_row(new: NewVerification) -> dict[str, object]:
    return {
        "id": new.id,
        "phone": new.request.phone.number,
        "status": PENDING,
        "code_digest": new.code_digest,
        "code_index": new.code_index,
        "code_sealed": new.code_sealed,
        "api_key": new.caller.owner,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
        "template": new.template,
        "locale": new.locale,
        "reference": new.request.reference,
        "metadata_json": new.request.metadata_json,
        "hides_code": new.hides_code,
    }
