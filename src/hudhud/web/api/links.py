"""Links, with which the user writes first, and their QR codes."""

import asyncio
from typing import Final, cast
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.params import FromPath

from hudhud.core.clock import iso, now_ms
from hudhud.core.errors import BadRequest, NotFound
from hudhud.messages.templates.catalog import LinkMode
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.links.start import NO_LINK, LinkRequest
from hudhud.web.api import idempotency, schemas
from hudhud.web.api.auth import authenticate
from hudhud.web.api.fields import INVALID, Fields, fields_of
from hudhud.web.api.openapi import API_KEY_SECURITY, ApiOperation, LinkOperation, responses
from hudhud.web.api.phone_number import number_to_link
from hudhud.web.api.send import LONGEST_NAME, client_ip, locale
from hudhud.web.http import rate_limit_headers
from hudhud.web.http.qr_svg import qr_image
from hudhud.web.http.request import REQUEST_ID_HEADER, VERIFICATION_ID, AnyRequest, request_id
from hudhud.web.http.responses import answer
from hudhud.web.state import state_of

MODES: Final[tuple[LinkMode, ...]] = ("reply", "verify")
LONGEST_URL = 2000
SVG = "image/svg+xml"
# The link's token is as secret as a code until it is used.
NO_STORE: Final = {"Cache-Control": "no-store"}


@post(
    "/api/v1/otp/link",
    summary="Let the user write first",
    tags=["OTP"],
    status_code=201,
    operation_class=LinkOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 413, 415, 422, 429, 500, 503),
)
async def start(request: AnyRequest) -> Response[schemas.Link]:
    """Start a verification in which the user sends a prepared WhatsApp message."""
    number = request_id(request)
    await authenticate(request, "send")
    caller = await authenticate(request, "verify")  # Hudhud checks the code or token itself
    fields = await fields_of(request)
    asked = link_request(fields, idempotency.idempotent_request(request, fields, caller))
    links = state_of(request).links
    started = await asyncio.to_thread(links.start, asked, caller=caller, now=now_ms())
    body = schemas.Link(
        verificationId=started.verification_id,
        whatsappLink=started.url,
        token=started.token,
        otp_expires_at=iso(started.expires_at),
    )
    headers = {
        REQUEST_ID_HEADER: number,
        **NO_STORE,
        **rate_limit_headers.headers(started.quota),
        **idempotency.headers(is_repeated=started.is_repeated),
    }
    return answer(body, headers=headers)


@get(
    "/api/v1/otp/link/{verification_id:str}/qr",
    summary="The link as a QR code",
    tags=["OTP"],
    media_type=SVG,
    operation_class=ApiOperation,
    security=API_KEY_SECURITY,
    responses=responses(401, 403, 404, 410, 500, 503),
)
async def qr(request: AnyRequest, verification_id: FromPath[str]) -> Response[bytes]:
    """Return the link's QR code, for a page on a computer."""
    caller = await authenticate(request, "read")
    if not VERIFICATION_ID.fullmatch(verification_id):
        raise NotFound(NO_LINK, "not_found")
    links = state_of(request).links
    address = await asyncio.to_thread(links.show, verification_id, caller=caller, now=now_ms())
    return Response(qr_image(address), media_type=SVG, headers=NO_STORE)


def link_request(fields: Fields, idempotent: IdempotentRequest | None) -> LinkRequest:
    """Parse a body. Raises BadRequest."""
    mode = fields.raw("mode")
    mode = "reply" if mode in (None, "") else mode
    if mode not in MODES:
        raise BadRequest(f'Bad Request: "mode" is one of: {", ".join(MODES)}.', INVALID)
    phone = fields.raw("phoneNumber")
    return LinkRequest(
        mode=cast("LinkMode", mode),
        phone=None if phone in (None, "") else number_to_link(phone),
        reference=fields.text("reference", LONGEST_NAME),
        locale=locale(fields),
        redirect_url=_redirect_url(fields),
        client_ip=client_ip(fields),
        idempotent=idempotent,
    )


def _redirect_url(fields: Fields) -> str | None:
    """Return the caller's next page, which is only stored and returned."""
    given = fields.text("redirectUrl", LONGEST_URL)
    if given is None:
        return None
    try:
        address = urlsplit(given)
        is_web = address.scheme in ("http", "https") and bool(address.hostname)
        _ = address.port  # raises if it is not a port
    except ValueError:
        is_web = False
    if not is_web or not given.isascii() or " " in given:
        raise BadRequest(
            'Bad Request: "redirectUrl" must be an http:// or https:// address of at most '
            f"{LONGEST_URL} characters.",
            INVALID,
        )
    return given
