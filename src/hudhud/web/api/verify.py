"""POST /api/v1/otp/verify: check a code."""

from litestar import Response, post
from msgspec import UNSET

from hudhud.auth.caller import Caller
from hudhud.core.errors import BadRequest
from hudhud.verification.check import Check, Checked
from hudhud.verification.codes import LONGEST_TYPED
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.web.api import idempotency, schemas
from hudhud.web.api.auth import authenticate
from hudhud.web.api.fields import INVALID, Fields, fields_of
from hudhud.web.api.openapi import API_KEY_SECURITY, CheckOperation, responses
from hudhud.web.api.phone_number import number_to_find
from hudhud.web.http.request import VERIFICATION_ID, AnyRequest
from hudhud.web.http.responses import answer
from hudhud.web.state import state_of

LARGEST_JOB = 10**18 - 1
WHICH_ONE = (
    'Bad Request: Name the verification by exactly one of "phoneNumber", "verificationId" and '
    '"jobId".'
)
TYPED_REQUIRED = 'Bad Request: "otp" is required in the request body: what the user typed.'


@post(
    "/api/v1/otp/verify",
    summary="Check a code",
    tags=["OTP"],
    status_code=200,
    operation_class=CheckOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 503),
)
async def verify(request: AnyRequest) -> Response[schemas.Checked]:
    """Check a code, which is valid once and while attempts remain."""
    caller = await authenticate(request, "verify")
    fields = await fields_of(request)
    idempotent = idempotency.idempotent_request(request, fields, caller)
    asked = check_request(fields, caller, idempotent)
    result = await state_of(request).checks.submit(asked)
    return answer(_checked(result), headers=idempotency.headers(is_repeated=result.is_repeated))


def check_request(fields: Fields, caller: Caller, idempotent: IdempotentRequest | None) -> Check:
    """Parse a body. Raises BadRequest."""
    named = [name for name in ("phoneNumber", "verificationId", "jobId") if fields.raw(name)]
    if len(named) != 1:
        raise BadRequest(WHICH_ONE, INVALID)
    phone = None
    if named == ["phoneNumber"]:
        phone = number_to_find(fields.raw("phoneNumber")).number
    return Check(
        caller=caller,
        typed=_typed(fields),
        verification_id=fields.matching(
            "verificationId", VERIFICATION_ID, "an id that a send answered"
        ),
        job_id=fields.whole("jobId", 1, LARGEST_JOB),
        phone=phone,
        idempotent=idempotent,
    )


def _typed(fields: Fields) -> str | int:
    """Return the typed code; a negative number is one with a dash."""
    typed = fields.raw("otp")
    is_number = isinstance(typed, int) and not isinstance(typed, bool)
    text = str(typed) if is_number else typed
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TYPED:
        raise BadRequest(TYPED_REQUIRED, INVALID)
    return typed if is_number and typed >= 0 else text


def _checked(result: Checked) -> schemas.Checked:
    return schemas.Checked(
        valid=result.is_valid,
        status=result.status,
        verificationId=result.verification_id,
        attemptsRemaining=UNSET if result.is_valid else result.attempts_remaining,
        provedNumber=UNSET if result.proved_phone is None else result.proved_phone,
        whatsappNumber=UNSET if result.whatsapp_number is None else result.whatsapp_number,
    )
