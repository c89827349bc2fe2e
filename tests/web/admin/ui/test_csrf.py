"""CSRF tokens: salted each time and valid for one session."""

import pytest

from hudhud.auth.sessions import Session
from hudhud.web.admin.ui.csrf import CsrfKey, new_cookie

KEY = CsrfKey("a secret of these tests")
MINE = Session(b"mine", "admin", is_complete=True, created_at=0, seen_at=0)
OTHER = Session(b"other", "admin", is_complete=True, created_at=0, seen_at=0)


def test_token_is_valid_only_for_its_session() -> None:
    token = KEY.token_for(MINE)
    assert KEY.fits(token, MINE)
    assert not KEY.fits(token, OTHER)
    assert not CsrfKey("another secret of them").fits(token, MINE)


def test_token_of_the_former_secret_is_valid_while_that_is_known() -> None:
    token = KEY.token_for(MINE)
    assert CsrfKey("the next secret", "a secret of these tests").fits(token, MINE)
    assert not CsrfKey("the next secret").fits(token, MINE)
    assert KEY.fits(CsrfKey("a secret of these tests", "another").token_for(MINE), MINE)


def test_every_token_is_different() -> None:
    tokens = {KEY.token_for(MINE) for _ in range(20)}
    assert len(tokens) == 20
    assert all(KEY.fits(token, MINE) for token in tokens)


@pytest.mark.parametrize("token", [None, "", ".", "a.b", "\udcff.\udcff", "x" * 10_000, "٠.٠"])
def test_malformed_tokens_are_invalid(token: str | None) -> None:
    assert not KEY.fits(token, MINE)
    assert not KEY.fits_login(token, "cookie")


def test_token_with_another_salt_is_invalid() -> None:
    salt, _, digest = KEY.token_for(MINE).partition(".")
    assert not KEY.fits(f"{salt}x.{digest}", MINE)
    assert not KEY.fits(f".{digest}", MINE)


def test_token_of_the_login_form_is_valid_only_for_its_browser() -> None:
    cookie = new_cookie()
    token = KEY.token_for_login(cookie)
    assert KEY.fits_login(token, cookie)
    assert not KEY.fits_login(token, new_cookie())
    assert not KEY.fits_login(token, None)
    assert not KEY.fits(token, MINE)


def test_token_of_a_login_form_is_invalid_for_a_session() -> None:
    assert not KEY.fits(KEY.token_for_login("mine"), MINE)
