"""Who calls: the key in X-API-KEY."""

from hudhud.web.errors import Unauthorized
from hudhud.web.parts import AnyRequest, parts_of

KEY_MISSING = "Unauthorized: API Key is missing from headers."
KEY_WRONG = "Unauthorized: Invalid API Key."


def authenticate(request: AnyRequest) -> str:
    """Return the identity of the caller's key. Raises Unauthorized."""
    presented = request.headers.get("x-api-key")
    if not presented:
        raise Unauthorized(KEY_MISSING)
    identity = parts_of(request).key_ring.identify(presented)
    if identity is None:
        raise Unauthorized(KEY_WRONG)
    return identity
