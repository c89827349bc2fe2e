"""Show, list, cancel and resend the verifications and jobs of a key."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection, Row

from hudhud.auth.caller import Caller
from hudhud.core.clock import iso, iso_or_none, now_ms
from hudhud.core.errors import BadRequest, Conflict, Gone, NotFound
from hudhud.core.sentences import say
from hudhud.core.stored_sentences import in_english
from hudhud.core.whole_numbers import whole_number
from hudhud.messages import states, whatsapp_accounts
from hudhud.verification import lifecycle, queries
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.lifecycle import EXPIRED, OVER, PENDING, STATUSES
from hudhud.verification.queries import LARGEST_PAGE, PAGE, ListFilter
from hudhud.verification.resend import ENDED, WAITS, Resent
from hudhud.web.api import idempotency, schemas
from hudhud.web.api.auth import authenticate
from hudhud.web.api.fields import INVALID, fields_of
from hudhud.web.api.openapi import (
    API_KEY_SECURITY,
    ApiOperation,
    ListOperation,
    ResendOperation,
    ShowOperation,
    responses,
)
from hudhud.web.api.phone_number import number_in_query
from hudhud.web.http import rate_limit_headers
from hudhud.web.http.errors import NoSuchJob
from hudhud.web.http.middleware import IS_HEAD
from hudhud.web.http.request import (
    REQUEST_ID_HEADER,
    VERIFICATION_ID,
    AnyRequest,
    job_number,
    request_id,
)
from hudhud.web.http.responses import answer
from hudhud.web.state import AppState, state_of

LONGEST_WAIT_SECONDS = 60
# Load balancers answer 504 after 60 s, so the answer comes before.
ANSWERED_WITHIN_SECONDS = 55
RESENT = "The code has been queued for sending again."


@get(
    "/api/v1/otp/{identifier:str}",
    summary="Get the status",
    tags=["OTP"],
    operation_class=ShowOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 404, 500, 503),
)
async def show(
    request: AnyRequest, identifier: FromPath[str]
) -> Response[schemas.Job | schemas.Verification]:
    """Show a job (digits) or a verification; `?wait=` waits for its end."""
    caller = await authenticate(request, "read")
    seconds = _seconds_to_wait(request)
    state = state_of(request)
    found = await asyncio.to_thread(_find, state, caller, identifier)
    if seconds and found.status == PENDING:
        await state.waiting.until_ended(found.id, seconds)
        found = await asyncio.to_thread(_find, state, caller, identifier)
    if number := job_number(identifier):
        return answer(await asyncio.to_thread(_job, state, number))
    return answer(await asyncio.to_thread(_shown, state, found))


@get(
    "/api/v1/otp",
    summary="List verifications",
    tags=["OTP"],
    operation_class=ListOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 500, 503),
)
async def list_all(request: AnyRequest) -> Response[schemas.Verifications]:
    """List this key's verifications, newest first."""
    caller = await authenticate(request, "read")
    chosen, cursor, limit = _list_request(request)
    page = await asyncio.to_thread(_page, state_of(request), caller, chosen, cursor, limit)
    return answer(page)


@post(
    "/api/v1/otp/{identifier:str}/cancel",
    summary="Cancel",
    tags=["OTP"],
    status_code=200,
    operation_class=ApiOperation,
    security=API_KEY_SECURITY,
    responses=responses(401, 403, 404, 409, 410, 500, 503),
)
async def cancel(request: AnyRequest, identifier: FromPath[str]) -> Response[schemas.Verification]:
    """Cancel a pending verification and its waiting messages."""
    caller = await authenticate(request, "send")
    return answer(await asyncio.to_thread(_cancel, state_of(request), caller, identifier))


@post(
    "/api/v1/otp/{identifier:str}/resend",
    summary="Send the code again",
    tags=["OTP"],
    status_code=202,
    operation_class=ResendOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 503),
)
async def resend(request: AnyRequest, identifier: FromPath[str]) -> Response[schemas.Resent]:
    """Queue the same code again: after 30, 60 and 120 seconds."""
    caller = await authenticate(request, "send")
    number = request_id(request)
    idempotent = await _idempotent(request, caller)
    resent = await asyncio.to_thread(
        _resend, state_of(request), caller, identifier, number, idempotent
    )
    body = schemas.Resent(
        RESENT,
        resent.verification_id,
        resent.message_id,
        iso(resent.expires_at),
        resent.resends_left,
    )
    headers = {
        REQUEST_ID_HEADER: number,
        **rate_limit_headers.headers(resent.quota),
        **idempotency.headers(is_repeated=resent.is_repeated),
    }
    return answer(body, headers=headers)


def _find(state: AppState, caller: Caller, identifier: str) -> Row[Any]:
    """Return the verification. Raises NotFound, or NoSuchJob for an unknown job id."""
    with state.database.read() as connection:
        try:
            return _found(connection, caller, identifier)
        except NotFound:
            if VERIFICATION_ID.fullmatch(identifier):
                raise
            raise NoSuchJob(say("action.no_such_job", job=identifier)) from None


def _found(connection: Connection, caller: Caller, identifier: str) -> Row[Any]:
    """Return the key's verification of this id or job. Raises NotFound."""
    number = job_number(identifier)
    row = None
    if number or VERIFICATION_ID.fullmatch(identifier):
        row = queries.find(
            connection,
            caller,
            verification_id=None if number else identifier,
            job_id=number or None,
        )
    if row is None:
        raise NotFound(f"There is no verification or job {identifier}.", "not_found")
    return row


def _cancel(state: AppState, caller: Caller, identifier: str) -> schemas.Verification:
    now = now_ms()
    with state.database.write() as connection:
        row = _found(connection, caller, identifier)
        if _status(row, now) == EXPIRED:
            raise Gone(OVER, "expired")
        ended = lifecycle.cancel(connection, [row.id], reason="caller", now=now)
        if not ended.ids:
            raise Conflict(ENDED, "not_pending")
        ended.count(connection, now=now)
        state.database.notify(connection)
        return _verification(connection, _found(connection, caller, row.id), state, now)


async def _idempotent(request: AnyRequest, caller: Caller) -> IdempotentRequest | None:
    """Read the body only with a key: without one a resend ignores it. Raises BadRequest."""
    if idempotency.KEY not in request.headers:
        return None
    return idempotency.idempotent_request(request, await fields_of(request), caller)


def _resend(
    state: AppState,
    caller: Caller,
    identifier: str,
    number: str,
    idempotent: IdempotentRequest | None,
) -> Resent:
    now = now_ms()
    with state.database.write() as connection:
        row = _found(connection, caller, identifier)
        return state.resends.queue(
            connection,
            row.id,
            caller=caller,
            request_id=number,
            now=now,
            idempotent=idempotent,
        )


def _seconds_to_wait(request: AnyRequest) -> int:
    wanted = request.query_params.get("wait")
    if not wanted:
        return 0
    seconds = whole_number(wanted, most=LONGEST_WAIT_SECONDS, padded=False)
    if seconds is None:
        raise BadRequest('Bad Request: "wait" must be a number of seconds from 0 to 60.', INVALID)
    is_head = request.scope.get("state", {}).get(IS_HEAD)
    return 0 if is_head else min(seconds, ANSWERED_WITHIN_SECONDS)


def _list_request(request: AnyRequest) -> tuple[ListFilter, str | None, int]:
    query = request.query_params
    statuses = [
        status for given in query.getall("status", []) for status in given.split(",") if status
    ]
    if not set(statuses).issubset(STATUSES):
        raise BadRequest(f'Bad Request: "status" is one of: {", ".join(STATUSES)}.', INVALID)
    cursor = query.get("cursor") or None
    if cursor is not None and not VERIFICATION_ID.fullmatch(cursor):
        raise BadRequest('Bad Request: "cursor" is what "nextCursor" of a list says.', INVALID)
    limit = whole_number(query.get("limit") or str(PAGE), least=1, most=LARGEST_PAGE, padded=False)
    if limit is None:
        raise BadRequest(f'Bad Request: "limit" must be from 1 to {LARGEST_PAGE}.', INVALID)
    phone, reference = query.get("phoneNumber"), query.get("reference") or None
    chosen = ListFilter(
        phone=number_in_query(phone).number if phone else None,
        reference=reference,
        statuses=cast("list[lifecycle.Status]", statuses),
    )
    return chosen, cursor, limit


def _page(
    state: AppState, caller: Caller, chosen: ListFilter, cursor: str | None, limit: int
) -> schemas.Verifications:
    now = now_ms()
    with state.database.read() as connection:
        page = queries.page(connection, caller, chosen, before=cursor, limit=limit)
        jobs = queries.jobs_of(connection, [row.id for row in page.rows])
        numbers = whatsapp_accounts.whatsapp_numbers(connection, [row.phone for row in page.rows])
    most = state.code_max_attempts
    shown = [_described(row, jobs[row.id], numbers.get(row.phone), most, now) for row in page.rows]
    return schemas.Verifications(shown, page.following)


def _shown(state: AppState, row: Row[Any]) -> schemas.Verification:
    with state.database.read() as connection:
        return _verification(connection, row, state, now_ms())


def _verification(
    connection: Connection, row: Row[Any], state: AppState, now: int
) -> schemas.Verification:
    jobs = queries.jobs_of(connection, [row.id])[row.id]
    number = whatsapp_accounts.whatsapp_numbers(connection, [row.phone]).get(row.phone)
    return _described(row, jobs, number, state.code_max_attempts, now)


def _described(
    row: Row[Any],
    jobs: Sequence[Row[Any]],
    whatsapp_number: str | None,
    most_attempts: int,
    now: int,
) -> schemas.Verification:
    return schemas.Verification(
        verificationId=row.id,
        status=_status(row, now),
        reason=row.reason,
        phoneNumber=row.phone or None,
        provedNumber=row.proved_phone,
        whatsappNumber=whatsapp_number,
        mode=row.link_mode or "send",
        template=row.template,
        locale=row.locale,
        reference=row.reference,
        metadata=None if row.metadata_json is None else msgspec.json.decode(row.metadata_json),
        redirectUrl=row.redirect_url,
        attemptsRemaining=max(0, most_attempts - row.attempts),
        resendsRemaining=max(0, len(WAITS) - row.resends),
        created_at=iso(row.created_at),
        otp_expires_at=iso(row.expires_at),
        ended_at=iso_or_none(row.ended_at),
        jobs=[
            schemas.VerificationJob(
                job.id,
                states.legacy_status(job.status),
                job.status,
                in_english(job, "error"),
                iso(job.created_at),
            )
            for job in jobs
        ],
    )


def _status(row: Row[Any], now: int) -> lifecycle.Status:
    """Return its status, which expires before housekeeping updates the row."""
    is_over = row.status == PENDING and row.expires_at <= now
    return EXPIRED if is_over else cast("lifecycle.Status", row.status)


def _job(state: AppState, number: int) -> schemas.Job:
    with state.database.read() as connection:
        row: Any = states.find(connection, number)
    return schemas.Job(
        jobId=row.id,
        status=states.legacy_status(row.status),
        delivery=row.status,
        error=in_english(row, "error"),
        attempts=row.attempts,
        created_at=iso(row.created_at),
        otp_expires_at=iso(row.expires_at),
        sending_at=iso_or_none(row.sending_at),
        sent_at=iso_or_none(row.sent_at),
        delivered_at=iso_or_none(row.delivered_at),
        read_at=iso_or_none(row.read_at),
        finished_at=iso_or_none(row.finished_at),
        verificationId=row.verification_id,
    )
