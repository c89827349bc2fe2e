"""Decide which addresses webhooks may reach, to prevent requests into private networks.

A name is resolved once, all its addresses are checked, and the connection goes to one of these
addresses (`http_client.py`), so that changing the DNS record in between (DNS rebinding) has no
effect.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from hudhud.core.errors import BadRequest, HudhudError
from hudhud.core.sentences import say

LONGEST_URL = 2000
PORTS = {"http": 80, "https": 443}

# Global in IANA's registry, but used by services of clouds or networks.
REFUSED_IPV4 = (
    IPv4Network("168.63.129.16/32"),  # Azure's services, reachable only from its machines
    IPv4Network("192.0.0.0/24"),  # RFC 6890: protocol assignments; Oracle Cloud's metadata
    IPv4Network("192.88.99.0/24"),  # RFC 7526: 6to4 relays, deprecated
)
# Global IPv6 addresses (RFC 4291, 2.4), and ranges in it for IPv4 tunnels or documentation.
GLOBAL_IPV6 = IPv6Network("2000::/3")
REFUSED_IPV6 = (
    IPv6Network("2001::/23"),  # RFC 2928: protocol assignments, such as Teredo
    IPv6Network("2002::/16"),  # RFC 3056: 6to4
    IPv6Network("3fff::/20"),  # RFC 9637: documentation
)
CARRIER_NAT = IPv4Network("100.64.0.0/10")  # RFC 6598; also used by VPNs
# Metadata services of clouds, which return credentials, besides the usual link-local address.
METADATA = frozenset(
    {
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv6Address("fd00:ec2::254"),  # Amazon
        IPv6Address("fd20:ce::254"),  # Google
    }
)
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 for IPv6-only machines

# Returns the addresses of a host name as text. Raises OSError.
Resolve = Callable[[str, int], Sequence[str]]
Address = IPv4Address | IPv6Address


class AddressRefused(HudhudError):
    """The address is not allowed, or the name has no address."""


def system_resolve(host: str, port: int) -> Sequence[str]:
    """Resolve a name with the operating system, preferred addresses first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressPolicy:
    """Checks addresses; `allow_private` also allows private networks."""

    def __init__(self, *, allow_private: bool, resolve: Resolve = system_resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    def check(self, url: str) -> None:
        """Check an endpoint's URL and resolve its name, which may take seconds.

        Raises BadRequest with the reason.
        """
        parts = check_form(url)
        try:
            self.addresses(parts.hostname or "", parts.port or PORTS[parts.scheme])
        except AddressRefused as refused:
            raise BadRequest(refused.sentence) from None

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name, all of which are allowed.

        Raises AddressRefused if any is not allowed, because no legitimate name has both.
        """
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError):  # UnicodeError: invalid label in the name
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
    """Return the parts of an endpoint's URL. Raises BadRequest if invalid."""
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
    """Return a URL without its query, which may contain a token."""
    path, mark, _ = url.partition("?")
    return f"{path}?…" if mark else path


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet."""
    inner = _carried(address)
    if isinstance(inner, IPv4Address):
        is_refused = any(inner in network for network in REFUSED_IPV4)
        return inner.is_global and not inner.is_multicast and not is_refused
    is_refused = any(inner in network for network in REFUSED_IPV6)
    return inner in GLOBAL_IPV6 and inner.is_global and not is_refused


def may_be_allowed(address: Address) -> bool:
    """Return whether an address is private or loopback, excluding metadata services."""
    inner = _carried(address)
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in METADATA:
        return False
    return inner.is_private or inner in CARRIER_NAT


def _carried(address: Address) -> Address:
    """Return the IPv4 address embedded in an IPv6 one, else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address
