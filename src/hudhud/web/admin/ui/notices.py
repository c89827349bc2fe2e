"""The result of a form, carried to the page that follows in a signed cookie.

Nobody else can sign one, so that no other page can put words into Hudhud's mouth.
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
    """The result of a form, said on the page that follows."""

    tone: Tone
    text: str


class NoticeKey:
    """Signs notices for cookies, and reads its own."""

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
        """Return the notice of a cookie; None for one that is not ours."""
        try:
            tone, text = self._serializer.loads(value or "")
        except (BadData, UnicodeEncodeError):
            return None
        return Notice(tone, text)
