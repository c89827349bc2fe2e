"""What handlers read of a request before they know what it asks for."""

import re
import secrets
from typing import Any

from litestar import Request

from hudhud.core.whole_numbers import whole_number

AnyRequest = Request[Any, Any, Any]

REQUEST_ID_HEADER = "X-Request-ID"
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
VERIFICATION_ID = re.compile(r"v[0-9a-f]{43}", re.ASCII)


def request_id(request: AnyRequest) -> str:
    """Return the id that follows the request from the API's log lines to the sender's.

    It is the caller's own where that has a plain form, else a new one.
    """
    known: str | None = request.state.get("request_id")
    if known is None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        known = given if PLAIN_ID.fullmatch(given) else secrets.token_hex(8)
        request.state["request_id"] = known
    return known


def content_type(request: AnyRequest) -> str:
    """Return the type of the body, without its parameters, in small letters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wants_page(request: AnyRequest) -> bool:
    """Tell whether a person's browser asks for a page; all other callers get JSON."""
    return (
        "text/html" in request.headers.get("accept", "").lower() and content_type(request) != JSON
    )


def is_htmx(request: AnyRequest) -> bool:
    """Tell whether the page's own script asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def job_number(text: str) -> int:
    """Return the number that names a job in an address; 0, which none has, for any other text."""
    return whole_number(text, padded=False) or 0
