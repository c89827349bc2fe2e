"""The origins by which logins are counted: an address with its networks, or a known browser.

One site has many addresses of IPv6: a /48 has 65,536 networks of the size that counts as one
address. So failures also count for the /56 and /48, with limits that grow slower than the networks.
"""

from dataclasses import dataclass
from ipaddress import IPv6Network

from hudhud.core.ip_addresses import limited_as

MOST_FAILURES = 5
MOST_FAILURES_OF_56 = 10
MOST_FAILURES_OF_48 = 20
# Characters of an IPv6 address written in full, without which two networks are the same.
CHARACTERS_OF_64 = len("2001:0db8:0000:0000")
CHARACTERS_OF_56 = len("2001:0db8:0000:00")
CHARACTERS_OF_48 = len("2001:0db8:0000:")


@dataclass(frozen=True, slots=True)
class CountedNetwork:
    """An IPv6 network wider than one address; its attempts are stored with this prefix."""

    prefix: str
    bits: int
    most: int

    def __str__(self) -> str:
        digits = self.prefix.replace(":", "").ljust(32, "0")
        return str(IPv6Network((int(digits, 16), self.bits)))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a login comes from; its attempts are stored under `name`.

    `networks` are those that count it too, from the narrowest; a known browser and IPv4 have none.
    `browser` is the id of a known browser.
    """

    name: str
    networks: tuple[CountedNetwork, ...] = ()
    browser: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether an admin logged in there before."""
        return self.browser is not None

    @property
    def site(self) -> str:
        """The prefix of all names that one site has."""
        return self.networks[-1].prefix if self.networks else self.name


def origin_of_address(address: str) -> Origin:
    """Return the origin of a client without a known browser's cookie."""
    place = limited_as(address)
    try:
        full = IPv6Network(place).exploded
    except ValueError:
        return Origin(place)
    return Origin(
        f"{full[:CHARACTERS_OF_64]}::/64",
        (
            CountedNetwork(full[:CHARACTERS_OF_56], 56, MOST_FAILURES_OF_56),
            CountedNetwork(full[:CHARACTERS_OF_48], 48, MOST_FAILURES_OF_48),
        ),
    )


def origin_of_browser(browser: str) -> Origin:
    """Return the origin of a known browser, wherever it is."""
    return Origin(f"browser {browser}", browser=browser)
