"""Which addresses Hudhud may post to: an endpoint must not be a way into its own network.

A name is looked up once, every address of it is judged, and the connection goes to one of these
very addresses (`http_client.py`): a name that changes between the two opens nothing.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from hudhud.core.errors import BadRequest, HudhudError
from hudhud.core.sentences import say

LONGEST_URL = 2000
PORTS = {"http": 80, "https": 443}

# Global by IANA's registry, yet services of the machine's own surroundings answer there.
REFUSED_IPV4 = (
    IPv4Network("168.63.129.16/32"),  # Azure's own services, reached from its machines alone
    IPv4Network("192.0.0.0/24"),  # RFC 6890: protocols' own; Oracle's cloud has metadata there
    IPv4Network("192.88.99.0/24"),  # RFC 7526: 6to4 relays, given up
)
# All of the IPv6 internet (RFC 4291, 2.4), and what in it carries IPv4 or is documentation.
GLOBAL_IPV6 = IPv6Network("2000::/3")
REFUSED_IPV6 = (
    IPv6Network("2001::/23"),  # RFC 2928: protocols' own, Teredo among them
    IPv6Network("2002::/16"),  # RFC 3056: 6to4
    IPv6Network("3fff::/20"),  # RFC 9637: documentation
)
CARRIER_NAT = IPv4Network("100.64.0.0/10")  # RFC 6598; private networks of tunnels use it
# Where clouds hand out credentials, in addition to the link-local address that all of them know.
METADATA = frozenset(
    {
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv6Address("fd00:ec2::254"),  # Amazon
        IPv6Address("fd20:ce::254"),  # Google
    }
)
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 for machines without it

# Returns the addresses of a name, as text. Raises OSError.
Resolve = Callable[[str, int], Sequence[str]]
Address = IPv4Address | IPv6Address


class AddressRefused(HudhudError):
    """Nothing may be posted there, or the name has no address; the text says which."""


def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name, the preferred ones first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressPolicy:
    """Judges addresses; with `allow_private` those of the own network may be reached too."""

    def __init__(self, *, allow_private: bool, resolve: Resolve = system_resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    def check(self, url: str) -> None:
        """Check an endpoint's address, its name looked up; it may take seconds.

        Raises BadRequest with a sentence that says what is wrong.
        """
        parts = check_form(url)
        try:
            self.addresses(parts.hostname or "", parts.port or PORTS[parts.scheme])
        except AddressRefused as refused:
            raise BadRequest(refused.sentence) from None

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses that may be connected to for a name. Raises AddressRefused.

        One that may not be reached refuses the whole name: no honest one has both.
        """
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError):  # UnicodeError: a label that no name can have
            found = ()
        if not found:
            raise AddressRefused(say("webhook.no_address", host=host))
        for text in found:
            self._judge(host, text)
        return found

    def _judge(self, host: str, text: str) -> None:
        address = ip_address(text.partition("%")[0])
        if is_public(address) or (self._allow_private and may_be_allowed(address)):
            return
        raise AddressRefused(say("webhook.not_public", host=host, address=str(address)))


def check_form(url: str) -> SplitResult:
    """Return the parts of an endpoint's address. Raises BadRequest where it cannot be one."""
    if len(url) > LONGEST_URL:
        raise BadRequest(say("webhook.address_too_long", detail=LONGEST_URL))
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadRequest(say("webhook.address_not_ascii"))
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise BadRequest(say("webhook.address_malformed"))
    if "@" in parts.netloc:
        raise BadRequest(say("webhook.address_with_password"))
    if parts.fragment or "\\" in url:
        raise BadRequest(say("webhook.address_with_fragment"))
    return parts


def shown(url: str) -> str:
    """Return an address without what it asks for, which may hold a token."""
    path, mark, _ = url.partition("?")
    return f"{path}?…" if mark else path


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet."""
    inner = _carried(address)
    if isinstance(inner, IPv4Address):
        is_refused = any(inner in network for network in REFUSED_IPV4)
        return inner.is_global and not inner.is_multicast and not is_refused
    is_refused = any(inner in network for network in REFUSED_IPV6)
    return inner in GLOBAL_IPV6 and inner.is_global and not is_refused


def may_be_allowed(address: Address) -> bool:
    """Tell whether an address is private or loopback; the metadata of a cloud never is."""
    inner = _carried(address)
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in METADATA:
        return False
    return inner.is_private or inner in CARRIER_NAT


def _carried(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address
