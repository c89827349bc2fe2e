"""The only place that turns domain errors into HTTP responses."""

from typing import Any, Final

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET, UnsetType
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.clock import iso
from hudhud.core.database_lost import DatabaseLost, cause_of
from hudhud.core.errors import (
    BadRequest,
    Conflict,
    Contradiction,
    Gone,
    HudhudError,
    NotAllowed,
    NotFound,
    NotReady,
    QueueUnavailable,
    Refused,
    SenderRestricted,
    TooMany,
    UnsupportedBody,
)
from hudhud.db.engine import may_pass
from hudhud.verification.limits.rate_limits import LimitReached, TooManyWrongCodes
from hudhud.web.http import rate_limit_headers
from hudhud.web.http.request import REQUEST_ID_HEADER, AnyRequest, request_id
from hudhud.web.http.responses import Message, NoPage, answer

log = structlog.get_logger(__name__)

TOO_LARGE = "request entity too large"
UNAVAILABLE = "Service temporarily unavailable due to a queueing issue. Please try again shortly."
SENDER_RESTRICTED = "sender_restricted"
NO_STRANGERS = "Until {until}, WhatsApp lets no sender write to people who never wrote to it."
WRITE_FIRST = (
    " Create a link with POST /api/v1/otp/link instead: the user writes first, and the code is "
    "sent into that chat."
)
UNEXPECTED = "Internal Server Error while processing OTP request."
CHALLENGE = 'ApiKey realm="hudhud"'  # RFC 9110 11.6.1
CALLER_LEFT = "client disconnected prematurely"  # Litestar's text

OUR_API = "/api/v1/"
EARLIER_SEND = "/api/v1/otp/send"
INVALID_PARAMETER = "invalid_parameter"
HTTP_NOT_FOUND = 404
HTTP_METHOD_NOT_ALLOWED = 405
HTTP_TOO_LARGE = 413
HTTP_SERVER_ERROR = 500
STATUS_OF: Final[dict[type[Refused], int]] = {
    BadRequest: 400,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    UnsupportedBody: 415,
    Contradiction: 422,
    TooMany: 429,
    NotReady: 503,
    LimitReached: 429,
    TooManyWrongCodes: 429,
}


class Unauthorized(HudhudError):
    """The caller is not authenticated."""


class NoSuchJob(HudhudError):
    """The job does not exist."""


def refused(request: AnyRequest, error: Refused) -> Response[Message]:
    """Answer with the error's sentence, word and headers of limits."""
    headers = {}
    if isinstance(error, LimitReached):
        headers = rate_limit_headers.headers(error.quota)
    if isinstance(error, TooMany) and error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = Message(str(error), _word(request, error))
    return answer(body, STATUS_OF[type(error)], headers)


def _word(request: AnyRequest, error: Refused) -> str | UnsetType:
    """Return the error's word; none for a 400 of the earlier application."""
    if error.word is not None:
        return error.word
    is_ours = request.url.path.startswith(OUR_API) and request.url.path != EARLIER_SEND
    return INVALID_PARAMETER if is_ours and isinstance(error, BadRequest) else UNSET


def unauthorized(_request: AnyRequest, error: Unauthorized) -> Response[Message]:
    """401 with the error's sentence and the scheme, which makes no browser ask for a password."""
    return answer(Message(str(error)), 401, {"WWW-Authenticate": CHALLENGE})


def no_such_job(_request: AnyRequest, error: NoSuchJob) -> Response[Message]:
    """404 with the error's sentence."""
    return answer(Message(str(error)), 404)


def unavailable(request: AnyRequest, error: QueueUnavailable) -> Response[Message]:
    """503 with Retry-After; only the operator's log gets the reason."""
    number = request_id(request)
    log.warning(
        "request refused", reason=str(error), retry_after=error.retry_after, request_id=number
    )
    return _unavailable(number, error)


def _unavailable(number: str, error: QueueUnavailable) -> Response[Message]:
    headers = {"Retry-After": str(error.retry_after), REQUEST_ID_HEADER: number}
    if isinstance(error, SenderRestricted):
        return answer(Message(UNAVAILABLE, SENDER_RESTRICTED, _about(error)), 503, headers)
    return answer(Message(UNAVAILABLE), 503, headers)


def _about(error: SenderRestricted) -> str:
    sentence = NO_STRANGERS.format(until=iso(error.until))
    return sentence + (WRITE_FIRST if error.reaches_known else "")


def database_error(request: AnyRequest, error: SQLAlchemyError) -> Response[Message]:
    """503 while the database is unavailable, 500 for a defect."""
    if isinstance(error, DatabaseLost):  # logged once, not for each request
        return _unavailable(request_id(request), QueueUnavailable(str(error)))
    if may_pass(error):
        return unavailable(request, QueueUnavailable(cause_of(error)))
    return unexpected(request, error)


def http_error(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Answer a framework error; unknown path and wrong method look the same."""
    if error.status_code in (HTTP_NOT_FOUND, HTTP_METHOD_NOT_ALLOWED):
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        body = NoPage("Not Found", f"Cannot {request.method} {path}")
        return answer(body, HTTP_NOT_FOUND)
    if error.status_code == HTTP_TOO_LARGE:
        return answer(Message(TOO_LARGE), HTTP_TOO_LARGE)
    if error.detail == CALLER_LEFT:
        log.info("the client disconnected before its request was complete")
        return answer(Message(error.detail), 400)  # the client is gone
    if error.status_code >= HTTP_SERVER_ERROR:
        return unexpected(request, error)
    return answer(Message(error.detail), error.status_code)


def unexpected(request: AnyRequest, error: Exception) -> Response[Message]:
    """500 without details for the caller; the log gets the traceback."""
    number = request_id(request)
    log.error("unexpected error", exc_info=error, request_id=number)
    return answer(Message(UNEXPECTED), HTTP_SERVER_ERROR, {REQUEST_ID_HEADER: number})


HANDLERS: ExceptionHandlersMap = {
    Refused: refused,
    Unauthorized: unauthorized,
    NoSuchJob: no_such_job,
    QueueUnavailable: unavailable,
    SQLAlchemyError: database_error,
    HTTPException: http_error,
    Exception: unexpected,
}
