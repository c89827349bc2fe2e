"""Who calls: the key in X-API-KEY, what it may do, and from where."""

from ipaddress import ip_address

from hudhud.auth.api_key_settings import SCOPES, Scope
from hudhud.auth.caller import Caller
from hudhud.core.errors import NotAllowed
from hudhud.core.ip_addresses import Network
from hudhud.web.http.errors import Unauthorized
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import parts_of

KEY_MISSING = "Unauthorized: API Key is missing from headers."
KEY_WRONG = "Unauthorized: Invalid API Key."


def authenticate(request: AnyRequest, scope: Scope) -> Caller:
    """Return whose key the request presents, and that it may do what needs `scope`.

    Raises Unauthorized without a key that works, and NotAllowed where it may not be used from
    there ("address_not_allowed") or lacks the scope ("scope_missing").
    """
    presented = request.headers.get("x-api-key")
    if not presented:
        raise Unauthorized(KEY_MISSING)
    caller = parts_of(request).api_key_cache.identify(presented)
    if caller is None:
        raise Unauthorized(KEY_WRONG)
    require_address(request, caller)
    if not caller.may(scope):
        raise NotAllowed(_scope_missing(caller, scope), "scope_missing")
    return caller


def require_address(request: AnyRequest, caller: Caller) -> None:
    """Raise NotAllowed unless the key may be used from where the request comes from.

    That is the client as far as TRUSTED_PROXIES lets us believe it.
    """
    if not caller.networks:
        return
    address = request.client.host if request.client is not None else ""
    if not is_within(address, caller.networks):
        raise NotAllowed(
            "This API key may not be used from this address. Send the request from one that it "
            "was made for, or make another key with: hudhud keys create NAME --from NETWORK",
            "address_not_allowed",
        )


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether an address lies in one of the networks; what is no address does not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if found.version == 6 and found.ipv4_mapped is not None:  # noqa: PLR2004 -- of the protocol
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def _scope_missing(caller: Caller, scope: Scope) -> str:
    wanted = [one for one in SCOPES if one in caller.scopes or one == scope]
    options = " ".join(f"--scope {one}" for one in wanted)
    return (
        f"This API key may not do that: it lacks the scope {scope}. Make one that may with: "
        f"hudhud keys create NAME {options}"
    )
