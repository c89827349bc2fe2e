"""IP addresses and networks: parsed, compared, counted as one where they belong together."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hudhud.core.plain_text import shortened

Network = IPv4Network | IPv6Network

# A provider gives a customer this much of IPv6, so that it counts as one address.
IPV6_PREFIX = 64
LONGEST_ADDRESS = 200


def parse_network(text: str) -> Network:
    """Return a network; an address is the network of itself alone. Raises ValueError."""
    return ip_network(text.strip(), strict=False)


def parse_networks(text: str, separator: str | None = None) -> tuple[Network, ...]:
    """Return the networks of a list, separated by spaces where no `separator` is given.

    Raises ValueError.
    """
    return tuple(parse_network(part) for part in text.split(separator) if part.strip())


def is_within(address: str, networks: Iterable[Network], *, unwraps: bool = True) -> bool:
    """Tell whether an address lies in one of the networks; text that is no address does not.

    `unwraps`: an IPv6 address that wraps an IPv4 one is compared as that one.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if unwraps and isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def limited_as(address: str) -> str:
    """Return what limits count as one: an IPv4 address, or the network of an IPv6 address."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return shortened(address, LONGEST_ADDRESS)
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is None:
            return str(ip_network((known, IPV6_PREFIX), strict=False))
        known = known.ipv4_mapped
    return str(known)
