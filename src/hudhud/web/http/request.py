"""Properties of requests that all handlers need."""

import re
import secrets
from typing import Any

from litestar import Request

from hudhud.core.whole_numbers import whole_number

AnyRequest = Request[Any, Any, Any]

# The theme that a reader chose on the dashboard.
THEME_COOKIE = "hudhud_theme"
REQUEST_ID_HEADER = "X-Request-ID"
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
VERIFICATION_ID = re.compile(r"v[0-9a-f]{43}", re.ASCII)


def request_id(request: AnyRequest) -> str:
    """Return the id that the log lines of API and sender share.

    It is the caller's own if that has a plain form, else a new one.
    """
    known: str | None = request.state.get("request_id")
    if known is None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        known = given if PLAIN_ID.fullmatch(given) else secrets.token_hex(8)
        request.state["request_id"] = known
    return known


def content_type(request: AnyRequest) -> str:
    """Return the media type of the body in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wants_page(request: AnyRequest) -> bool:
    """Return whether a browser requests a page; all other callers get JSON."""
    return (
        "text/html" in request.headers.get("accept", "").lower() and content_type(request) != JSON
    )


def is_htmx(request: AnyRequest) -> bool:
    """Return whether the page's script requests a part of a page."""
    return request.headers.get("hx-request") == "true"


def job_number(text: str) -> int:
    """Parse a job's number in a path; 0 for any other text."""
    return whole_number(text, padded=False) or 0
