"""Recognize browsers in which an admin logged in before, by a signed cookie.

The cookie is no login: password and second factor are still required. It only exempts a browser
from the limits of its address, so that failures of others do not keep the admin out. Failures of
each cookie count separately, because a cookie may be stolen.

It ends after `LIFETIME_MS` or when the password or the admin's name changes. A logout keeps it.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from hudhud.core.clock import DAY_MS
from hudhud.core.crypto import derive

LIFETIME_MS = 365 * DAY_MS
ID_BYTES = 16
# Id, end in milliseconds, and signature (SHA-256 in base64).
_COOKIE = re.compile(
    r"(?P<id>[A-Za-z0-9_-]{22})\.(?P<ends_at>[0-9]{1,15})\.(?P<signature>[A-Za-z0-9_-]{43}=)",
    re.ASCII,
)


class KnownBrowsers:
    """Signs and checks the cookies.

    `password_marks` identify name and password (`AdminPassword.marks`), under the same secrets.
    """

    def __init__(self, secret: str, previous_secret: str | None) -> None:
        both = (secret, previous_secret)
        self._keys = [derive(one, "known browser") for one in both if one is not None]

    def cookie(self, browser: str | None, *, password_mark: bytes, now: int) -> str:
        """Return a cookie for a browser after a login; `browser` is its id if it is known."""
        name = browser or secrets.token_urlsafe(ID_BYTES)
        signed = f"{name}.{now + LIFETIME_MS}"
        return f"{signed}.{_signature(self._keys[0], signed, password_mark)}"

    def find(self, cookie: str, *, password_marks: Sequence[bytes], now: int) -> str | None:
        """Return the id of the browser with this cookie; None if invalid or expired."""
        found = _COOKIE.fullmatch(cookie)
        if found is None or int(found["ends_at"]) <= now:
            return None
        signed, _, signature = cookie.rpartition(".")
        fits = [
            hmac.compare_digest(signature, _signature(key, signed, mark))
            for key, mark in zip(self._keys, password_marks, strict=True)
        ]
        return found["id"] if any(fits) else None


def _signature(key: bytes, signed: str, password_mark: bytes) -> str:
    message = signed.encode() + b"\0" + password_mark
    return urlsafe_b64encode(hmac.digest(key, message, "sha256")).decode()
