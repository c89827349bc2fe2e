"""The client's address behind trusted proxies."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudhud.core.ip_addresses import is_within, parse_networks
from hudhud.web.http.forwarded import forwarded_address

TRUSTED = parse_networks("192.0.2.0/24 2001:db8::/32")
ADDRESSES = st.ip_addresses().map(str)
OTHERS = st.sampled_from(["unknown", "_hidden", "", "203.0.113.7.1", "999.0.0.1"])


@pytest.mark.parametrize(
    ("nodes", "address"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7", "192.0.2.1"], "203.0.113.7"),
        (["192.0.2.1"], "192.0.2.1"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (['"[2001:470::1]:4711"'], "2001:470::1"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7", "unknown"], None),
        (["203.0.113.7", "unknown", "192.0.2.1"], "192.0.2.1"),
        (["unknown", "203.0.113.7"], "203.0.113.7"),
        ([], None),
    ],
)
def test_client_is_the_last_address_that_no_trusted_proxy_has(
    nodes: list[str], address: str | None
) -> None:
    assert forwarded_address(nodes, TRUSTED) == address


@given(invented=st.lists(ADDRESSES | OTHERS), client=ADDRESSES)
def test_client_cannot_change_its_address_by_sending_the_header(
    invented: list[str], client: str
) -> None:
    """The trusted proxy appends the address that it sees."""
    alone = forwarded_address([client], TRUSTED)
    if not is_within(client, TRUSTED):
        assert forwarded_address([*invented, client], TRUSTED) == alone


@given(nodes=st.lists(ADDRESSES | OTHERS))
def test_result_is_an_address_of_the_header_or_none(nodes: list[str]) -> None:
    found = forwarded_address(nodes, TRUSTED)
    assert found is None or ip_address(found)
