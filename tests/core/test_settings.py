"""Settings: their sources, refused values, and their documentation."""

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic_core import PydanticUndefined

from hudhud.cli.startup_notices import NO_LONGER_NEEDED, notices
from hudhud.core.env_files import read_environment
from hudhud.core.settings import Settings, load_settings
from support.env_files import refusal, write_env

ROOT = Path(__file__).parents[2]

# As in the earlier application's readme, with values in place of its placeholders.
EARLIER_ENV = """\
# Application Port
PORT=3111
NODE_ENV=development # or production

# Secret API Key for OTP endpoint
API_KEY=key-of-the-shop

# Admin Dashboard Credentials
ADMIN_USERNAME=amal
ADMIN_PASSWORD=correct horse battery

# Session Secret (a long random string)
SESSION_SECRET=0123456789abcdef0123456789abcdef

# SQLite Database Filename (relative to project root)
DB_FILENAME=./database/app_data.db

# Baileys Session Configuration
BAILEYS_SESSION_DIR_NAME=baileys_auth_info # Folder name inside 'database' for Baileys session
WHATSAPP_CLIENT_ID=leviropath # Used by Baileys LocalAuth (will create session-leviropath)

# Logging Levels
LOG_LEVEL=info # For Winston (error, warn, info, http, verbose, debug, silly)
BAILEYS_INTERNAL_LOG_LEVEL=warn # (fatal, error, warn, info, debug, trace, silent)

# Worker Configuration (milliseconds)
WORKER_POLLING_INTERVAL_MS=7000
WORKER_WHATSAPP_CHECK_INTERVAL_MS=15000
WORKER_MIN_SEND_DELAY_MS=5000
WORKER_MAX_SEND_DELAY_MS=20000
BAILEYS_MAX_RETRIES=5
BAILEYS_INITIAL_RETRY_DELAY_MS=7000

# (Optional) Telegram Alert Configuration
TELEGRAM_BOT_TOKEN=YOUR_TELEGRAM_BOT_TOKEN_IF_USING_ALERTS
TELEGRAM_CHAT_ID=YOUR_TELEGRAM_CHAT_ID_IF_USING_ALERTS
"""


def test_env_file_of_the_earlier_application_keeps_its_meaning() -> None:
    write_env(EARLIER_ENV, "config/.env")
    settings = load_settings()
    assert settings.port == 3111
    assert settings.api_key == "key-of-the-shop"
    assert settings.admin_username == "amal"
    assert settings.admin_password == "correct horse battery"
    assert settings.session_secret == "0123456789abcdef0123456789abcdef"
    assert settings.db_filename == Path("database/app_data.db")
    assert settings.baileys_session_dir_name == "baileys_auth_info"
    assert settings.whatsapp_client_id == "leviropath"
    assert settings.log_level == "info"
    assert settings.baileys_internal_log_level == "warn"
    assert settings.worker_min_send_delay_ms == 5000
    assert settings.worker_max_send_delay_ms == 20000
    assert settings.baileys_max_retries == 5
    assert settings.baileys_initial_retry_delay_ms == 7000
    assert settings.telegram_bot_token is None
    assert settings.telegram_chat_id is None


def test_every_variable_of_the_earlier_application_is_a_setting_or_explained_as_obsolete() -> None:
    write_env(EARLIER_ENV)
    lines = "\n".join(notices(read_environment(), load_settings()))
    for name in dotenv_values(".env"):
        if name.lower() not in Settings.model_fields:
            assert name in lines


def test_every_setting_has_a_default() -> None:
    settings = load_settings()
    assert (settings.port, settings.channel) == (3000, "linked")
    assert settings.mean_send_gap == 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("OTP_LENGTH", "3"),
        ("OTP_TTL_SECONDS", "0"),
        ("CHANNEL", "sms"),
        ("LOG_LEVEL", "loud"),
        ("BAILEYS_INTERNAL_LOG_LEVEL", "loud"),
        ("BAILEYS_MAX_RETRIES", "-1"),
        ("BAILEYS_INITIAL_RETRY_DELAY_MS", "soon"),
        ("WORKER_MIN_SEND_DELAY_MS", "-5"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nginx"),
        ("DATABASE_URL", "sqlite:///x.db"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/name"),
        ("WHATSAPP_PROXY", "ftp://user:hunter2@host:1"),
        ("WHATSAPP_PROXY", "http://user:hunter2@host:many"),
        ("WHATSAPP_PROXY", "localhost:8080"),
        ("WHATSAPP_CLIENT_ID", ".."),
        ("BAILEYS_SESSION_DIR_NAME", "../session"),
        ("SESSION_SECRET", "hunter2"),
        ("SESSION_SECRET_PREVIOUS", "hunter2"),
        ("ALERT_URLS", "json://127.0.0.1 hunter2"),
        ("BRAND_NAME", "x" * 61),
        ("BRAND_NAME", "Web {code}"),
        ("DEFAULT_LOCALE", "it"),
    ],
)
def test_invalid_value_is_refused_in_one_line_without_secrets(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    line = refusal()
    assert line.startswith(f"Wrong setting. {name}: ")
    assert line.count(name) == 1
    assert "hunter2" not in line


def test_every_invalid_value_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("CHANNEL", "y")
    line = refusal()
    assert "PORT: " in line
    assert "CHANNEL: " in line
    assert "WORKER" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "YOUR_VERY_SECRET_OTP_API_KEY"),
        ("ADMIN_USERNAME", "your_admin_username"),
        ("ADMIN_PASSWORD", "your_admin_password"),
        ("SESSION_SECRET", "a_very_long_and_random_session_secret_string"),
        ("SESSION_SECRET_PREVIOUS", "a_very_long_and_random_session_secret_string"),
    ],
)
def test_the_sample_credentials_are_refused_by_name(name: str, value: str) -> None:
    write_env(f"{name}={value}")
    assert refusal().startswith(f"Wrong setting. {name}: is still the sample value")


def test_repr_hides_secrets() -> None:
    secrets = {
        "API_KEY": "hunter2-key",
        "ADMIN_PASSWORD": "hunter2-password",
        "SESSION_SECRET": "hunter2-secret-of-the-day",
        "SESSION_SECRET_PREVIOUS": "hunter2-secret-of-before",
        "DATABASE_URL": "postgresql://hudhud:hunter2@localhost/hudhud",
        "WHATSAPP_PROXY": "socks5://hudhud:hunter2@localhost:1080",
        "TELEGRAM_BOT_TOKEN": "1:hunter2",
        "ALERT_URLS": "mailto://hudhud:hunter2@localhost",
    }
    write_env("\n".join(f"{name}={value}" for name, value in secrets.items()))
    settings = load_settings()
    assert settings.api_key == "hunter2-key"
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("warn", "warning"),
        ("http", "info"),
        ("verbose", "debug"),
        ("silly", "debug"),
        ("ERROR", "error"),
    ],
)
def test_log_levels_of_the_earlier_application_are_translated(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv("LOG_LEVEL", written)
    assert load_settings().log_level == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [("fatal", "error"), ("debug", "info"), ("trace", "info"), ("silent", "silent")],
)
def test_library_never_logs_below_info(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv("BAILEYS_INTERNAL_LOG_LEVEL", written)
    assert load_settings().baileys_internal_log_level == meant


def test_minimum_gap_above_the_maximum_is_refused() -> None:
    write_env("WORKER_MIN_SEND_DELAY_MS=2000\nWORKER_MAX_SEND_DELAY_MS=1000")
    assert "WORKER_MIN_SEND_DELAY_MS is above WORKER_MAX_SEND_DELAY_MS" in refusal()


def test_maximum_gap_follows_a_minimum_set_alone() -> None:
    write_env("WORKER_MIN_SEND_DELAY_MS=5000")
    assert load_settings().worker_max_send_delay_ms == 5000


def test_trusted_proxies_are_comma_separated_addresses_and_networks() -> None:
    write_env("TRUSTED_PROXIES=127.0.0.1, 10.1.2.3/8 ,::1")
    assert load_settings().trusted_proxies == (
        ip_network("127.0.0.1"),
        ip_network("10.0.0.0/8"),
        ip_network("::1"),
    )


def test_the_sandbox_has_a_sender_of_its_own() -> None:
    write_env("CHANNEL=sandbox\nWHATSAPP_CLIENT_ID=shop")
    assert load_settings().sender_name == "shop-sandbox"


def documented(heading: str) -> dict[str, str]:
    """Return two table columns, up to or from the obsolete variables."""
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    settings, _, old = text.partition("## Variables of the earlier application")
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \|", old if heading == "old" else settings, re.MULTILINE
    )
    assert len(rows) == len(dict(rows)), "a variable is documented twice"
    return dict(rows)


def default_of(name: str) -> str:
    """Return a setting's default as the documentation shows it."""
    value = getattr(load_settings(), name.lower())
    return "not set" if value in (None, ()) else f"`{value}`"


def test_documentation_lists_exactly_the_settings_with_their_defaults() -> None:
    expected = {name.upper(): default_of(name) for name in Settings.model_fields}
    assert documented("settings") == expected


def test_every_setting_has_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.default is not PydanticUndefined or field.default_factory, name


def test_documentation_lists_exactly_the_obsolete_variables() -> None:
    assert documented("old").keys() == NO_LONGER_NEEDED.keys()


def test_example_file_names_every_default_and_is_valid_unchanged() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    write_env(text)
    assert (
        read_environment([Path(".env")]).keys().isdisjoint(n.upper() for n in Settings.model_fields)
    )
    plain = {name: default_of(name).strip("`") for name in documented("settings")}
    written = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert {name: value or "not set" for name, value in written.items()} == plain
