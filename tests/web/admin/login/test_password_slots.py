"""The places of logins in progress."""

from contextlib import ExitStack

import pytest

from hudhud.auth.login_origins import Origin, origin_of_address, origin_of_browser
from hudhud.web.admin.login.password_slots import Busy, PasswordSlots

BROWSER = origin_of_browser("one")


def fill(slots: PasswordSlots, stack: ExitStack, origins: list[Origin]) -> int:
    """Take places until one is refused; return how many were taken."""
    for number, origin in enumerate(origins):
        try:
            stack.enter_context(slots.place(origin))
        except Busy:
            return number
    return len(origins)


def test_many_addresses_leave_the_places_of_known_browsers() -> None:
    addresses = [origin_of_address(f"198.51.100.{number}") for number in range(200)]
    with ExitStack() as stack:
        slots = PasswordSlots()
        assert fill(slots, stack, addresses) == 80
        assert fill(slots, stack, [BROWSER] * 200) == 20
        assert slots.taken == 100
    assert slots.taken == 0
    assert slots._unknown == {}


def test_known_browsers_may_use_all_places() -> None:
    with ExitStack() as stack:
        slots = PasswordSlots()
        assert fill(slots, stack, [BROWSER] * 200) == 100
        assert fill(slots, stack, [origin_of_address("192.0.2.1")]) == 0


@pytest.mark.parametrize("pattern", ["2001:db8:1:{:x}::1", "192.0.2.1"])
def test_one_site_gets_only_a_share(pattern: str) -> None:
    origins = [origin_of_address(pattern.format(number << 8)) for number in range(200)]
    with ExitStack() as stack:
        slots = PasswordSlots()
        assert fill(slots, stack, origins) == 20
        assert fill(slots, stack, [origin_of_address("2001:db8:2::1")]) == 1
        assert fill(slots, stack, [BROWSER]) == 1


def test_place_is_free_after_an_error() -> None:
    slots = PasswordSlots(1, for_known=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), slots.place(BROWSER):
            raise ZeroDivisionError
    assert slots.taken == 0
