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
