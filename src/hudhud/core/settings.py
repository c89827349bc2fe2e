"""All settings with their meaning, default and limits; `setting_types.py` parses the values.

The variables of the earlier application keep their names; `startup_notices.py` warns about those
without effect.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hudhud.core import code_lengths
from hudhud.core.env_files import read_environment
from hudhud.core.errors import SettingsError
from hudhud.core.setting_types import (
    AdminName,
    AlertAddresses,
    Brand,
    Countries,
    DatabaseAddress,
    FileName,
    LibraryLogLevel,
    LimitRates,
    Locale,
    LogLevel,
    LongSecret,
    Milliseconds,
    Networks,
    ProxyAddress,
    Secret,
    Telegram,
)

LONGEST_DEFAULT_GAP_MS = 1500


class Settings(BaseModel):
    """The settings of one process; `load_settings` reads them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str = Field("0.0.0.0", description="Address to listen on")  # noqa: S104 -- as before
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks, separated by commas, whose X-Forwarded-For is trusted",
    )

    api_key: Secret = Field(
        None,
        repr=False,
        description="Key that callers send as X-API-KEY; without it and without a key from "
        "`hudhud keys create`, the first start generates one",
    )
    admin_username: AdminName = Field("admin", description="Name of the admin")
    admin_password: Secret = Field(
        None, repr=False, description="Password of the admin; generated at the first start if unset"
    )
    session_secret: LongSecret = Field(
        None,
        repr=False,
        description="Secret from which all keys are derived, at least 16 characters; generated in "
        "the data folder if unset, required with DATABASE_URL",
    )
    session_secret_previous: LongSecret = Field(
        None, repr=False, description="Previous SESSION_SECRET, while the secret is being changed"
    )

    data_dir: Path = Field(Path("data"), description="Folder of the database, secret and session")
    log_dir: Path = Field(Path("logs"), description="Folder of the log files")
    database_url: DatabaseAddress = Field(
        None, repr=False, description="PostgreSQL address; takes precedence over DB_FILENAME"
    )
    db_filename: Path | None = Field(
        None, description="SQLite file; `hudhud.db` in the data folder if unset"
    )

    channel: Literal["linked", "sandbox"] = Field(
        "linked",
        description="`linked` sends over a linked WhatsApp device, `sandbox` sends nothing",
    )
    whatsapp_client_id: FileName = Field("main", description="Name of this machine's sender")
    whatsapp_proxy: ProxyAddress = Field(
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

    brand_name: Brand = Field("Hudhud", description="Name in the texts")
    default_locale: Locale = Field(
        "en", description="Language if the number's country does not determine one"
    )
    otp_length: int | None = Field(
        None,
        ge=code_lengths.SHORTEST,
        le=code_lengths.LONGEST,
        description="Digits of a code; if unset, 6 for keys made by Hudhud with the scope verify, "
        "4 for API_KEY, older keys and keys without that scope",
    )
    otp_ttl_seconds: int = Field(300, ge=5, le=86_400, description="Seconds a code is valid")
    otp_max_attempts: int = Field(
        5, ge=1, le=10, description="Wrong codes after which a verification has failed"
    )
    link_ttl_seconds: int = Field(
        600, ge=60, le=3600, description="Seconds that a link (the user writes first) is valid"
    )

    limit_per_number: LimitRates = Field(
        None,
        description="Sends to one number, for example 1/30s,5/1h,10/1d; 0 for no limit. If this "
        "and the following limits are unset, API_KEY has none and other keys have the defaults",
    )
    limit_per_key: LimitRates = Field(None, description="Sends of one API key")
    limit_per_client_ip: LimitRates = Field(
        None, description="Sends for one address that the caller passes as clientIp"
    )
    limit_per_country: LimitRates = Field(None, description="Sends to one country")
    limit_per_prefix: LimitRates = Field(
        None, description="Sends to neighbouring numbers, which differ only in the last 4 digits"
    )
    limit_wrong_codes: LimitRates = Field(
        None,
        description="Wrong codes typed for one number, over all codes of a key: 10/1h,20/1d if "
        "unset, also for API_KEY; 0 for no limit",
    )
    limit_links: LimitRates = Field(
        None,
        description="Links that name one number: 10/1h,20/1d if unset, also for API_KEY; 0 for no "
        "limit",
    )
    limit_total: LimitRates = Field(None, description="Sends of the whole service")
    allowed_countries: Countries = Field(
        (), description="The only countries that receive codes, for example EG,SA,AE"
    )
    denied_countries: Countries = Field(
        (), description="Countries that receive no codes, for example KP,CU"
    )
    conversion_guard: Literal["off", "alert", "block"] = Field(
        "alert",
        description="Reaction when a country's conversion falls far below its usual level",
    )

    webhook_allow_private: bool = Field(
        default=False, description="Allow webhooks to private and loopback addresses"
    )

    retention_messages_days: int = Field(30, ge=1, description="Days messages are kept")
    retention_verifications_days: int = Field(90, ge=1, description="Days verifications are kept")
    retention_events_days: int = Field(30, ge=1, description="Days events are kept")
    retention_audit_days: int = Field(90, ge=1, description="Days the audit is kept")

    log_level: LogLevel = Field(
        "info", description="error, warn, info, http, verbose, debug or silly"
    )
    baileys_internal_log_level: LibraryLogLevel = Field(
        "warn", description="Level of the WhatsApp library; never finer than info"
    )

    telegram_bot_token: Telegram = Field(
        None, repr=False, description="Telegram bot that sends alerts; needs TELEGRAM_CHAT_ID too"
    )
    telegram_chat_id: Telegram = Field(None, description="Telegram chat that receives alerts")
    alert_urls: AlertAddresses = Field(
        None,
        repr=False,
        description="Additional alert targets as apprise addresses, separated by spaces",
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
        """Mean gap between two messages of one paced sender, in seconds."""
        return (self.worker_min_send_delay_ms + self.worker_max_send_delay_ms) / 2000

    @property
    def sender_name(self) -> str:
        """Name of this machine's sender for CHANNEL."""
        return self.sandbox_name if self.channel == "sandbox" else self.whatsapp_client_id

    @property
    def sandbox_name(self) -> str:
        """Name of this machine's sandbox, which carries the messages of test keys."""
        return f"{self.whatsapp_client_id}-sandbox"


def load_settings() -> Settings:
    """Load the settings from the environment and the .env files.

    Raises SettingsError with one line that names each wrong variable and the mistake.
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
        if problem["type"] == "default_factory_not_called":  # caused by another wrong setting
            continue
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        reason = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {reason}" if name else reason)
    return "Wrong setting. " + "; ".join(problems)
