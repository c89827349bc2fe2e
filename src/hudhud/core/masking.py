"""Mask secrets and phone numbers in log lines.

Codes have no recognizable form and are masked only by the name of their field: never put a code
into the text of a log event.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from hudhud.core.phones import mask_phone

HIDDEN = "***"
SECRET_NAMES = frozenset(
    {
        "api_key",
        "apikey",
        "authorization",
        "code",
        "cookie",
        "otp",
        "pair_code",
        "password",
        "qr",
        "secret",
        "token",
        "x_api_key",
    }
)
SECRET_ENDINGS = ("_api_key", "_password", "_secret", "_token")
PHONE_NAMES = frozenset({"phone", "phone_number", "phonenumber"})
DEEPEST = 6

# Cheap checks that let most texts skip the patterns below.
_NUMBER_LIKE = re.compile(r"\d{6}|\+\d")
_SECRET_LIKE = re.compile(r"://|hh_(?:live|test)_|whsec_|bot\d|linked_devices#")
# With a plus, digits may be grouped; without one, 10 or more digits count as a number.
_PHONE = re.compile(
    r"\+\d(?:[ ().-]{0,2}\d){7,14}|(?:(?<![A-Za-z0-9.])|(?<=%2[Bb]))\d{10,17}(?![A-Za-z0-9])"
)
_SECRETS = (
    (re.compile(r"(hh_(?:live|test)_[\w-]{6})[\w-]+"), r"\1…"),
    (re.compile(r"(whsec_)[\w+/=-]+"), rf"\1{HIDDEN}"),  # a webhook secret
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{HIDDEN}@"),  # name and password in an address
    (re.compile(r"\b(bot|tgram://)\d+:[\w-]+"), rf"\1{HIDDEN}"),  # a Telegram bot's token
    (re.compile(r"(linked_devices#)\S+"), rf"\1{HIDDEN}"),  # the content of a pairing QR code
)


def mask_text(text: str) -> str:
    """Mask phone numbers, API keys, tokens and secrets of URLs in `text`."""
    if _SECRET_LIKE.search(text):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    if _NUMBER_LIKE.search(text):
        text = _PHONE.sub(_mask_found, text)
    return text


def mask_value(name: str, value: object, depth: int = 0) -> object:
    """Convert `value` to plain JSON types, with secrets and phone numbers masked.

    A value whose name is that of a secret is replaced entirely, also in nested values.
    """
    if value is None or isinstance(value, bool):
        return value
    if _is_secret(name):
        return HIDDEN
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, int | float):
        return mask_phone(str(value)) if name.lower() in PHONE_NAMES else value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _mask_inside(name, value, depth + 1)
    return mask_text(_described(value))


def _mask_inside(
    name: str, value: Mapping[object, object] | Iterable[object], depth: int
) -> object:
    if depth > DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {
            mask_text(str(key)): mask_value(str(key), inner, depth) for key, inner in value.items()
        }
    return [mask_value(name, inner, depth) for inner in value]


def _mask_found(found: re.Match[str]) -> str:
    return mask_phone(found.group())


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return plain in SECRET_NAMES or plain.endswith(SECRET_ENDINGS)


def _described(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a log line must not fail over a value's own __str__
        return f"<{type(value).__name__}>"
