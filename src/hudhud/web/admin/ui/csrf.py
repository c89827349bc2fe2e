"""CSRF tokens, which prove that a request comes from our own page.

A token is a random text signed for the session, or, for the login form, which has no session yet,
for a random cookie. Each page gets another token, so that compressing it together with an
attacker's text reveals nothing (BREACH).
"""

import hashlib
import secrets

from itsdangerous import Signer

from hudhud.auth.sessions import Session
from hudhud.core.crypto import derive

FIELD = "_csrf"
HEADER = "X-CSRF-Token"
RANDOM_BYTES = 12
COOKIE_BYTES = 32


class CsrfKey:
    """Creates and checks tokens."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        both = (previous, secret)  # the last key signs
        self._keys = [derive(key, "csrf") for key in both if key is not None]

    def token_for(self, session: Session) -> str:
        """Return a token for a page or a script of this session."""
        return self._new(_of_session(session))

    def fits(self, token: str | None, session: Session) -> bool:
        """Return in constant time whether the token was made for this session."""
        return self._is_own(token, _of_session(session))

    def token_for_login(self, cookie: str) -> str:
        """Return a token for the login form of the browser with `cookie`."""
        return self._new(_of_cookie(cookie))

    def fits_login(self, token: str | None, cookie: str | None) -> bool:
        """Return in constant time whether the token was made for this cookie."""
        return cookie is not None and self._is_own(token, _of_cookie(cookie))

    def _is_own(self, token: str | None, bound_to: bytes) -> bool:
        return self._signer(bound_to).validate(_bytes(token or ""))

    def _new(self, bound_to: bytes) -> str:
        return self._signer(bound_to).sign(secrets.token_urlsafe(RANDOM_BYTES)).decode()

    def _signer(self, bound_to: bytes) -> Signer:
        return Signer(
            self._keys, salt=bound_to, key_derivation="hmac", digest_method=hashlib.sha256
        )


def new_cookie() -> str:
    """Return a random cookie that binds a login form to its browser."""
    return secrets.token_urlsafe(COOKIE_BYTES)


def _of_session(session: Session) -> bytes:
    return b"session " + session.digest


def _of_cookie(cookie: str) -> bytes:
    return b"login " + _bytes(cookie)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
