"""Authentication by X-API-KEY: the key, its scopes and addresses."""

from collections.abc import Collection

from hudhud.auth.api_key_settings import SCOPES, Scope
from hudhud.auth.caller import Caller
from hudhud.core.errors import NotAllowed
from hudhud.web.http.api_key import KEY_WRONG, require_address
from hudhud.web.http.errors import Unauthorized
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import state_of

KEY_MISSING = "Unauthorized: API Key is missing from headers."


async def authenticate(request: AnyRequest, scope: Scope) -> Caller:
    """Return the caller whose key the request presents, if it has `scope`.

    Raises Unauthorized without a valid key, and NotAllowed if the key may not be used from the
    client's address ("address_not_allowed") or lacks the scope ("scope_missing").
    """
    presented = request.headers.get("x-api-key")
    if not presented:
        raise Unauthorized(KEY_MISSING)
    caller = await state_of(request).api_key_cache.find(presented)
    if caller is None:
        raise Unauthorized(KEY_WRONG)
    require_address(request, caller)
    if not caller.may(scope):
        raise NotAllowed(scope_missing(caller.scopes, scope), "scope_missing")
    return caller


def scope_missing(held: Collection[Scope], scope: Scope) -> str:
    """Return the sentence for a key that lacks a scope, with the command for another key."""
    wanted = [name for name in SCOPES if name in held or name == scope]
    options = " ".join(f"--scope {name}" for name in wanted)
    return (
        f"This API key may not do that: it lacks the scope {scope}. Make one that may with: "
        f"hudhud keys create NAME {options}"
    )
