"""POST /api/v1/otp/send: read the request, accept it, answer 202."""

import re

import structlog
from litestar import Response, post
from msgspec import UNSET, UnsetType

from hudhud.core import code_lengths
from hudhud.core.clock import iso, now_ms
from hudhud.core.errors import BadRequest
from hudhud.core.ip_addresses import node_address
from hudhud.messages.templates import language_tags
from hudhud.verification import codes
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.new_verification import Accepted, SendRequest
from hudhud.web.api import idempotency, schemas
from hudhud.web.api.auth import authenticate
from hudhud.web.api.fields import INVALID, Fields, fields_of_send
from hudhud.web.api.openapi import API_KEY_SECURITY, SendOperation, responses
from hudhud.web.api.phone_number import number_to_send_to
from hudhud.web.http import rate_limit_headers
from hudhud.web.http.request import REQUEST_ID_HEADER, AnyRequest, request_id
from hudhud.web.http.responses import answer
from hudhud.web.state import state_of

log = structlog.get_logger(__name__)

ACCEPTED = "OTP request accepted and has been queued for sending."
LONGEST_NAME = 64
LARGEST_METADATA = 1024
SHORTEST_TTL, LONGEST_TTL = 60, 900
NO_ADDRESS = 'Bad Request: "clientIp" must be one IP address, such as 192.0.2.1 or 2001:db8::1.'
NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}", re.ASCII)


@post(
    "/api/v1/otp/send",
    summary="Send a code",
    tags=["OTP"],
    status_code=202,
    operation_class=SendOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 413, 422, 429, 500, 503),
)
async def send(request: AnyRequest) -> Response[schemas.Accepted]:
    """Queue a code for a phone number; 202 means stored on disk."""
    number = request_id(request)
    caller = await authenticate(request, "send")
    state = state_of(request)
    fields = await fields_of_send(request)
    asked = send_request(fields, idempotency.idempotent_request(request, fields, caller))
    new = state.starter.make(asked, caller=caller, request_id=number, now=now_ms())
    accepted = await state.acceptances.submit(new)
    log.debug("accepted", job=accepted.message_id, request_id=number)
    headers = {
        REQUEST_ID_HEADER: number,
        **rate_limit_headers.headers(accepted.quota),
        **idempotency.headers(is_repeated=accepted.is_repeated),
    }
    body = schemas.Accepted(
        message=ACCEPTED,
        otp=UNSET if accepted.code is None else accepted.code,
        jobId=accepted.message_id,
        otp_expires_at=iso(accepted.expires_at),
        verificationId=accepted.verification_id,
        locale=_replacement(asked, accepted),
    )
    return answer(body, headers=headers)


def send_request(fields: Fields, idempotent: IdempotentRequest | None) -> SendRequest:
    """Parse a body. Raises BadRequest."""
    return SendRequest(
        phone=number_to_send_to(fields.raw("phoneNumber")),
        locale=locale(fields),
        template=fields.matching("template", NAME, "the name of a template"),
        length=fields.whole("length", code_lengths.SHORTEST, code_lengths.LONGEST),
        ttl_seconds=fields.whole("ttlSeconds", SHORTEST_TTL, LONGEST_TTL),
        code=fields.matching("code", codes.OWN, "4 to 10 digits or letters"),
        reference=fields.text("reference", LONGEST_NAME),
        metadata_json=fields.small_object("metadata", LARGEST_METADATA),
        hides_code=fields.flag("hideCode"),
        client_ip=client_ip(fields),
        idempotent=idempotent,
    )


def client_ip(fields: Fields) -> str | None:
    """Parse the user's IP address that the caller reports. Raises BadRequest."""
    given = fields.raw("clientIp")
    if given in (None, ""):
        return None
    address = node_address(given) if isinstance(given, str) else None
    if address is None:
        raise BadRequest(NO_ADDRESS, INVALID)
    return address


def locale(fields: Fields) -> str | None:
    """Parse the requested language, which may have no texts. Raises BadRequest."""
    return fields.matching("locale", language_tags.TAG, "a language such as ar or pt-BR")


def _replacement(asked: SendRequest, accepted: Accepted) -> str | UnsetType:
    """Return the message's language if it is not the requested one."""
    is_as_asked = asked.locale is None or language_tags.plain(asked.locale) == accepted.locale
    return UNSET if is_as_asked or accepted.locale is None else accepted.locale
