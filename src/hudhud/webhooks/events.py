"""What happened, for webhooks: an outbox, written in the transaction of what it tells about.

Nothing is written while no endpoint wants it. A payload never holds a code, a body or a key.
`deliveries.py` has what becomes of an event afterwards.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec
from sqlalchemy import (
    CompoundSelect,
    Connection,
    Row,
    ScalarSelect,
    Select,
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

from hudhud.core.clock import iso, iso_or_none
from hudhud.core.stored_sentences import columns, in_english
from hudhud.db.engine import insert_rows
from hudhud.db.tables import (
    events,
    messages,
    sender_states,
    senders,
    verifications,
    webhook_deliveries,
    webhook_endpoints,
)
from hudhud.webhooks import deliveries

VerificationKind = Literal[
    "verification.created",
    "verification.approved",
    "verification.expired",
    "verification.canceled",
    "verification.failed",
]
MessageKind = Literal["message.sent", "message.delivered", "message.read", "message.failed"]
SenderKind = Literal[
    "sender.connected", "sender.disconnected", "sender.logged_out", "sender.restricted"
]
Kind = VerificationKind | MessageKind | SenderKind
KINDS: Final[tuple[Kind, ...]] = (
    *get_args(VerificationKind),
    *get_args(MessageKind),
    *get_args(SenderKind),
)

AT_ONCE = 500
MOST_FOUND = 2000
ID_BYTES = 16
# What a sender's state means to somebody who waits for codes; the others mean nothing yet.
_SENDER_KINDS: Final[Mapping[str, SenderKind]] = {
    "connected": "sender.connected",
    "reconnecting": "sender.disconnected",
    "replaced": "sender.disconnected",
    "outdated": "sender.disconnected",
    "stopped": "sender.disconnected",
    "logged_out": "sender.logged_out",
    "restricted": "sender.restricted",
}
# A message may pass several of these at once; each event tells of its own.
_MESSAGE_WORDS: Final[Mapping[str, str]] = {
    "message.sent": "sent",
    "message.delivered": "delivered",
    "message.read": "read",
}

_JOB = "job "
# How a payload looks without the caller's own words, and with one of them.
_WITHOUT_WORDS = '"reference":null,"metadata":null'
_WITH_REDIRECT = '"redirectUrl":"'

Id = TypeVar("Id", int, str)
Data = dict[str, object]


@dataclass(frozen=True, slots=True)
class _New:
    """An event to be written; `owner` is the API key's to which it belongs."""

    subject: str
    owner: str | None
    data: Data


@dataclass(frozen=True, slots=True)
class _Audience:
    """The endpoints that want a kind of event: their ids, and whose events they get."""

    ids: Sequence[int]
    owners: frozenset[str | None]

    def wants(self, owner: str | None) -> bool:
        """Tell whether any of them gets what belongs to `owner`."""
        return None in self.owners or owner in self.owners


def verification_changed(
    connection: Connection, kind: VerificationKind, ids: Sequence[str], *, now: int
) -> None:
    """Tell of verifications that have just changed."""
    audience = _audience(connection, kind) if ids else None
    if audience is None:
        return
    for group in _groups(ids):
        rows = connection.execute(_VERIFICATIONS.where(verifications.c.id.in_(group)))
        new = [_New(row.id, row.api_key, _verification(row)) for row in rows]
        _write(connection, kind, audience, new, now=now)


def messages_changed(
    connection: Connection, kind: MessageKind, ids: Sequence[int], *, now: int
) -> None:
    """Tell of messages that have just changed."""
    audience = _audience(connection, kind) if ids else None
    if audience is None:
        return
    for group in _groups(ids):
        rows = connection.execute(_MESSAGES.where(messages.c.id.in_(group)))
        new = [_New(_subject(row), row.api_key, _message(row, kind)) for row in rows]
        _write(connection, kind, audience, new, now=now)


def sender_changed(connection: Connection, name: str, state: str, *, now: int) -> None:
    """Tell of a sender whose new `state` stands in `sender_states`.

    Only where it means something else than the one before: a sender that reconnects and is then
    stopped was disconnected once.
    """
    kind = _SENDER_KINDS.get(state)
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


def are_wanted(connection: Connection, *kinds: Kind) -> bool:
    """Tell whether any endpoint wants one of these, where it costs something to find the ids."""
    return any(kind in row.kinds.split() for row in connection.execute(_ENABLED) for kind in kinds)


def find_old(connection: Connection, before: int) -> Sequence[int]:
    """Return the numbers of events older than `before`, but of none that waits to be delivered."""
    old = select(events.c.id).where(events.c.created_at < before, _waits().is_(None))
    return connection.scalars(old.order_by(events.c.created_at).limit(MOST_FOUND)).all()


def delete_old(connection: Connection, numbers: Sequence[int]) -> int:
    """Delete events with their deliveries, but none that waits again; return how many."""
    still_old = select(events.c.id).where(events.c.id.in_(numbers), _waits().is_(None))
    ids = connection.scalars(still_old).all()
    if ids:
        deliveries.delete_of(connection, ids)
        connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)


def _waits() -> ScalarSelect[int]:
    """Select a delivery of an event that waits for an enabled endpoint; NULL where none does."""
    return (
        select(webhook_deliveries.c.id)
        .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
        .where(
            webhook_deliveries.c.event_id == events.c.id,
            webhook_deliveries.c.status == deliveries.PENDING,
            webhook_endpoints.c.disabled_at.is_(None),
        )
        .limit(1)
        .scalar_subquery()
    )


def forget(connection: Connection, phone: str, pseudonym: str, limit: int) -> int:
    """Put `pseudonym` in the place of a phone number in up to `limit` events; return how many.

    Reference, metadata and redirect, which are the caller's own words, go too, and what receivers
    answered. Call it until it returns 0; verifications and messages may bear the number still, or
    the pseudonym already.
    """
    remembers = or_(
        events.c.payload.contains(f'"{phone}"', autoescape=True),
        not_(events.c.payload.contains(_WITHOUT_WORDS, autoescape=True)),
        events.c.payload.contains(_WITH_REDIRECT, autoescape=True),
    )
    of_this = events.c.subject.in_(_subjects((phone, pseudonym)))
    found = select(events.c.id, events.c.payload).where(of_this, remembers).limit(limit)
    rows = connection.execute(found).all()
    for row in rows:
        payload = _without(msgspec.json.decode(row.payload), phone, pseudonym)
        connection.execute(update(events).where(events.c.id == row.id).values(payload=payload))
    of_these = webhook_deliveries.c.event_id.in_([row.id for row in rows])
    connection.execute(
        update(webhook_deliveries).where(of_these).values(columns("last_error", None))
    )
    return len(rows)


def _audience(connection: Connection, kind: Kind) -> _Audience | None:
    wanting = [row for row in connection.execute(_ENABLED) if kind in row.kinds.split()]
    if not wanting:
        return None
    return _Audience([row.id for row in wanting], frozenset(row.api_key for row in wanting))


def _write(
    connection: Connection, kind: Kind, audience: _Audience, new: Sequence[_New], *, now: int
) -> None:
    rows: list[dict[str, object]] = [
        {
            "event_id": f"evt_{secrets.token_hex(ID_BYTES)}",
            "kind": kind,
            "subject": one.subject,
            "api_key": one.owner,
            "payload": _encode(one.data),
            "created_at": now,
        }
        for one in new
        if audience.wants(one.owner)
    ]
    if rows:
        insert_rows(connection, events, rows)
        deliveries.plan(connection, [str(row["event_id"]) for row in rows], audience.ids)


def _verification(row: Row[Any]) -> Data:
    return {
        "verificationId": row.id,
        "status": row.status,
        "phoneNumber": row.phone or None,
        "channel": row.channel,
        "reference": row.reference,
        "metadata": _decoded(row.metadata_json),
        "template": row.template,
        "locale": row.locale,
        "createdAt": iso(row.created_at),
        "expiresAt": iso(row.expires_at),
        "endedAt": iso_or_none(row.ended_at),
        "reason": row.reason,
        "provedNumber": row.proved_phone,
        "linkMode": row.link_mode,
        "redirectUrl": row.redirect_url,
    }


def _message(row: Row[Any], kind: MessageKind) -> Data:
    return {
        "jobId": row.id,
        "verificationId": row.verification_id,
        "status": _MESSAGE_WORDS.get(kind, row.status),
        "phoneNumber": row.phone,
        "channel": row.channel,
        "reference": row.reference,
        "metadata": _decoded(row.metadata_json),
        "error": in_english(row, "error"),
        "createdAt": iso(row.created_at),
        "sentAt": iso_or_none(row.sent_at),
        "deliveredAt": iso_or_none(row.delivered_at),
        "readAt": iso_or_none(row.read_at) if kind == "message.read" else None,
        "finishedAt": iso_or_none(row.finished_at),
    }


def _subject(row: Row[Any]) -> str:
    """Return what is delivered in order: all events of one verification."""
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
    """Return what the state before the present one meant; at first a sender is disconnected."""
    telling = (
        select(sender_states.c.state)
        .where(sender_states.c.sender == name, sender_states.c.state.in_(_SENDER_KINDS))
        .order_by(sender_states.c.id.desc())
        .offset(1)
        .limit(1)
    )
    return _SENDER_KINDS[connection.scalar(telling) or "stopped"]


def _without(data: Data, phone: str, pseudonym: str) -> str:
    named = {key: pseudonym if value == phone else value for key, value in data.items()}
    error = named.get("error")
    if isinstance(error, str):
        named["error"] = error.replace(phone.removeprefix("+"), pseudonym)
    erased = dict.fromkeys(named.keys() & {"reference", "metadata", "redirectUrl"})
    return _encode(named | erased)


def _decoded(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)


def _encode(data: Data) -> str:
    return msgspec.json.encode(data).decode()


def _groups(ids: Sequence[Id]) -> Iterator[Sequence[Id]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


_ENABLED = select(
    webhook_endpoints.c.id, webhook_endpoints.c.kinds, webhook_endpoints.c.api_key
).where(webhook_endpoints.c.disabled_at.is_(None))
_CHANNEL = (
    select(messages.c.channel)
    .where(messages.c.verification_id == verifications.c.id)
    .order_by(messages.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_VERIFICATIONS: Select[Any] = select(
    *(
        verifications.c[name]
        for name in (
            "id",
            "api_key",
            "status",
            "phone",
            "reference",
            "metadata_json",
            "template",
            "locale",
            "created_at",
            "expires_at",
            "ended_at",
            "reason",
            "proved_phone",
            "link_mode",
            "redirect_url",
        )
    ),
    _CHANNEL.label("channel"),
).order_by(verifications.c.id)
_MESSAGES: Select[Any] = (
    select(
        *(
            messages.c[name]
            for name in (
                "id",
                "verification_id",
                "status",
                "phone",
                "channel",
                *columns("error", None),
                "created_at",
                "sent_at",
                "delivered_at",
                "read_at",
                "finished_at",
            )
        ),
        *(verifications.c[name] for name in ("api_key", "reference", "metadata_json")),
    )
    .outerjoin(verifications, verifications.c.id == messages.c.verification_id)
    .order_by(messages.c.id)
)
