"""The webhook outbox, written in the transaction of each reported change.

Events that no endpoint subscribes to are not written.
`payloads.py` builds their bodies, `deliveries.py` stores deliveries, `dispatcher.py` posts them.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    CompoundSelect,
    Connection,
    Row,
    ScalarSelect,
    Text,
    cast,
    delete,
    literal,
    not_,
    or_,
    select,
    union,
    update,
)

from hudhud.core.clock import iso_or_none
from hudhud.core.stored_sentences import columns, in_english
from hudhud.db.tables import (
    events,
    messages,
    sender_states,
    senders,
    verifications,
    webhook_deliveries,
    webhook_endpoints,
)
from hudhud.db.upserts import insert_rows
from hudhud.webhooks import deliveries, delivery_states, payloads
from hudhud.webhooks.event_types import (
    KIND_OF_SENDER_STATE,
    EventKind,
    MessageKind,
    SenderKind,
    VerificationKind,
)
from hudhud.webhooks.payloads import Data

AT_ONCE = 500
MOST_FOUND = 2000
ID_BYTES = 16

_JOB = "job "

Id = TypeVar("Id", int, str)


@dataclass(frozen=True, slots=True)
class _New:
    """An event to write; `owner` is the owner of its API key."""

    subject: str
    owner: str | None
    data: Data


@dataclass(frozen=True, slots=True)
class _Audience:
    """The endpoints that subscribe to a kind of event, with their owners."""

    ids: Sequence[int]
    owners: frozenset[str | None]

    def wants(self, owner: str | None) -> bool:
        """Return whether any of them gets the events of `owner`."""
        return None in self.owners or owner in self.owners


_ENABLED = select(
    webhook_endpoints.c.id, webhook_endpoints.c.kinds, webhook_endpoints.c.api_key
).where(webhook_endpoints.c.disabled_at.is_(None))


def verification_changed(
    connection: Connection, kind: VerificationKind, ids: Sequence[str], *, now: int
) -> None:
    """Write events for verifications that have just changed."""
    audience = _audience(connection, kind) if ids else None
    if audience is None:
        return
    for group in _groups(ids):
        rows = connection.execute(payloads.VERIFICATION_ROWS.where(verifications.c.id.in_(group)))
        new = [_New(row.id, row.api_key, payloads.of_verification(row)) for row in rows]
        _write(connection, kind, audience, new, now=now)


def messages_changed(
    connection: Connection, kind: MessageKind, ids: Sequence[int], *, now: int
) -> None:
    """Write events for messages that have just changed."""
    audience = _audience(connection, kind) if ids else None
    if audience is None:
        return
    for group in _groups(ids):
        rows = connection.execute(payloads.MESSAGE_ROWS.where(messages.c.id.in_(group)))
        new = [_New(_subject(row), row.api_key, payloads.of_message(row, kind)) for row in rows]
        _write(connection, kind, audience, new, now=now)


def sender_changed(connection: Connection, name: str, state: str, *, now: int) -> None:
    """Write an event for a sender whose new `state` is in `sender_states`.

    Only if its kind of event differs from that of the previous state: a sender that reconnects and
    then stops was disconnected once.
    """
    kind = KIND_OF_SENDER_STATE.get(state)
    audience = None if kind is None else _audience(connection, kind)
    if kind is None or audience is None or kind == _sender_kind_before(connection, name):
        return
    row = connection.execute(
        select(*(senders.c[name] for name in columns("detail", None)), senders.c.until).where(
            senders.c.name == name
        )
    ).one()
    data: Data = {
        "name": name,
        "state": state,
        "detail": in_english(row, "detail"),
        "until": iso_or_none(row.until),
    }
    _write(connection, kind, audience, [_New(name, None, data)], now=now)


def are_wanted(connection: Connection, *kinds: EventKind) -> bool:
    """Return whether any endpoint subscribes to one of these kinds."""
    return any(kind in row.kinds.split() for row in connection.execute(_ENABLED) for kind in kinds)


def find_old(connection: Connection, before: int) -> Sequence[int]:
    """Return the numbers of events older than `before` without pending deliveries."""
    old = select(events.c.id).where(events.c.created_at < before, _waits().is_(None))
    return connection.scalars(old.order_by(events.c.created_at).limit(MOST_FOUND)).all()


def delete_old(connection: Connection, numbers: Sequence[int]) -> int:
    """Delete events and deliveries, except events pending again; return how many."""
    still_old = select(events.c.id).where(events.c.id.in_(numbers), _waits().is_(None))
    ids = connection.scalars(still_old).all()
    if ids:
        deliveries.delete_of(connection, ids)
        connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)


def _waits() -> ScalarSelect[int]:
    """Select an event's pending delivery to an enabled endpoint, or NULL."""
    return (
        select(webhook_deliveries.c.id)
        .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
        .where(
            webhook_deliveries.c.event_id == events.c.id,
            webhook_deliveries.c.status == delivery_states.PENDING,
            webhook_endpoints.c.disabled_at.is_(None),
        )
        .limit(1)
        .scalar_subquery()
    )


def forget(connection: Connection, phones: Sequence[str], pseudonym: str, limit: int) -> int:
    """Replace `phones` with `pseudonym` in up to `limit` events; return how many.

    Also erases the caller's reference, metadata and redirect, and the receivers' answers. Call it
    until it returns 0; verifications and messages may still have a number, or already the
    pseudonym.
    """
    remembers = or_(
        *(events.c.payload.contains(f'"{phone}"', autoescape=True) for phone in phones),
        not_(events.c.payload.contains(payloads.WITHOUT_WORDS, autoescape=True)),
        events.c.payload.contains(payloads.WITH_REDIRECT, autoescape=True),
    )
    of_this = events.c.subject.in_(_subjects((*phones, pseudonym)))
    found = select(events.c.id, events.c.payload).where(of_this, remembers).limit(limit)
    rows = connection.execute(found).all()
    for row in rows:
        payload = payloads.without_phones(msgspec.json.decode(row.payload), phones, pseudonym)
        connection.execute(update(events).where(events.c.id == row.id).values(payload=payload))
    of_these = webhook_deliveries.c.event_id.in_([row.id for row in rows])
    connection.execute(
        update(webhook_deliveries).where(of_these).values(columns("last_error", None))
    )
    return len(rows)


def _audience(connection: Connection, kind: EventKind) -> _Audience | None:
    wanting = [row for row in connection.execute(_ENABLED) if kind in row.kinds.split()]
    if not wanting:
        return None
    return _Audience([row.id for row in wanting], frozenset(row.api_key for row in wanting))


def _write(
    connection: Connection, kind: EventKind, audience: _Audience, new: Sequence[_New], *, now: int
) -> None:
    rows: list[dict[str, object]] = [
        {
            "event_id": f"evt_{secrets.token_hex(ID_BYTES)}",
            "kind": kind,
            "subject": one.subject,
            "api_key": one.owner,
            "payload": payloads.encode(one.data),
            "created_at": now,
        }
        for one in new
        if audience.wants(one.owner)
    ]
    if rows:
        insert_rows(connection, events, rows)
        deliveries.plan(connection, [str(row["event_id"]) for row in rows], audience.ids)


def _subject(row: Row[Any]) -> str:
    """Return the subject, whose events are delivered in order: usually the verification."""
    return row.verification_id or f"{_JOB}{row.id}"


def _subjects(phones: Sequence[str]) -> CompoundSelect[str]:
    """Select the subjects of all events of these numbers."""
    job = literal(_JOB).concat(cast(messages.c.id, Text))
    return union(
        select(verifications.c.id).where(verifications.c.phone.in_(phones)),
        select(verifications.c.id).where(verifications.c.proved_phone.in_(phones)),
        select(job).where(messages.c.phone.in_(phones), messages.c.verification_id.is_(None)),
    )


def _sender_kind_before(connection: Connection, name: str) -> SenderKind:
    """Return the previous state's kind; a new sender counts as disconnected."""
    previous = (
        select(sender_states.c.state)
        .where(sender_states.c.sender == name, sender_states.c.state.in_(KIND_OF_SENDER_STATE))
        .order_by(sender_states.c.id.desc())
        .offset(1)
        .limit(1)
    )
    return KIND_OF_SENDER_STATE[connection.scalar(previous) or "stopped"]


def _groups(ids: Sequence[Id]) -> Iterator[Sequence[Id]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
