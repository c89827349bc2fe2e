"""Membership of addresses in networks, and the grouping of addresses for limits."""

import pytest

from hudhud.core.ip_addresses import is_within, limited_as, parse_network, parse_networks


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:DB8:1:2::1", "2001:db8:1:2:0:0:0:9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_addresses_of_one_customer_count_as_one(one: str, other: str) -> None:
    assert limited_as(one) == limited_as(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:3::1"), ("192.0.2.1", "192.0.2.2"), ("unknown", "other")],
)
def test_addresses_of_different_customers_count_separately(one: str, other: str) -> None:
    assert limited_as(one) != limited_as(other)


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::1", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_an_address_lies_in_a_network(address: str, *, is_inside: bool) -> None:
    networks = parse_networks("192.0.2.9/24 198.51.100.1")
    assert is_within(address, networks) == is_inside


def test_unwrapping_of_ipv4_mapped_addresses_is_optional() -> None:
    assert not is_within("::ffff:192.0.2.7", parse_networks("192.0.2.0/24"), unwraps=False)


def test_list_of_networks_may_have_empty_entries_but_no_other_text() -> None:
    assert parse_networks(" , 192.0.2.0/24,", ",") == (parse_network("192.0.2.0/24"),)
    with pytest.raises(ValueError, match="here"):
        parse_networks("here")
