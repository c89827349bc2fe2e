"""Tokens of forms: salted anew each time, and good for one session alone."""

import pytest

from hudhud.auth.sessions import Session
from hudhud.web.admin.ui.csrf import CsrfKey, new_cookie

KEY = CsrfKey("a secret of these tests")
MINE = Session(b"mine", "admin", is_complete=True, created_at=0, seen_at=0)
OTHER = Session(b"other", "admin", is_complete=True, created_at=0, seen_at=0)


def test_a_token_fits_its_own_session_alone() -> None:
    token = KEY.token_for(MINE)
    assert KEY.fits(token, MINE)
    assert not KEY.fits(token, OTHER)
    assert not CsrfKey("another secret of them").fits(token, MINE)


def test_a_token_from_before_the_secret_was_changed_fits_as_long_as_the_former_one_is_known() -> (
    None
):
    token = KEY.token_for(MINE)
    assert CsrfKey("the next secret", "a secret of these tests").fits(token, MINE)
    assert not CsrfKey("the next secret").fits(token, MINE)
    assert KEY.fits(CsrfKey("a secret of these tests", "another").token_for(MINE), MINE)


def test_no_two_pages_have_the_same_token() -> None:
    tokens = {KEY.token_for(MINE) for _ in range(20)}
    assert len(tokens) == 20
    assert all(KEY.fits(token, MINE) for token in tokens)


@pytest.mark.parametrize("token", [None, "", ".", "a.b", "\udcff.\udcff", "x" * 10_000, "٠.٠"])
def test_anything_else_fits_nothing(token: str | None) -> None:
    assert not KEY.fits(token, MINE)
    assert not KEY.fits_login(token, "cookie")


def test_a_token_with_another_salt_does_not_fit() -> None:
    salt, _, digest = KEY.token_for(MINE).partition(".")
    assert not KEY.fits(f"{salt}x.{digest}", MINE)
    assert not KEY.fits(f".{digest}", MINE)


def test_the_login_forms_token_fits_its_browser_alone() -> None:
    cookie = new_cookie()
    token = KEY.token_for_login(cookie)
    assert KEY.fits_login(token, cookie)
    assert not KEY.fits_login(token, new_cookie())
    assert not KEY.fits_login(token, None)
    assert not KEY.fits(token, MINE)


def test_a_cookie_cannot_be_chosen_to_look_like_a_session() -> None:
    assert not KEY.fits(KEY.token_for_login("mine"), MINE)
