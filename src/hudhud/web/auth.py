"""Who calls: the key in X-API-KEY."""

from typing import Any

from litestar import Request

from hudhud.api_keys import KeyRing
from hudhud.web.errors import Unauthorized

KEY_MISSING = "Unauthorized: API Key is missing from headers."
KEY_WRONG = "Unauthorized: Invalid API Key."


def authenticate(request: Request[Any, Any, Any], key_ring: KeyRing) -> str:
    """Return the identity of the caller's key. Raises Unauthorized."""
    presented = request.headers.get("x-api-key")
    if not presented:
        raise Unauthorized(KEY_MISSING)
    identity = key_ring.identify(presented)
    if identity is None:
        raise Unauthorized(KEY_WRONG)
    return identity
