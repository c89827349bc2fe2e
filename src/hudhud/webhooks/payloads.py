"""JSON payloads of events, which never contain codes, bodies or keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Row, ScalarSelect, Select, select

from hudhud.core.clock import iso, iso_or_none
from hudhud.core.stored_sentences import columns, in_english
from hudhud.db.tables import messages, verifications, whatsapp_accounts
from hudhud.webhooks.event_types import MessageKind

# A message may pass several statuses at once; each event has its own.
_MESSAGE_WORDS: Final[Mapping[str, str]] = {
    "message.sent": "sent",
    "message.delivered": "delivered",
    "message.read": "read",
}
# Parts of a payload without the caller's data, and with a redirect.
WITHOUT_WORDS = '"reference":null,"metadata":null'
WITH_REDIRECT = '"redirectUrl":"'
Data = dict[str, object]


_CHANNEL = (
    select(messages.c.channel)
    .where(messages.c.verification_id == verifications.c.id)
    .order_by(messages.c.id.desc())
    .limit(1)
    .scalar_subquery()
)


def _whatsapp_number(phone: Column[str]) -> ScalarSelect[str]:
    here = whatsapp_accounts.c.phone == phone
    return select(whatsapp_accounts.c.whatsapp_phone).where(here).scalar_subquery()


VERIFICATION_ROWS: Select[Any] = select(
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
    _whatsapp_number(verifications.c.phone).label("whatsapp_number"),
).order_by(verifications.c.id)


def of_verification(row: Row[Any]) -> Data:
    """Build the payload of a row of `VERIFICATION_ROWS`."""
    return {
        "verificationId": row.id,
        "status": row.status,
        "phoneNumber": row.phone or None,
        "whatsappNumber": row.whatsapp_number,
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


MESSAGE_ROWS: Select[Any] = (
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
        _whatsapp_number(messages.c.phone).label("whatsapp_number"),
    )
    .outerjoin(verifications, verifications.c.id == messages.c.verification_id)
    .order_by(messages.c.id)
)


def of_message(row: Row[Any], kind: MessageKind) -> Data:
    """Build the payload of a row of `MESSAGE_ROWS`."""
    return {
        "jobId": row.id,
        "verificationId": row.verification_id,
        "status": _MESSAGE_WORDS.get(kind, row.status),
        "phoneNumber": row.phone,
        "whatsappNumber": row.whatsapp_number,
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


def without_phones(data: Data, phones: Sequence[str], pseudonym: str) -> str:
    """Return a payload's text with the pseudonym and without the caller's data."""
    named = {key: pseudonym if value in phones else value for key, value in data.items()}
    error = named.get("error")
    if isinstance(error, str):
        for phone in phones:
            error = error.replace(phone.removeprefix("+"), pseudonym)
        named["error"] = error
    erased = dict.fromkeys(named.keys() & {"reference", "metadata", "redirectUrl"})
    return encode(named | erased)


def encode(data: Data) -> str:
    """Return a payload in its stored form."""
    return msgspec.json.encode(data).decode()


def _decoded(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)
