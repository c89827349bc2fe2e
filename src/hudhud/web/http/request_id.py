"""The id that follows a request from the API's log lines to the sender's."""

import re
import secrets

from hudhud.web.http.request import AnyRequest

HEADER = "X-Request-ID"
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id(request: AnyRequest) -> str:
    """Return the request's id: the caller's own where it has a plain form, or a new one."""
    known: str | None = request.state.get("request_id")
    if known is None:
        given = request.headers.get(HEADER, "")
        known = given if PLAIN.fullmatch(given) else secrets.token_hex(8)
        request.state["request_id"] = known
    return known
