"""The limit of wrong API keys per address: reported, and refused behind a proxy or from afar."""

import pytest
from structlog.testing import capture_logs

from hudhud.auth.wrong_keys import MOST_ADDRESSES, MOST_WRONG, WINDOW_SECONDS, WrongKeys
from hudhud.core.errors import TooMany

FAR = "203.0.113.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def counted(keys: WrongKeys, address: str, count: int) -> int:
    """Note wrong keys, and return how many were refused."""
    refused = 0
    for _ in range(count):
        try:
            keys.note(address)
        except TooMany:
            refused += 1
    return refused


def test_the_hundred_and_first_wrong_key_of_a_minute_is_refused() -> None:
    clock = Clock()
    keys = WrongKeys(is_behind_proxy=False, clock=clock)
    assert counted(keys, FAR, MOST_WRONG + 3) == 3
    assert counted(keys, "203.0.113.8", 1) == 0
    clock.now += WINDOW_SECONDS - 1
    with pytest.raises(TooMany, match="Try again in 1 s") as found:
        keys.note(FAR)
    assert (found.value.word, found.value.retry_after) == ("too_many_wrong_keys", 1)
    clock.now += 1
    assert counted(keys, FAR, MOST_WRONG) == 0


def test_addresses_of_one_ipv6_customer_count_together() -> None:
    keys = WrongKeys(is_behind_proxy=False)
    addresses = [f"2001:db8:1:2::{number:x}" for number in range(MOST_WRONG + 1)]
    assert sum(counted(keys, address, 1) for address in addresses) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("is_behind_proxy", [True, False])
def test_loopback_is_refused_only_behind_a_proxy(address: str, *, is_behind_proxy: bool) -> None:
    keys = WrongKeys(is_behind_proxy=is_behind_proxy)
    assert counted(keys, address, MOST_WRONG + 5) == (5 if is_behind_proxy else 0)


def test_many_wrong_keys_are_logged_once_a_minute_without_the_key() -> None:
    clock = Clock()
    keys = WrongKeys(is_behind_proxy=False, clock=clock)
    with capture_logs() as logs:
        for _ in range(2):
            counted(keys, FAR, 3 * MOST_WRONG)
            clock.now += WINDOW_SECONDS
    assert [(line["log_level"], line["address"]) for line in logs] == [("warning", FAR)] * 2


def test_memory_is_bounded_by_counting_further_addresses_together() -> None:
    keys = WrongKeys(is_behind_proxy=False, clock=lambda: 0.0)
    for number in range(MOST_ADDRESSES + MOST_WRONG):
        keys.note(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    assert counted(keys, "198.51.100.1", 1) == 1
    assert counted(keys, "10.0.0.1", 1) == 0
