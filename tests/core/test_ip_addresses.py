"""Membership of addresses in networks, and the grouping of addresses for limits."""

import pytest

from hudhud.core.ip_addresses import (
    is_within,
    limited_as,
    node_address,
    parse_network,
    parse_networks,
    unmapped,
)


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


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:", "::ffff:"),
        ("::ffff:x", "::ffff:x"),
        ("", ""),
    ],
)
def test_ipv4_mapped_address_becomes_its_ipv4_address(text: str, address: str) -> None:
    assert unmapped(text) == address


def test_list_of_networks_may_have_empty_entries_but_no_other_text() -> None:
    assert parse_networks(" , 192.0.2.0/24,", ",") == (parse_network("192.0.2.0/24"),)
    with pytest.raises(ValueError, match="here"):
        parse_networks("here")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ('"192.0.2.1:4711"', "192.0.2.1"),
        ("\t 192.0.2.1 \r\n", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::4711", "2001:db8::4711"),  # no port without brackets
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        (' "[2001:db8:cafe::17]:4711" ', "2001:db8:cafe::17"),
        ("[::ffff:192.0.2.1]:80", "::ffff:c000:201"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[fe80::1%eth0]:80", "fe80::1%eth0"),
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
    ],
)
def test_address_of_a_node_has_no_port_brackets_or_quotes(text: str, address: str) -> None:
    assert node_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '""',
        "[]",
        "unknown",
        "_hidden",
        "192.0.2.1, 198.51.100.2",
        "192.0.2.1:80, 198.51.100.2:80",
        "[2001:db8::1], [2001:db8::2]",
        "192.0.2.1 198.51.100.2",
        "192.0.2",
        "192.0.2.1/24",
        "192.0.2.1:",
        "192.0.2.1:123456",
        "192.0.2.1:port",
        "[2001:db8::1",
        "2001:db8::1]",
        "[[2001:db8::1]]",
        '"192.0.2.1',
        '192.0.2.1"',
        "'192.0.2.1'",
        "1:2:3:4:5:6:7:8:4711",
        "fe80::1%eth\n0",
        "fe80::1%" + "x" * 45,
        "1" * 100_000,
        ":" * 100_000,
    ],
)
def test_other_text_is_no_address_of_a_node(text: str) -> None:
    assert node_address(text) is None
