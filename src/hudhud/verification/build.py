"""Construct the objects that all kinds of processes need, from the settings.

Imported only by other construction code: `app.py`, `web/application.py`, `worker/build.py` and
commands.
"""

from hudhud.channels.registry import channel_type
from hudhud.core.crypto import CodeCipher
from hudhud.core.secret import find_secret, load_secret
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.location import DatabasePlace
from hudhud.messages.templates.catalog import LOOK_SECONDS, Templates
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.links.inbound import LinkReplies


def database_place_of(settings: Settings) -> DatabasePlace:
    """Return the location of the database according to the settings."""
    return DatabasePlace(
        folder=settings.data_dir, file=settings.db_filename, url=settings.database_url
    )


def secret_of(settings: Settings) -> str:
    """Return the secret, created if necessary. Raises StartRefused if it is missing."""
    return load_secret(
        settings.session_secret, settings.data_dir, is_shared=settings.database_url is not None
    )


def found_secret_of(settings: Settings) -> str | None:
    """Return the secret if there is one, without creating it."""
    return find_secret(
        settings.session_secret, settings.data_dir, is_shared=settings.database_url is not None
    )


def build_code_cipher(settings: Settings) -> CodeCipher:
    """Build the cipher for codes. Raises StartRefused without a secret."""
    return CodeCipher(secret_of(settings), settings.session_secret_previous)


def mean_gap_of(settings: Settings) -> float:
    """Return the mean seconds between a sender's messages; 0 without a pace."""
    return settings.mean_send_gap if channel_type(settings.channel).is_paced else 0.0


def build_templates(
    settings: Settings, *, tolerant: bool = False, look_seconds: float = LOOK_SECONDS
) -> Templates:
    """Build the templates of messages.

    Raises SettingsError if `templates.toml` has mistakes, unless `tolerant`.
    """
    return Templates(
        settings.data_dir,
        brand=settings.brand_name,
        default_locale=settings.default_locale,
        tolerant=tolerant,
        look_seconds=look_seconds,
    )


def build_countries(settings: Settings, database: Database) -> CountryPolicy:
    """Build the policy on countries that may receive codes."""
    return CountryPolicy(
        database,
        allowed=settings.allowed_countries,
        denied=settings.denied_countries,
        blocks=settings.conversion_guard == "block",
    )


def build_link_replies(
    settings: Settings,
    database: Database,
    cipher: CodeCipher,
    templates: Templates,
    countries: CountryPolicy,
) -> LinkReplies:
    """Build the handler of inbound link texts."""
    return LinkReplies(
        database,
        cipher,
        templates,
        countries,
        channel=settings.channel,
        code_length=settings.otp_length,
        ttl_seconds=settings.otp_ttl_seconds,
    )
