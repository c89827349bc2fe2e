"""The sandbox, for testing integrations without a phone.

It lists the messages that it received, and simulates messages from people.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from sqlalchemy import ColumnElement, Connection, Row, or_, select, true

from hudhud.auth.caller import Caller
from hudhud.channels.base import SANDBOX, Inbound
from hudhud.core.clock import iso, now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import BadRequest
from hudhud.core.phones import Phone
from hudhud.db.tables import messages, verifications
from hudhud.messages import whatsapp_accounts
from hudhud.messages.listing import needs_no_code
from hudhud.messages.templates.catalog import with_code
from hudhud.web.api.auth import authenticate
from hudhud.web.api.fields import INVALID, fields_of
from hudhud.web.api.openapi import API_KEY_SECURITY, InboundOperation, SandboxOperation, responses
from hudhud.web.api.phone_number import number_in_query, number_to_link
from hudhud.web.api.schemas import SandboxMessage, SandboxMessages
from hudhud.web.http.request import AnyRequest
from hudhud.web.http.responses import Message, answer
from hudhud.web.state import AppState, state_of

MOST_MESSAGES = 100
LONGEST_TEXT = 4096
TEXT_REQUIRED = f'Bad Request: "text" must be what a person writes, 1 to {LONGEST_TEXT} characters.'
TAKEN = "The text was taken as if a person had sent it."


@get(
    "/api/v1/sandbox/messages",
    summary="List the sandbox's messages",
    tags=["Sandbox"],
    operation_class=SandboxOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 500, 503),
)
async def sandbox_messages(
    request: AnyRequest,
) -> Response[SandboxMessages]:
    """List the key's valid messages to `?phoneNumber=`, newest first."""
    caller = await authenticate(request, "sandbox")
    state = state_of(request)
    phone = number_in_query(request.query_params.get("phoneNumber", ""))
    taken = await asyncio.to_thread(_taken, state, caller, phone.number)
    return answer(SandboxMessages(taken))


@post(
    "/api/v1/sandbox/inbound",
    summary="Write to the sandbox",
    tags=["Sandbox"],
    status_code=202,
    operation_class=InboundOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 413, 415, 500, 503),
)
async def inbound(request: AnyRequest) -> Response[Message]:
    """Simulate a person's WhatsApp message, for links of the sandbox."""
    await authenticate(request, "sandbox")
    fields = await fields_of(request)
    phone = number_to_link(fields.raw("phoneNumber"))
    text = fields.raw("text")
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
        raise BadRequest(TEXT_REQUIRED, INVALID)
    await asyncio.to_thread(_write, state_of(request), phone, text)
    return answer(Message(TAKEN))


def _write(state: AppState, phone: Phone, text: str) -> None:
    now = now_ms()
    message = Inbound(secrets.token_hex(8), phone.number, text, now)
    numbers = frozenset({phone.number})
    with state.database.write() as connection:
        state.link_replies.take(
            connection,
            message,
            numbers=numbers,
            confirmed=numbers,
            channel=SANDBOX,
            sender=None,
            now=now,
        )
        state.database.notify(connection)


def _taken(state: AppState, caller: Caller, phone: str) -> list[SandboxMessage]:
    with state.database.read() as connection:
        rows = _rows(connection, caller, phone)
    return [
        SandboxMessage(
            jobId=row.id,
            phoneNumber=row.phone,
            text=_text(row, state.cipher),
            delivery=row.status,
            sent_at=iso(row.sent_at),
        )
        for row in rows
    ]


def _rows(connection: Connection, caller: Caller, phone: str) -> Sequence[Row[Any]]:
    is_seen: ColumnElement[bool] = true()
    if "admin" not in caller.scopes:  # a message without verification has no owner and no code
        owner = verifications.c.api_key
        is_seen = or_(owner == caller.owner, owner.is_(None))
    statement = (
        select(messages, verifications.c.code_sealed)
        .outerjoin(verifications, verifications.c.id == messages.c.verification_id)
        .where(
            is_seen,
            messages.c.phone.in_(whatsapp_accounts.all_forms(connection, phone)),
            messages.c.channel == SANDBOX,
            messages.c.sent_at.is_not(None),
            or_(verifications.c.code_sealed.is_not(None), needs_no_code),
            messages.c.expires_at > now_ms(),
        )
        .order_by(messages.c.id.desc())
        .limit(MOST_MESSAGES)
    )
    return connection.execute(statement).all()


def _text(row: Row[Any], cipher: CodeCipher) -> str:
    if row.code_sealed is None:
        return str(row.body)
    return with_code(row.body, cipher.codes.open(row.verification_id, row.code_sealed))
