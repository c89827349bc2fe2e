"""What the sandbox took instead of sending, so that integrations can be tested without a phone."""

import asyncio

from litestar import Response, get
from sqlalchemy import select

from hudhud.channels.sandbox import NAME
from hudhud.clock import iso, now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from hudhud.sealing import CodeSealer
from hudhud.templates import with_code
from hudhud.web.answers import answer
from hudhud.web.auth import authenticate
from hudhud.web.openapi import API_KEY_SECURITY, SandboxOperation, responses
from hudhud.web.parts import AnyRequest, parts_of
from hudhud.web.phone_number import phone_number_in_query
from hudhud.web.schemas import SandboxMessage, SandboxMessages

MOST_MESSAGES = 100


@get(
    "/api/v1/sandbox/messages",
    summary="What the sandbox took",
    tags=["Sandbox"],
    operation_class=SandboxOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 500, 503),
)
async def sandbox_messages(
    request: AnyRequest,
) -> Response[SandboxMessages]:
    """List the messages taken for `?phoneNumber=`, newest first, while their codes are valid."""
    authenticate(request, "sandbox")
    parts = parts_of(request)
    phone = phone_number_in_query(request.query_params.get("phoneNumber", ""))
    taken = await asyncio.to_thread(_taken, parts.database, parts.sealer, phone.number)
    return answer(SandboxMessages(taken))


def _taken(database: Database, sealer: CodeSealer, phone: str) -> list[SandboxMessage]:
    statement = (
        select(messages, verifications.c.code_sealed)
        .join(verifications, verifications.c.id == messages.c.verification_id)
        .where(
            messages.c.phone == phone,
            messages.c.channel == NAME,
            messages.c.sent_at.is_not(None),
            verifications.c.code_sealed.is_not(None),
            verifications.c.expires_at > now_ms(),
        )
        .order_by(messages.c.id.desc())
        .limit(MOST_MESSAGES)
    )
    with database.read() as connection:
        rows = connection.execute(statement).all()
    return [
        SandboxMessage(
            jobId=row.id,
            phoneNumber=row.phone,
            text=with_code(row.body, sealer.open(row.verification_id, row.code_sealed)),
            delivery=row.status,
            sent_at=iso(row.sent_at),
        )
        for row in rows
    ]
