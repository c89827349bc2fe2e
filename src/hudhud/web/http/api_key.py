"""Checks of an API key shared by the API and the dashboard."""

from hudhud.auth.caller import Caller
from hudhud.core.errors import NotAllowed
from hudhud.core.ip_addresses import is_within
from hudhud.web.http.request import AnyRequest

KEY_WRONG = "Unauthorized: Invalid API Key."
ADDRESS_NOT_ALLOWED = (
    "This API key may not be used from this address. Send the request from one that it was made "
    "for, or make another key with: hudhud keys create NAME --from NETWORK"
)


def require_address(request: AnyRequest, caller: Caller) -> None:
    """Raise NotAllowed unless the key may be used from the client's address.

    Behind TRUSTED_PROXIES that is the forwarded address.
    """
    if not caller.networks:
        return
    address = request.client.host if request.client is not None else ""
    if not is_within(address, caller.networks):
        raise NotAllowed(ADDRESS_NOT_ALLOWED, "address_not_allowed")
