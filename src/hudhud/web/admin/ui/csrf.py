"""Tokens that prove that a form or a script's request comes from our own page.

A token is bound to a session, or for the login form, which has none yet, to a random cookie of its
own. It is salted anew each time it is written into a page, so that compressing the page beside
text of an attacker's choice tells nothing of it (BREACH).
"""

import hmac
import secrets

from hudhud.auth.sessions import Session
from hudhud.core.crypto import derive

FIELD = "_csrf"
HEADER = "X-CSRF-Token"
SALT_BYTES = 12
COOKIE_BYTES = 32


class CsrfKey:
    """Makes tokens and recognises its own."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        both = (secret, previous)
        self._keys = [derive(one, "csrf") for one in both if one is not None]

    def token_for(self, session: Session) -> str:
        """Return a token for a page or a script of this session."""
        return self._new(_of_session(session))

    def fits(self, token: str | None, session: Session) -> bool:
        """Tell in constant time whether the token was made for this session."""
        return self._is_own(token, _of_session(session))

    def token_for_login(self, cookie: str) -> str:
        """Return a token for the login form of the browser that holds `cookie`."""
        return self._new(_of_cookie(cookie))

    def fits_login(self, token: str | None, cookie: str | None) -> bool:
        """Tell in constant time whether the token was made for the browser with this cookie."""
        return cookie is not None and self._is_own(token, _of_cookie(cookie))

    def _is_own(self, token: str | None, bound_to: bytes) -> bool:
        salt = (token or "").partition(".")[0]
        own = [_bytes(_salted(key, salt, bound_to)) for key in self._keys]
        return any([hmac.compare_digest(_bytes(token or ""), one) for one in own])  # noqa: C419 -- a generator would stop at the first match

    def _new(self, bound_to: bytes) -> str:
        return _salted(self._keys[0], secrets.token_urlsafe(SALT_BYTES), bound_to)


def _salted(key: bytes, salt: str, bound_to: bytes) -> str:
    digest = hmac.new(key, _bytes(salt) + b"\0" + bound_to, "sha256")
    return f"{salt}.{digest.hexdigest()}"


def new_cookie() -> str:
    """Return a value for the cookie that binds a login form to its browser."""
    return secrets.token_urlsafe(COOKIE_BYTES)


def _of_session(session: Session) -> bytes:
    return b"session " + session.digest


def _of_cookie(cookie: str) -> bytes:
    return b"login " + _bytes(cookie)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
