"""Parse, compare and group IP addresses and networks."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hudhud.core.plain_text import is_plain, shortened

Network = IPv4Network | IPv6Network

# The IPv6 network that a provider assigns to one customer; limits count it as one address.
IPV6_PREFIX = 64
LONGEST_ADDRESS = 200
LONGEST_NODE = 45  # an IPv6 address that ends as an IPv4 address
PORT = r"(?::[0-9]{1,5})?"
# A node of RFC 7239: an IPv6 address with a port has brackets, and colons need quotes.
_NODE = re.compile(
    rf'("?)(?:\[(?P<bracketed>[^\]]+)\]{PORT}|(?P<ipv4>[0-9.]+){PORT}|(?P<bare>.+))\1'
)


def parse_network(text: str) -> Network:
    """Parse a network or a single address. Raises ValueError."""
    return ip_network(text.strip(), strict=False)


def parse_networks(text: str, separator: str | None = None) -> tuple[Network, ...]:
    """Parse a list of networks, separated by whitespace unless `separator` is given.

    Raises ValueError.
    """
    return tuple(parse_network(part) for part in text.split(separator) if part.strip())


def node_address(text: str) -> str | None:
    """Return the address of a node as proxies write it (RFC 7239); None for other text.

    Spaces around it, quotes, brackets and a port are left out: `"[2001:db8::1]:4711"`.
    """
    found = _NODE.fullmatch(text.strip())
    address = "" if found is None else found["bracketed"] or found["ipv4"] or found["bare"]
    if len(address) > LONGEST_NODE or not is_plain(address):
        return None
    try:
        return str(ip_address(address))
    except ValueError:
        return None


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def unmapped(address: str) -> str:
    """Return an IPv4-mapped IPv6 address as its IPv4 address, and any other text unchanged."""
    if not address.startswith("::ffff:") or not is_address(address):
        return address
    return str(IPv6Address(address).ipv4_mapped or address)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address is in any network; False for other text.

    An IPv4-mapped IPv6 address counts as its IPv4 address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def limited_as(address: str) -> str:
    """Return the IPv4 address or IPv6 network that limits count."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return shortened(address, LONGEST_ADDRESS)
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is None:
            return str(ip_network((known, IPV6_PREFIX), strict=False))
        known = known.ipv4_mapped
    return str(known)
