"""The types of settings: parsing and validation of their values."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from hudhud.core.clock import HOUR_MS
from hudhud.core.ip_addresses import Network, parse_networks
from hudhud.core.plain_text import is_plain
from hudhud.core.rates import Rates, parse_rates

# Sample values from the earlier application's README, which are not secret.
PLACEHOLDERS = frozenset(
    {
        "YOUR_VERY_SECRET_OTP_API_KEY",
        "YOUR_SECRET_API_KEY",
        "your_admin_username",
        "your_admin_password",
        "a_very_long_and_random_session_secret_string",
    }
)
# Harmless sample values that count as unset.
UNSET_PLACEHOLDERS = frozenset(
    {"YOUR_TELEGRAM_BOT_TOKEN_IF_USING_ALERTS", "YOUR_TELEGRAM_CHAT_ID_IF_USING_ALERTS"}
)
SHORTEST_SECRET = 16
LONGEST_FILE_NAME = 64
LONGEST_BRAND = 60
NO_COUNTRY = "001"  # satellite phones and other international numbers
# The languages in `wordings/`.
Locale = Literal["ar", "de", "en", "es", "fa", "fr", "hi", "id", "pt", "ru", "tr", "ur"]


def _no_placeholder(value: str | None) -> str | None:
    if value in PLACEHOLDERS:
        raise ValueError("is still the sample value from the documentation: choose your own")
    return value


def _unless_placeholder(value: object) -> object:
    return None if value in UNSET_PLACEHOLDERS else value


def _long_enough(value: str | None) -> str | None:
    if value is not None and len(value) < SHORTEST_SECRET:
        raise ValueError(f"needs at least {SHORTEST_SECRET} characters, e.g. openssl rand -hex 32")
    return value


def _networks(value: object) -> object:
    return parse_networks(value, ",") if isinstance(value, str) else value


def _file_name(value: str) -> str:
    if value in {".", ".."} or "/" in value or "\0" in value or len(value) > LONGEST_FILE_NAME:
        raise ValueError(
            f"must be a plain name of at most {LONGEST_FILE_NAME} characters, without /"
        )
    return value


def brand(value: str) -> str:
    """Strip and check a brand. Raises ValueError if unusable in texts."""
    name = value.strip()
    if not 0 < len(name) <= LONGEST_BRAND:
        raise ValueError(f"must have 1 to {LONGEST_BRAND} characters")
    if not is_plain(name) or "{code}" in name or "{token}" in name:
        raise ValueError("must not hold line breaks, control characters, {code} or {token}")
    return name


def _proxy(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        address = urlsplit(value)
        complete = address.scheme in {"http", "socks5"} and address.hostname and address.port
    except ValueError:
        complete = None
    if not complete:
        raise ValueError("must look like http://host:port or socks5://user:password@host:port")
    return value


def _database(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        backend = make_url(value).get_backend_name()
    except (ArgumentError, ValueError):
        backend = ""
    if backend not in {"postgresql", "postgres"}:
        raise ValueError("must be a postgresql:// address; leave it unset to use SQLite")
    return value


def _alert_urls(value: str | None) -> str | None:
    for number, address in enumerate((value or "").split(), start=1):
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", address):
            raise ValueError(f"address {number} does not look like scheme://…")
    return value


def _log_level(value: object) -> object:
    """Translate the levels of winston, the earlier application's logger."""
    winston = {"warn": "warning", "http": "info", "verbose": "debug", "silly": "debug"}
    return winston.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _library_log_level(value: object) -> object:
    """Translate pino's levels; a startup notice explains why debug becomes info."""
    pino = {"fatal": "error", "warning": "warn", "debug": "info", "trace": "info"}
    return pino.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _rates(value: object) -> object:
    return parse_rates(value) if isinstance(value, str) else value


def _countries(value: object) -> object:
    if not isinstance(value, str):
        return value
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 -- rarely needed

    countries = tuple(part.strip().upper() for part in value.split(",") if part.strip())
    for country in countries:
        if country not in SUPPORTED_REGIONS and country != NO_COUNTRY:
            raise ValueError(f"{country[:40]!r} is no country: use two-letter codes, like EG,SA,AE")
    return countries


Secret = Annotated[str | None, AfterValidator(_no_placeholder)]
LongSecret = Annotated[Secret, AfterValidator(_long_enough)]
FileName = Annotated[str, Field(min_length=1), AfterValidator(_file_name)]
Milliseconds = Annotated[int, Field(ge=0, le=HOUR_MS)]
LimitRates = Annotated[Rates | None, BeforeValidator(_rates)]
Countries = Annotated[tuple[str, ...], BeforeValidator(_countries)]

Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
AdminName = Annotated[str, Field(min_length=1), AfterValidator(_no_placeholder)]
Brand = Annotated[str, AfterValidator(brand)]
ProxyAddress = Annotated[str | None, AfterValidator(_proxy)]
DatabaseAddress = Annotated[str | None, AfterValidator(_database)]
AlertAddresses = Annotated[str | None, AfterValidator(_alert_urls)]
Telegram = Annotated[str | None, BeforeValidator(_unless_placeholder)]
LogLevel = Annotated[Literal["error", "warning", "info", "debug"], BeforeValidator(_log_level)]
LibraryLogLevel = Annotated[
    Literal["silent", "error", "warn", "info"], BeforeValidator(_library_log_level)
]
