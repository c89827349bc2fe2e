"""The API that callers of the earlier application know, and what is new beside it."""

import asyncio
import re
from typing import Any

import structlog
from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Row

from hudhud import messages
from hudhud.clock import iso, iso_or_none, now_ms
from hudhud.db.engine import Database
from hudhud.web import schemas
from hudhud.web.answers import answer
from hudhud.web.auth import authenticate
from hudhud.web.errors import NoSuchJob
from hudhud.web.openapi import API_KEY_SECURITY, ApiOperation, SendOperation, responses
from hudhud.web.parts import AnyRequest, parts_of
from hudhud.web.phone_number import phone_number
from hudhud.web.request_id import HEADER, request_id

log = structlog.get_logger(__name__)

ACCEPTED = "OTP request accepted and has been queued for sending."
JOB_ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)  # what fits a 64-bit column


@post(
    "/api/v1/otp/send",
    summary="Send a code",
    tags=["OTP"],
    status_code=202,
    operation_class=SendOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 413, 500, 503),
)
async def send(
    request: AnyRequest,
) -> Response[schemas.Accepted]:
    """Accept a phone number: 202 only after the code and its message are on disk."""
    number = request_id(request)
    caller = authenticate(request)
    phone = phone_number(request.headers.get("content-type", ""), await request.body())
    parts = parts_of(request)
    new = parts.starter.make(phone, api_key=caller, request_id=number, now=now_ms())
    accepted = await parts.commits.submit(new)
    log.debug("accepted", job=accepted.message_id, request_id=number)
    body = schemas.Accepted(ACCEPTED, new.code, accepted.message_id, iso(new.expires_at))
    return answer(body, headers={HEADER: number})


@get(
    "/api/v1/otp/{job_id:str}",
    summary="What became of it",
    tags=["OTP"],
    operation_class=ApiOperation,
    security=API_KEY_SECURITY,
    responses=responses(401, 404, 500, 503),
)
async def job(
    request: AnyRequest,
    job_id: FromPath[str],
) -> Response[schemas.Job]:
    """Tell what became of a message."""
    authenticate(request)
    row, number = None, job_number(job_id)
    if number:
        row = await asyncio.to_thread(_find, parts_of(request).database, number)
    if row is None:
        raise NoSuchJob(f"Job with ID {job_id} not found.")
    return answer(_job(row))


def job_number(text: str) -> int:
    """Return the number that names a job in an address; 0, which none has, for any other text."""
    return int(text) if JOB_ID.fullmatch(text) else 0


def _find(database: Database, number: int) -> Row[Any] | None:
    with database.read() as connection:
        return messages.find(connection, number)


def _job(row: Row[Any]) -> schemas.Job:
    return schemas.Job(
        jobId=row.id,
        status=messages.legacy_status(row.status),
        delivery=row.status,
        error=row.error,
        attempts=row.attempts,
        created_at=iso(row.created_at),
        otp_expires_at=iso(row.expires_at),
        sending_at=iso_or_none(row.sending_at),
        sent_at=iso_or_none(row.sent_at),
        delivered_at=iso_or_none(row.delivered_at),
        read_at=iso_or_none(row.read_at),
        finished_at=iso_or_none(row.finished_at),
    )
