"""Construct the parts of `hudhud serve` and `worker` from the settings.

`web/application.py` constructs the web application and `worker/build.py` a sender's worker, so that
neither imports the other's dependencies. `verification/build.py` has the parts that both use.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from hudhud.auth import api_keys
from hudhud.auth.admin_password import AdminPassword
from hudhud.auth.first_credentials import GivenCredentials
from hudhud.channels.base import SANDBOX
from hudhud.core import private_files
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher, CodeCipher
from hudhud.core.errors import SettingsError
from hudhud.core.rates import KINDS, LimitKind, Rates
from hudhud.core.settings import Settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import database_url
from hudhud.db.migrate import migrate
from hudhud.db.migrations.recoding import RECODINGS
from hudhud.db.rewriting import Rewriting
from hudhud.maintenance.alerts.send import Alerts, telegram
from hudhud.maintenance.canonical_numbers import REWRITES
from hudhud.maintenance.housekeeping import Housekeeping
from hudhud.maintenance.retention import KeptDays, Retention
from hudhud.messages import queue
from hudhud.messages.templates.catalog import Templates
from hudhud.verification.accept import Acceptor
from hudhud.verification.build import database_place_of, mean_gap_of, secret_of
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.links.start import LinkStarter
from hudhud.verification.resend import Resender
from hudhud.verification.start import VerificationStarter
from hudhud.webhooks import endpoints
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.dispatcher import Dispatcher
from hudhud.worker.program import Program
from hudhud.worker.supervisor import Supervisor
from hudhud.worker.this_machine import machine_name


def open_installation(settings: Settings) -> Database:
    """Open the configured database and migrate it to this version.

    Raises SettingsError or StartRefused.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.narrow(folder)
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {folder} cannot be created: {error.strerror}.") from None
    database = open_database(database_url(database_place_of(settings)).url)
    migrate(database)
    return database


def build_limits(settings: Settings) -> Limits:
    """Build the limits on sends."""
    each: dict[LimitKind, Rates | None] = {
        kind: getattr(settings, f"limit_{kind}") for kind in KINDS
    }
    given = {kind: rates for kind, rates in each.items() if rates is not None}
    return Limits(given, settings.limit_total or ())


def build_starter(
    settings: Settings, cipher: CodeCipher, templates: Templates
) -> VerificationStarter:
    """Build the starter of verifications."""
    return VerificationStarter(
        cipher,
        templates,
        build_limits(settings),
        channel=settings.channel,
        code_length=settings.otp_length,
        ttl_seconds=settings.otp_ttl_seconds,
    )


def build_acceptor(
    settings: Settings,
    database: Database,
    cipher: CodeCipher,
    countries: CountryPolicy,
    clock: Callable[[], int] = now_ms,
) -> Acceptor:
    """Build the acceptor, which stores verifications."""
    return Acceptor(
        database,
        cipher,
        countries,
        channel=settings.channel,
        mean_gap=mean_gap_of(settings),
        clock=clock,
    )


def build_link_starter(
    settings: Settings,
    database: Database,
    cipher: CodeCipher,
    templates: Templates,
    countries: CountryPolicy,
) -> LinkStarter:
    """Build the starter of links."""
    return LinkStarter(
        database,
        cipher,
        templates,
        countries,
        build_limits(settings),
        channel=settings.channel,
        ttl_seconds=settings.link_ttl_seconds,
    )


def build_resender(
    settings: Settings,
    database: Database,
    cipher: CodeCipher,
    templates: Templates,
    countries: CountryPolicy,
) -> Resender:
    """Build the resender of codes."""
    limits = build_limits(settings)
    return Resender(database, cipher, templates, countries, limits, mean_gap=mean_gap_of(settings))


def credentials_of(settings: Settings) -> GivenCredentials:
    """Return the credentials of the settings."""
    return GivenCredentials(
        settings.admin_username, api_key=settings.api_key, admin_password=settings.admin_password
    )


def build_admin_password(settings: Settings) -> AdminPassword:
    """Build the check of the admin's password. Raises StartRefused without a secret."""
    return AdminPassword(
        settings.admin_username,
        of_environment=settings.admin_password,
        secret=secret_of(settings),
        previous_secret=settings.session_secret_previous,
    )


def build_supervisors(settings: Settings, database: Database, program: Program) -> list[Supervisor]:
    """Build the supervisors of this machine's senders, whose processes run `program`.

    Next to a linked device, a sandbox runs while a test key is in use or a sandbox message waits.
    """
    machine = machine_name(settings.data_dir)
    chosen = Supervisor(
        sender=settings.sender_name,
        channel=settings.channel,
        machine=machine,
        database=database,
        program=program,
    )
    if settings.channel == SANDBOX:
        return [chosen]
    sandbox = Supervisor(
        sender=settings.sandbox_name,
        channel=SANDBOX,
        machine=machine,
        database=database,
        program=program,
        is_wanted=_sandbox_is_wanted,
    )
    return [chosen, sandbox]


def _sandbox_is_wanted(connection: Connection) -> bool:
    return api_keys.any_test_in_use(connection, now=now_ms()) or queue.is_waiting(
        connection, channel=SANDBOX
    )


def build_housekeeping(settings: Settings, database: Database) -> Housekeeping:
    """Build the housekeeping loop."""
    most_reconnects = settings.baileys_max_retries
    return Housekeeping(
        database=database,
        guard=settings.conversion_guard,
        alerts=Alerts(database, alert_targets_of(settings), most_reconnects=most_reconnects),
        retention=Retention(database, kept_days_of(settings)),
        rewriting=Rewriting(database, (*RECODINGS, *REWRITES)),
    )


def alert_targets_of(settings: Settings) -> list[str]:
    """Return the apprise addresses that receive alerts."""
    addresses = (settings.alert_urls or "").split()
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    return addresses if token is None or chat is None else [telegram(token, chat), *addresses]


def kept_days_of(settings: Settings) -> KeptDays:
    """Return the retention periods of the settings, in days."""
    return KeptDays(
        messages=settings.retention_messages_days,
        verifications=settings.retention_verifications_days,
        events=settings.retention_events_days,
        audit=settings.retention_audit_days,
    )


def build_dispatcher(settings: Settings, database: Database) -> Dispatcher:
    """Build the dispatcher of webhook events. Raises StartRefused without a secret."""
    return Dispatcher(database, build_webhook_cipher(settings), build_address_policy(settings))


def build_address_policy(settings: Settings) -> AddressPolicy:
    """Build the policy on addresses of webhooks."""
    return AddressPolicy(allow_private=settings.webhook_allow_private)


def build_webhook_cipher(settings: Settings) -> Cipher:
    """Build the cipher of webhook secrets. Raises StartRefused without a secret."""
    return Cipher(endpoints.PURPOSE, secret_of(settings), settings.session_secret_previous)
