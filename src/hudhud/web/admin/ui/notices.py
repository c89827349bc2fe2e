"""The result of a form, passed to the next page by cookie.

The cookie is signed, so that other sites cannot forge notices.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from itsdangerous import BadData, URLSafeSerializer

from hudhud.core.crypto import derive

Tone = Literal["ok", "info", "warn", "bad"]

FLASH_COOKIE = "hudhud_flash"
FLASH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Notice:
    """The result of a form, shown on the next page."""

    tone: Tone
    text: str


class NoticeKey:
    """Signs notices for cookies and checks them."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(
            derive(secret, "notice"),
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def seal(self, notice: Notice) -> str:
        """Return the cookie's value."""
        value: str = self._serializer.dumps([notice.tone, notice.text])
        return value

    def open(self, value: str | None) -> Notice | None:
        """Return the notice of a cookie; None if the signature is invalid."""
        try:
            tone, text = self._serializer.loads(value or "")
        except (BadData, UnicodeEncodeError):
            return None
        return Notice(tone, text)
