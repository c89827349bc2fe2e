"""What came of a form, carried to the page that follows in a signed cookie.

Nobody else can sign one, so that no other page can put words into Hudhud's mouth.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import Literal

from hudhud.core.crypto import derive

Tone = Literal["ok", "info", "warn", "bad"]

FLASH_COOKIE = "hudhud_flash"
FLASH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Notice:
    """What came of a form, said on the page that follows."""

    tone: Tone
    text: str


class NoticeKey:
    """Writes notices into cookies and reads its own again."""

    def __init__(self, secret: str) -> None:
        self._key = derive(secret, "notice")

    def seal(self, notice: Notice) -> str:
        """Return the cookie's value."""
        text = json.dumps([notice.tone, notice.text]).encode()
        return base64.urlsafe_b64encode(self._digest(text) + text).decode()

    def open(self, value: str | None) -> Notice | None:
        """Return the notice of a cookie; None for one that is not ours."""
        try:
            sealed = base64.urlsafe_b64decode((value or "").encode())
        except (ValueError, binascii.Error):
            return None
        digest, text = sealed[:32], sealed[32:]
        if not hmac.compare_digest(digest, self._digest(text)):
            return None
        tone, said = json.loads(text)
        return Notice(tone, said)

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, "sha256")
