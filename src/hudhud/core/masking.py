"""The log's safety net: whatever is handed to it, secrets and phone numbers do not reach a line.

Codes have no shape by which they could be found in a text, only the name under which they are
logged: no log line may have one in its sentence.
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

# Most texts have nothing of all this, and one search of each kind shows it.
_NUMBER_LIKE = re.compile(r"\d{6}|\+\d")
_SECRET_LIKE = re.compile(r"://|hh_(?:live|test)_|whsec_|bot\d|linked_devices#")
# After a plus digits may be grouped; without one, 10 digits and more count as a number.
_PHONE = re.compile(
    r"\+\d(?:[ ().-]{0,2}\d){7,14}|(?:(?<![A-Za-z0-9.])|(?<=%2[Bb]))\d{10,17}(?![A-Za-z0-9])"
)
_SECRETS = (
    (re.compile(r"(hh_(?:live|test)_[\w-]{6})[\w-]+"), r"\1…"),
    (re.compile(r"(whsec_)[\w+/=-]+"), rf"\1{HIDDEN}"),  # what signs webhooks
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{HIDDEN}@"),  # name and password in an address
    (re.compile(r"\b(bot|tgram://)\d+:[\w-]+"), rf"\1{HIDDEN}"),  # a Telegram bot's token
    (re.compile(r"(linked_devices#)\S+"), rf"\1{HIDDEN}"),  # what a pairing QR code holds
)


def mask_text(text: str) -> str:
    """Hide phone numbers, API keys and the secrets in addresses that stand in `text`."""
    if _SECRET_LIKE.search(text):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    if _NUMBER_LIKE.search(text):
        text = _PHONE.sub(_mask_found, text)
    return text


def mask_value(name: str, value: object, depth: int = 0) -> object:
    """Return what a log line may say of `value`, in plain JSON types.

    The value under a secret's name is replaced whole, in nested values too.
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
