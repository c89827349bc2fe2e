"""Notices at the start: weak values, obsolete settings, leftovers of the earlier application."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hudhud.auth.admin_password import SHORTEST_PASSWORD
from hudhud.core.env_files import ENV_FILES, parse_env_file
from hudhud.core.setting_types import UNSET_PLACEHOLDERS
from hudhud.core.settings import Settings
from hudhud.db.location import choose_database
from hudhud.verification.build import database_place_of, mean_gap_of

NO_LONGER_NEEDED = {
    "NODE_ENV": "there is one mode, and errors never show a stack to callers",
    "WORKER_POLLING_INTERVAL_MS": "a new message wakes the sender at once instead of being polled",
    "WORKER_WHATSAPP_CHECK_INTERVAL_MS": "the WhatsApp library reports each change by itself",
}
BAILEYS_SESSION = "baileys_auth_info"
FEWEST_CODES = 60
SHORTEST_API_KEY = 20
WEAK_API_KEY = (
    f"API_KEY has fewer than {SHORTEST_API_KEY} characters and could be guessed. Set a longer one "
    "(openssl rand -hex 24), or remove it and use a key made by `hudhud keys create`."
)
WEAK_ADMIN_PASSWORD = (
    f"ADMIN_PASSWORD has fewer than {SHORTEST_PASSWORD} characters and could be guessed. Set a "
    "longer one, or remove it and run `hudhud admin set-password`."
)


def notices(environment: Mapping[str, str], settings: Settings) -> list[str]:
    """Return the lines to log at the start, about settings and leftovers.

    `environment` is the result of `read_environment`.
    Raises SettingsError if the database file cannot be used, like `choose_database`.
    """
    database = choose_database(database_place_of(settings)).notice
    return [
        *([] if database is None else [database]),
        *weak_values(settings),
        *_variables_without_meaning(environment),
        *_values_cut_before(ENV_FILES),
        *_levels(environment),
        *_telegram(environment, settings),
        *slow_pace(settings.otp_ttl_seconds, mean_gap_of(settings)),
        *_sessions_left_behind(settings),
    ]


def weak_values(settings: Settings) -> list[str]:
    """Return a warning for each secret of the settings that is too short."""
    checked = (
        (settings.api_key, SHORTEST_API_KEY, WEAK_API_KEY),
        (settings.admin_password, SHORTEST_PASSWORD, WEAK_ADMIN_PASSWORD),
    )
    return [line for value, least, line in checked if value is not None and len(value) < least]


def _variables_without_meaning(environment: Mapping[str, str]) -> list[str]:
    return [
        f"{name} is no longer needed: {why}."
        for name, why in NO_LONGER_NEEDED.items()
        if name in environment
    ]


def _values_cut_before(files: Iterable[Path]) -> list[str]:
    return [
        f"{binding.key} in {file} has a # outside quotes: the earlier application used only the "
        "part before it, Hudhud uses the whole value. Put the intended value in quotes."
        for file in files
        for binding in parse_env_file(file)
        if binding.key is not None
        and binding.key.lower() in Settings.model_fields
        and "#" in (binding.value or "")
        and not binding.original.string.partition("=")[2].lstrip().startswith(("'", '"'))
    ]


def _levels(environment: Mapping[str, str]) -> list[str]:
    level = environment.get("BAILEYS_INTERNAL_LOG_LEVEL", "").lower()
    if level not in {"debug", "trace"}:
        return []
    return [
        f"BAILEYS_INTERNAL_LOG_LEVEL={level} counts as info: at finer levels the WhatsApp library "
        "would print the secret in the QR code."
    ]


def _telegram(environment: Mapping[str, str], settings: Settings) -> list[str]:
    names = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")
    lines = [
        f"{name} still has its sample value and counts as unset."
        for name in names
        if environment.get(name) in UNSET_PLACEHOLDERS
    ]
    missing = [name for name in names if getattr(settings, name.lower()) is None]
    if len(missing) == 1:
        lines.append(f"No alerts are sent to Telegram: {missing[0]} is not set.")
    return lines


def slow_pace(validity: int, mean_gap: float) -> list[str]:
    """Return a warning if few codes fit into the validity (in seconds)."""
    if mean_gap * FEWEST_CODES <= validity:
        return []
    return [
        f"WORKER_MIN_SEND_DELAY_MS and WORKER_MAX_SEND_DELAY_MS limit one sender to about "
        f"{int(validity / mean_gap)} codes within the {validity} s that a code is valid "
        f"(OTP_TTL_SECONDS); further requests are refused with 503. For more, shorten the delays."
    ]


def _sessions_left_behind(settings: Settings) -> list[str]:
    folders = {settings.data_dir}
    if settings.db_filename is not None:
        folders.add(settings.db_filename.parent)
    names = (settings.baileys_session_dir_name, BAILEYS_SESSION)
    nested = f"session-{settings.whatsapp_client_id}"
    sessions = {
        session
        for folder in folders
        for name in names
        for session in (folder / name, folder / name / nested, folder / nested)
        if (session / "creds.json").is_file()
    }
    return [
        f"The session of the earlier application in {session} cannot be reused and is left "
        "untouched: scan the new QR code once."
        for session in sorted(sessions)
    ]
