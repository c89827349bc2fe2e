"""Every setting: what it means, its default, and which values are refused.

Read from `.env` and `config/.env` in the current folder; environment variables win. The variables
of the earlier application keep their names; `legacy.py` speaks about those that lost their meaning.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from hudhud.errors import SettingsError

# The sample values of the earlier application's readme: whoever kept them has no secret at all.
PLACEHOLDERS = frozenset(
    {
        "YOUR_VERY_SECRET_OTP_API_KEY",
        "your_admin_username",
        "your_admin_password",
        "a_very_long_and_random_session_secret_string",
    }
)
SHORTEST_SECRET = 16
FILE_NAME = r"^(?!\.{1,2}$)[^/\x00]{1,64}$"

Network = IPv4Network | IPv6Network


def _no_placeholder(value: str | None) -> str | None:
    if value in PLACEHOLDERS:
        raise ValueError("is still the sample value of the documentation: choose your own")
    return value


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


def _proxy(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "socks5://")):
        raise ValueError("must start with http:// or socks5://")
    return value


def _database(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        backend = make_url(value).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in ("postgresql", "postgres"):
        raise ValueError("must be a postgresql:// address; for SQLite leave it out")
    return value


def _log_level(value: object) -> object:
    """Translate the earlier application's (winston's) levels."""
    winston = {"warn": "warning", "http": "info", "verbose": "debug", "silly": "debug"}
    return winston.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _library_log_level(value: object) -> object:
    """Translate the earlier library's (pino's) levels; `legacy.py` says what debug becomes."""
    pino = {"fatal": "error", "warning": "warn", "debug": "info", "trace": "info"}
    return pino.get(value.lower(), value.lower()) if isinstance(value, str) else value


Secret = Annotated[str | None, AfterValidator(_no_placeholder)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class Settings(BaseSettings):
    """The settings of one process; construct with `load_settings`."""

    model_config = SettingsConfigDict(
        env_file=(".env", "config/.env"),
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: str = Field("0.0.0.0", description="Address to listen on")  # noqa: S104 -- as before
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="Addresses or networks whose X-Forwarded-For is believed, by commas"
    )

    api_key: Secret = Field(None, repr=False, description="Key that callers send as X-API-KEY")
    admin_username: Annotated[str, AfterValidator(_no_placeholder)] = Field(
        "admin", min_length=1, description="Name of the admin"
    )
    admin_password: Secret = Field(None, repr=False, description="Password of the admin")
    session_secret: Annotated[Secret, AfterValidator(_long_enough)] = Field(
        None,
        repr=False,
        description="Secret from which all keys are derived; at least 16 characters",
    )
    session_secret_previous: Secret = Field(
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
    whatsapp_client_id: str = Field(
        "main",
        pattern=FILE_NAME,
        description="Name of this machine's sender",
    )
    whatsapp_proxy: Annotated[str | None, AfterValidator(_proxy)] = Field(
        None, description="http:// or socks5:// proxy for the linked device"
    )
    baileys_session_dir_name: str = Field(
        "session",
        pattern=FILE_NAME,
        description="Folder inside the data folder that holds the linked device's session",
    )
    baileys_initial_retry_delay_ms: Milliseconds = Field(
        2000, description="First wait before reconnecting; it grows with each failure"
    )
    baileys_max_retries: int = Field(
        5, ge=1, description="Failed reconnects before the alert; reconnecting never stops"
    )
    worker_min_send_delay_ms: Milliseconds = Field(
        500, description="Shortest gap between two messages of one sender"
    )
    worker_max_send_delay_ms: Milliseconds = Field(
        1500, description="Longest gap between two messages of one sender"
    )

    brand_name: str = Field("Hudhud", min_length=1, max_length=60, description="Name in the texts")
    default_locale: Literal["ar", "en"] = Field(
        "en", description="Language where the number's country does not tell"
    )
    otp_length: int = Field(4, ge=4, le=10, description="Digits of a code")
    otp_ttl_seconds: int = Field(300, ge=5, le=86_400, description="Seconds a code is valid")

    log_level: Annotated[
        Literal["error", "warning", "info", "debug"], BeforeValidator(_log_level)
    ] = Field("info", description="error, warn, info, http, verbose, debug or silly")
    baileys_internal_log_level: Annotated[
        Literal["silent", "error", "warn", "info"], BeforeValidator(_library_log_level)
    ] = Field("warn", description="Level of the WhatsApp library; never finer than info")

    telegram_bot_token: str | None = Field(None, repr=False, description="Telegram bot that alerts")
    telegram_chat_id: str | None = Field(None, description="Telegram chat that is alerted")
    alert_urls: str | None = Field(
        None,
        repr=False,
        description="Further alert targets as apprise addresses, separated by spaces",
    )

    @model_validator(mode="after")
    def _delays_in_order(self) -> Self:
        if self.worker_min_send_delay_ms > self.worker_max_send_delay_ms:
            raise ValueError("WORKER_MIN_SEND_DELAY_MS is above WORKER_MAX_SEND_DELAY_MS")
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
        if self.channel == "sandbox":
            return f"{self.whatsapp_client_id}-sandbox"
        return self.whatsapp_client_id


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises SettingsError with one line that names the variable and says what is wrong.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # every field has a default
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None
    except ValueError as error:
        raise SettingsError(f"The settings cannot be read: {error}") from None


def _one_line(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        reason = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {reason}" if name else reason)
    return "Wrong setting. " + "; ".join(problems)
