"""Every setting: what it means, its default, and which values are refused.

Read from `.env` and `config/.env` in the current folder; environment variables win. The variables
of the earlier application keep their names; `legacy.py` speaks about those that lost their meaning.
"""

import io
import os
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv.parser import Binding, parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from hudhud.core.errors import SettingsError
from hudhud.core.plain_text import is_plain
from hudhud.core.rates import Rates, parse_rates

ENV_FILES = (Path(".env"), Path("config/.env"))

# The sample values of the earlier application's readme: whoever kept them has no secret at all.
PLACEHOLDERS = frozenset(
    {
        "YOUR_VERY_SECRET_OTP_API_KEY",
        "YOUR_SECRET_API_KEY",
        "your_admin_username",
        "your_admin_password",
        "a_very_long_and_random_session_secret_string",
    }
)
# Those that only mean "no Telegram": nothing is unsafe about them, so they count as unset.
UNSET_PLACEHOLDERS = frozenset(
    {"YOUR_TELEGRAM_BOT_TOKEN_IF_USING_ALERTS", "YOUR_TELEGRAM_CHAT_ID_IF_USING_ALERTS"}
)
SHORTEST_SECRET = 16
LONGEST_FILE_NAME = 64
LONGEST_BRAND = 60
LONGEST_DEFAULT_GAP_MS = 1500
NO_COUNTRY = "001"  # of satellite telephones and other numbers that belong to the whole world

Network = IPv4Network | IPv6Network
# The languages whose texts ship, in `wordings/`.
Locale = Literal["ar", "de", "en", "es", "fa", "fr", "hi", "id", "pt", "ru", "tr", "ur"]


def read_environment(files: Iterable[Path] = ENV_FILES) -> dict[str, str]:
    """Return the variables of `files`, a later file winning, and over them the environment's.

    Names are in capitals; a variable without a value counts as unset and is left out.
    Raises SettingsError naming the file and the line that cannot be read.
    """
    variables: dict[str, str] = {}
    for file in files:
        for binding in parse_env_file(file):
            if binding.key is not None and binding.value is not None:
                variables[binding.key.upper()] = binding.value
    for name in sorted(os.environ, key=str.isupper):  # PORT wins over port
        if os.environ[name].strip():
            variables[name.upper()] = os.environ[name]
    return {name: value for name, value in variables.items() if value.strip()}


def parse_env_file(file: Path) -> list[Binding]:
    """Return what each line of an .env file says; nothing where there is no such file.

    Values are taken as they stand: unlike python-dotenv's default, `${NAME}` is not replaced,
    because the earlier application did not replace it either.
    Raises SettingsError naming the file and the line that cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except IsADirectoryError:  # `.env` is also a usual name for a Python environment
        return []
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not UTF-8 text: save it again as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    bindings = list(parse_stream(io.StringIO(text)))
    for binding in bindings:
        if binding.error:
            line = binding.original.line
            raise SettingsError(
                f"{file}, line {line}: not a line like NAME=value. Mend it, or put # before it."
            )
    return bindings


def _no_placeholder(value: str | None) -> str | None:
    if value in PLACEHOLDERS:
        raise ValueError("is still the sample value of the documentation: choose your own")
    return value


def _unless_placeholder(value: object) -> object:
    return None if value in UNSET_PLACEHOLDERS else value


def _long_enough(value: str | None) -> str | None:
    if value is not None and len(value) < SHORTEST_SECRET:
        raise ValueError(f"needs at least {SHORTEST_SECRET} characters, e.g. openssl rand -hex 32")
    return value


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(
        ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip()
    )


def _file_name(value: str) -> str:
    if value in {".", ".."} or "/" in value or "\0" in value or len(value) > LONGEST_FILE_NAME:
        raise ValueError(
            f"must be a plain name of at most {LONGEST_FILE_NAME} characters, without /"
        )
    return value


def brand(value: str) -> str:
    """Return a brand as the texts name it. Raises ValueError where it would break them."""
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
        raise ValueError("must be a postgresql:// address; for SQLite leave it out")
    return value


def _alert_urls(value: str | None) -> str | None:
    for number, address in enumerate((value or "").split(), start=1):
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", address):
            raise ValueError(f"address {number} does not look like scheme://…")
    return value


def _log_level(value: object) -> object:
    """Translate the earlier application's (winston's) levels."""
    winston = {"warn": "warning", "http": "info", "verbose": "debug", "silly": "debug"}
    return winston.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _library_log_level(value: object) -> object:
    """Translate the earlier library's (pino's) levels; `legacy.py` says what debug becomes."""
    pino = {"fatal": "error", "warning": "warn", "debug": "info", "trace": "info"}
    return pino.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _rates(value: object) -> object:
    return parse_rates(value) if isinstance(value, str) else value


def _countries(value: object) -> object:
    if not isinstance(value, str):
        return value
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 -- most runs name no country

    countries = tuple(part.strip().upper() for part in value.split(",") if part.strip())
    for country in countries:
        if country not in SUPPORTED_REGIONS and country != NO_COUNTRY:
            raise ValueError(f"{country[:40]!r} is no country: write two letters each, as EG,SA,AE")
    return countries


Secret = Annotated[str | None, AfterValidator(_no_placeholder)]
LongSecret = Annotated[Secret, AfterValidator(_long_enough)]
FileName = Annotated[str, Field(min_length=1), AfterValidator(_file_name)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
LimitRates = Annotated[Rates | None, BeforeValidator(_rates)]
Countries = Annotated[tuple[str, ...], BeforeValidator(_countries)]


class Settings(BaseModel):
    """The settings of one process; `load_settings` reads them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str = Field("0.0.0.0", description="Address to listen on")  # noqa: S104 -- as before
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        (),
        description="Addresses or networks, separated by commas, whose X-Forwarded-For is believed",
    )

    api_key: Secret = Field(
        None,
        repr=False,
        description="Key that callers send as X-API-KEY; where neither this nor a key made with "
        "`hudhud keys create` exists, the first start makes one",
    )
    admin_username: Annotated[str, AfterValidator(_no_placeholder)] = Field(
        "admin", min_length=1, description="Name of the admin"
    )
    admin_password: Secret = Field(
        None, repr=False, description="Password of the admin; the first start makes one where unset"
    )
    session_secret: LongSecret = Field(
        None,
        repr=False,
        description="Secret from which all keys are derived, at least 16 characters; made and kept "
        "in the data folder where unset, required with DATABASE_URL",
    )
    session_secret_previous: LongSecret = Field(
        None, repr=False, description="The secret before this one, while it is being replaced"
    )

    data_dir: Path = Field(Path("data"), description="Folder of the database, secret and session")
    log_dir: Path = Field(Path("logs"), description="Folder of the log files")
    database_url: Annotated[str | None, AfterValidator(_database)] = Field(
        None, repr=False, description="PostgreSQL address; wins over DB_FILENAME"
    )
    db_filename: Path | None = Field(
        None, description="SQLite file; `hudhud.db` in the data folder where unset"
    )

    channel: Literal["linked", "sandbox"] = Field(
        "linked",
        description="`linked` sends over a linked WhatsApp device, `sandbox` sends nothing",
    )
    whatsapp_client_id: FileName = Field("main", description="Name of this machine's sender")
    whatsapp_proxy: Annotated[str | None, AfterValidator(_proxy)] = Field(
        None, repr=False, description="http:// or socks5:// proxy for the linked device"
    )
    baileys_session_dir_name: FileName = Field(
        "session",
        description="Folder inside the data folder that holds the linked device's session",
    )
    baileys_initial_retry_delay_ms: Milliseconds = Field(
        2000, description="First wait before reconnecting; it grows with each failure"
    )
    baileys_max_retries: int = Field(
        5, ge=0, description="Failed reconnects before the alert; reconnecting never stops"
    )
    worker_min_send_delay_ms: Milliseconds = Field(
        500, description="Shortest gap between two messages of one sender"
    )
    worker_max_send_delay_ms: Milliseconds = Field(
        default_factory=lambda above: max(
            LONGEST_DEFAULT_GAP_MS, above.get("worker_min_send_delay_ms", 0)
        ),
        description="Longest gap between two messages of one sender; never below the shortest",
    )

    brand_name: Annotated[str, AfterValidator(brand)] = Field(
        "Hudhud", description="Name in the texts"
    )
    default_locale: Locale = Field(
        "en", description="Language where the number's country does not tell"
    )
    otp_length: int = Field(4, ge=4, le=10, description="Digits of a code")
    otp_ttl_seconds: int = Field(300, ge=5, le=86_400, description="Seconds a code is valid")
    otp_max_attempts: int = Field(
        5, ge=1, le=10, description="Wrong codes after which a verification has failed"
    )
    link_ttl_seconds: int = Field(
        600, ge=60, le=3600, description="Seconds a link by which the user writes first is valid"
    )

    limit_per_number: LimitRates = Field(
        None,
        description="Sends to one number, for example 1/30s,5/1h,10/1d; 0 for no limit. Where this "
        "and the following limits are unset, API_KEY has none and other keys have the defaults",
    )
    limit_per_key: LimitRates = Field(None, description="Sends of one API key")
    limit_per_client_ip: LimitRates = Field(
        None, description="Sends for one address that the caller hands over as clientIp"
    )
    limit_per_country: LimitRates = Field(None, description="Sends to one country")
    limit_per_prefix: LimitRates = Field(
        None, description="Sends to neighbouring numbers, which differ in their last 4 digits"
    )
    limit_total: LimitRates = Field(None, description="Sends of the whole service")
    allowed_countries: Countries = Field(
        (), description="The only countries that codes are sent to, for example EG,SA,AE"
    )
    denied_countries: Countries = Field(
        (), description="Countries that no code is sent to, for example KP,CU"
    )
    conversion_guard: Literal["off", "alert", "block"] = Field(
        "alert",
        description="What happens where far fewer codes of a country are checked than usual",
    )

    webhook_allow_private: bool = Field(
        default=False, description="Let webhooks be delivered to private and loopback addresses"
    )

    retention_messages_days: int = Field(30, ge=1, description="Days messages are kept")
    retention_verifications_days: int = Field(90, ge=1, description="Days verifications are kept")
    retention_events_days: int = Field(30, ge=1, description="Days events are kept")
    retention_audit_days: int = Field(90, ge=1, description="Days the audit is kept")

    log_level: Annotated[
        Literal["error", "warning", "info", "debug"], BeforeValidator(_log_level)
    ] = Field("info", description="error, warn, info, http, verbose, debug or silly")
    baileys_internal_log_level: Annotated[
        Literal["silent", "error", "warn", "info"], BeforeValidator(_library_log_level)
    ] = Field("warn", description="Level of the WhatsApp library; never finer than info")

    telegram_bot_token: Annotated[str | None, BeforeValidator(_unless_placeholder)] = Field(
        None, repr=False, description="Telegram bot that alerts; needs TELEGRAM_CHAT_ID too"
    )
    telegram_chat_id: Annotated[str | None, BeforeValidator(_unless_placeholder)] = Field(
        None, description="Telegram chat that is alerted"
    )
    alert_urls: Annotated[str | None, AfterValidator(_alert_urls)] = Field(
        None,
        repr=False,
        description="Further alert targets as apprise addresses, separated by spaces",
    )

    @model_validator(mode="after")
    def _delays_in_order(self) -> Self:
        if self.worker_min_send_delay_ms > self.worker_max_send_delay_ms:
            raise ValueError("WORKER_MIN_SEND_DELAY_MS is above WORKER_MAX_SEND_DELAY_MS")
        return self

    @model_validator(mode="after")
    def _countries_are_not_both(self) -> Self:
        both = [country for country in self.allowed_countries if country in self.denied_countries]
        if both:
            raise ValueError(
                f"{', '.join(both)} is in ALLOWED_COUNTRIES and in DENIED_COUNTRIES: choose one"
            )
        return self

    @property
    def mean_send_gap(self) -> float:
        """Mean seconds between two messages of one sender; 0 on the sandbox, which has no pace."""
        if self.channel == "sandbox":
            return 0.0
        return (self.worker_min_send_delay_ms + self.worker_max_send_delay_ms) / 2000

    @property
    def sender_name(self) -> str:
        """Name of this machine's sender; the sandbox has its own beside the linked device."""
        return self.sandbox_name if self.channel == "sandbox" else self.whatsapp_client_id

    @property
    def sandbox_name(self) -> str:
        """Name of this machine's sandbox, which takes what test keys send, whatever CHANNEL is."""
        return f"{self.whatsapp_client_id}-sandbox"


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises SettingsError with one line that names the variable and says what is wrong.
    """
    environment = read_environment()
    given = {name: environment.get(name.upper()) for name in Settings.model_fields}
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        if problem["type"] == "default_factory_not_called":  # only because another one is wrong
            continue
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        reason = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {reason}" if name else reason)
    return "Wrong setting. " + "; ".join(problems)
