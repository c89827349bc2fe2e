"""Error 463: refused people, the restriction of the account, and its end."""

import pytest

from hudhud.channels.base import Account
from hudhud.channels.linked.restriction import WINDOW_MS, Recipient, Restriction, Waits

NOW = 1_800_000_000_000
MINUTE = 60_000
STRANGERS = [Recipient(f"+20100000000{number}") for number in (1, 2, 3)]
KNOWN = Recipient("+201000000009")
OTHER = Recipient("+201000000004")


@pytest.fixture
def restriction() -> Restriction:
    return Restriction(Waits(), wrote_first=lambda phone: phone == KNOWN.phone)


def restrict(restriction: Restriction, now: int = NOW) -> None:
    for phone in STRANGERS:
        restriction.refuse(phone, now)


def test_one_refusal_blocks_only_that_person(restriction: Restriction) -> None:
    assert not restriction.refuse(STRANGERS[0], NOW)
    assert restriction.until is None
    assert restriction.wait(STRANGERS[0], NOW) == 120
    assert restriction.wait(STRANGERS[0], NOW + 2 * MINUTE) == 0
    assert restriction.wait(OTHER, NOW) == 0


def test_refusals_of_one_person_never_restrict_the_account(restriction: Restriction) -> None:
    assert not any(restriction.refuse(STRANGERS[0], NOW + i * MINUTE) for i in range(5))
    assert restriction.until is None


def test_third_refused_person_within_ten_minutes_restricts_the_account(
    restriction: Restriction,
) -> None:
    assert not restriction.refuse(STRANGERS[0], NOW)
    assert not restriction.refuse(STRANGERS[1], NOW + MINUTE)
    assert restriction.refuse(STRANGERS[2], NOW + 2 * MINUTE)
    assert restriction.until == NOW + 17 * MINUTE


def test_refusals_further_apart_do_not_add_up(restriction: Restriction) -> None:
    for number, phone in enumerate(STRANGERS):
        restriction.refuse(phone, NOW + number * WINDOW_MS)
    assert restriction.until is None


def test_restricted_account_reaches_people_who_wrote_first(restriction: Restriction) -> None:
    restrict(restriction)
    assert restriction.wait(KNOWN, NOW) == 0
    assert restriction.wait(OTHER, NOW) == 15 * 60


def test_message_to_a_person_who_wrote_first_is_no_probe(restriction: Restriction) -> None:
    restrict(restriction)
    assert not restriction.accept(KNOWN)
    assert restriction.until is not None


def test_each_refused_probe_doubles_the_wait(restriction: Restriction) -> None:
    restrict(restriction)
    waits = []
    now = NOW
    for _ in range(3):
        assert restriction.until is not None
        waits.append((restriction.until - now) // MINUTE)
        now = restriction.until
        assert restriction.wait(OTHER, now) == 0
        assert restriction.refuse(OTHER, now)
    assert waits == [15, 30, 60]


def test_wait_for_a_probe_is_bounded(restriction: Restriction) -> None:
    restrict(restriction)
    for _ in range(20):
        restriction.refuse(OTHER, NOW)
    assert restriction.until == NOW + 24 * 60 * MINUTE


def test_successful_probe_lifts_the_restriction(restriction: Restriction) -> None:
    restrict(restriction)
    assert restriction.accept(OTHER)
    assert restriction.until is None
    assert [restriction.wait(phone, NOW) for phone in STRANGERS] == [0, 0, 0]
    restrict(restriction)
    assert restriction.until == NOW + 15 * MINUTE


def test_person_who_writes_after_a_refusal_is_no_longer_blocked(restriction: Restriction) -> None:
    restriction.refuse(STRANGERS[0], NOW)
    restriction.forgive(Account(STRANGERS[0].phone, None))
    assert restriction.wait(STRANGERS[0], NOW) == 0


ARGENTINE_ACCOUNT = Account("+5491112345678", "2")
ARGENTINE = Recipient("+5491112345678", ARGENTINE_ACCOUNT)
ARGENTINE_SHORT = Recipient("+541112345678", ARGENTINE_ACCOUNT)
ARGENTINE_BY_LID = Recipient("+541112345678", Account(None, "2"))


@pytest.mark.parametrize("same", [ARGENTINE_SHORT, ARGENTINE_BY_LID])
def test_numbers_of_one_account_are_one_person(restriction: Restriction, same: Recipient) -> None:
    restriction.refuse(STRANGERS[0], NOW)
    restriction.refuse(ARGENTINE, NOW)
    assert not restriction.refuse(same, NOW + MINUTE)
    assert restriction.wait(ARGENTINE, NOW + MINUTE) == 120
    assert restriction.refuse(STRANGERS[1], NOW + MINUTE)


@pytest.mark.parametrize("wrote", [ARGENTINE_ACCOUNT, Account(None, "2")])
def test_person_who_writes_from_another_number_is_no_longer_blocked(
    restriction: Restriction, wrote: Account
) -> None:
    restriction.refuse(ARGENTINE_SHORT, NOW)
    restriction.forgive(wrote)
    assert restriction.wait(ARGENTINE_SHORT, NOW) == 0
