"""Construct from the settings what processes of every kind work with.

Only what constructs imports it: `app.py`, `web/application.py`, `worker/build.py`, commands.
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
    """Return what the settings say of where the database is."""
    return DatabasePlace(
        folder=settings.data_dir, file=settings.db_filename, url=settings.database_url
    )


def secret_of(settings: Settings) -> str:
    """Return the secret, making one where none is set. Raises StartRefused where it is missing."""
    return load_secret(
        settings.session_secret, settings.data_dir, is_shared=settings.database_url is not None
    )


def found_secret_of(settings: Settings) -> str | None:
    """Return the secret where there is one; make none."""
    return find_secret(
        settings.session_secret, settings.data_dir, is_shared=settings.database_url is not None
    )


def build_code_cipher(settings: Settings) -> CodeCipher:
    """Build what seals and opens codes. Raises StartRefused without a secret."""
    return CodeCipher(secret_of(settings), settings.session_secret_previous)


def mean_gap_of(settings: Settings) -> float:
    """Return the mean seconds between two messages of a sender; 0 where its channel has no pace."""
    return settings.mean_send_gap if channel_type(settings.channel).is_paced else 0.0


def build_templates(
    settings: Settings, *, tolerant: bool = False, look_seconds: float = LOOK_SECONDS
) -> Templates:
    """Build what words the messages.

    Raises SettingsError where `templates.toml` is wrong, unless `tolerant`.
    """
    return Templates(
        settings.data_dir,
        brand=settings.brand_name,
        default_locale=settings.default_locale,
        tolerant=tolerant,
        look_seconds=look_seconds,
    )


def build_countries(settings: Settings, database: Database) -> CountryPolicy:
    """Build what knows the countries that codes are sent to."""
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
    """Build what answers the texts of links."""
    return LinkReplies(
        database,
        cipher,
        templates,
        countries,
        channel=settings.channel,
        code_length=settings.otp_length,
        ttl_seconds=settings.otp_ttl_seconds,
    )
