"""What API and dashboard alike ask of an API key."""

from hudhud.auth.caller import Caller
from hudhud.core.errors import NotAllowed
from hudhud.core.ip_addresses import is_within
from hudhud.web.http.request import AnyRequest

KEY_WRONG = "Unauthorized: Invalid API Key."


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
