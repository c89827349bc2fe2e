"""Webhooks go only to the public internet."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from hudhud.core.errors import BadRequest
from hudhud.webhooks.address_policy import AddressPolicy, check_form, is_public, may_be_allowed
from support.receivers import receiving
from support.webhook_client import NAME, PUBLIC, address_policy, post

ANY = "0.0.0.0"  # noqa: S104 -- not bound here


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        ANY,
        "0.1.2.3",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "168.63.129.16",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:5db8:d70e::",
        "2001:0:5db8:d70e::",
        "2001:db8::1",
        "3fff::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "5f00::1",
    ],
)
def test_non_public_address_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(BadRequest, match="not on the public internet"):
        address_policy(address).check(f"https://{NAME}/")


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public_address_is_accepted(address: str) -> None:
    assert is_public(ip_address(address))
    address_policy(address).check(f"https://{NAME}/")


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("100.64.0.1", True),
        ("fd12::1", True),
        ("169.254.169.254", False),
        ("::ffff:169.254.169.254", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        (ANY, False),
        ("::", False),
        ("224.0.0.1", False),
    ],
)
def test_cloud_metadata_is_refused_even_if_private_addresses_are_allowed(
    address: str,
    is_allowed: bool,  # noqa: FBT001 -- a case
) -> None:
    assert may_be_allowed(ip_address(address)) is is_allowed
    where = address_policy(address, allow_private=True)
    if is_allowed:
        where.check(f"https://{NAME}/")
    else:
        with pytest.raises(BadRequest):
            where.check(f"https://{NAME}/")


def test_name_with_one_refused_address_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"10\.0\.0\.1"):
        address_policy(PUBLIC, "10.0.0.1").check(f"https://{NAME}/")


def test_unresolvable_name_is_refused_by_name() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(BadRequest, match=r"The name nowhere\.example has no address"):
        AddressPolicy(allow_private=False, resolve=unknown).check("https://nowhere.example/")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::1]",
     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", ANY, "[::]",
     "localhost", "LOCALHOST", "localhost.", "[fe80::1%25lo]"],
)  # fmt: skip
def test_every_notation_of_this_machine_is_refused(host: str) -> None:
    where = AddressPolicy(allow_private=False)
    with receiving() as receiver:
        port = receiver.url.split(":")[2]
        with pytest.raises(BadRequest):
            where.check(f"http://{host}:{port}")
        answer = post(where, f"http://{host}:{port}")
        assert answer.status is None
        assert answer.error is not None
        assert receiver.received == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "unix:///run/docker.sock",
        "http://",
        "https:///path",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://shop.example:http/",
        "https://user@shop.example/",
        "https://user:password@shop.example/",
        "https://127.0.0.1\\@shop.example/",
        "https://shop.example/#part",
        "https://shop.example/a b",
        "https://shop.example/\r\nHost: other",
        "https://shop.example/\x00",
        "https://bücher.example/",
        "https://[::1",
        "https://shop.example/" + "x" * 2000,
    ],
)
def test_unusual_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        check_form(url)


@pytest.mark.parametrize(
    "url",
    ["https://shop.example", "http://shop.example:8080/a;b?c=d%20e&f=@", "https://[2606:4700::1]/"],
)
def test_plain_url_is_accepted(url: str) -> None:
    check_form(url)
