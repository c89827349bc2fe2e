"""A caller's permissions, and who checks the codes of its sends."""

import pytest

from hudhud.auth.api_key_settings import Scope
from hudhud.auth.caller import ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES, Caller


@pytest.mark.parametrize(
    ("scopes", "may_verify"),
    [
        (("send", "verify", "read"), True),
        (("verify",), True),
        (("admin",), True),
        (("send", "read", "sandbox"), False),
    ],
)
def test_codes_of_a_key_that_may_verify_are_checked_here(
    scopes: tuple[Scope, ...], *, may_verify: bool
) -> None:
    shop = Caller("shop", "shop", frozenset(scopes))
    assert (shop.may_verify, shop.checks_codes_here) == (may_verify, may_verify)


def test_environment_key_may_verify_but_may_also_compare_codes_itself() -> None:
    key = Caller(ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES)
    assert (key.may_verify, key.checks_codes_here) == (True, False)


@pytest.mark.parametrize("own", [None, 8])
@pytest.mark.parametrize("of_settings", [None, 5])
@pytest.mark.parametrize("usual", [None, 6])
def test_length_of_codes_comes_from_key_then_settings_then_kind_of_key(
    own: int | None, of_settings: int | None, usual: int | None
) -> None:
    shop = Caller("shop", "shop", frozenset(), code_length=own, usual_code_length=usual)
    given = [length for length in (own, of_settings, usual, 4) if length is not None]
    assert shop.digits(of_settings) == given[0]
