"""Origins agree with the networks of the standard library."""

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import example, given
from hypothesis import strategies as st

from hudhud.auth.login_origins import Origin, origin_of_address, origin_of_browser

# Neighbours, of which many share a network.
NEAR = st.builds(
    lambda flipped, bit: str(IPv6Address((0x20010DB8 << 96) ^ (flipped << bit))),
    st.integers(0, 3),
    st.integers(60, 84),
)
ANY = st.one_of(NEAR, st.ip_addresses(v=6).map(str))


@given(ANY, ANY)
@example("::1", "::2")
@example("2001:db8:0:1::", "2001:db8::")
def test_addresses_share_exactly_their_networks(one: str, other: str) -> None:
    ours, theirs = origin_of_address(one), origin_of_address(other)
    if IPv6Address(one).ipv4_mapped or IPv6Address(other).ipv4_mapped:
        return
    assert (ours.name == theirs.name) == is_same(one, other, 64)
    for network in ours.networks:
        assert theirs.name.startswith(network.prefix) == is_same(one, other, network.bits)
        assert str(network) == str(ip_network((one, network.bits), strict=False))
    assert (ours.site == theirs.site) == is_same(one, other, 48)


def is_same(one: str, other: str, bits: int) -> bool:
    """Return whether two addresses are in one network of this size."""
    return IPv6Address(other) in ip_network((one, bits), strict=False)


@given(st.ip_addresses(v=4))
def test_ipv4_address_counts_alone(address: IPv4Address) -> None:
    origin = Origin(str(address))
    assert origin_of_address(str(address)) == origin
    assert origin_of_address(f"::ffff:{address}") == origin
    assert origin.site == str(address)


def test_other_text_counts_alone() -> None:
    for text in ("unknown", "", "x::/64", "2001:0db8:0000:"):
        assert origin_of_address(text).networks == ()


@given(st.text(), ANY)
def test_browser_counts_apart_from_addresses(browser: str, address: str) -> None:
    origin = origin_of_browser(browser)
    assert (origin.is_known, origin.networks) == (True, ())
    assert not origin_of_address(address).is_known
    assert origin.name != origin_of_address(address).name
