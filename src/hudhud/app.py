"""Construct what `hudhud serve` and `worker` run from the settings.

The web application is constructed in `web/application.py`, a sender's worker in `worker/build.py`,
so that neither process loads what only the other one uses.
"""

from sqlalchemy import Connection

from hudhud.auth import api_keys
from hudhud.channels.base import SANDBOX
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher
from hudhud.core.errors import SettingsError
from hudhud.core.secret import build_code_cipher, load_secret
from hudhud.core.settings import Settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import database_url
from hudhud.db.migrate import migrate
from hudhud.db.rewriting import Rewriting
from hudhud.maintenance.alerts.deliver import Alerts
from hudhud.maintenance.housekeeping import Housekeeping
from hudhud.maintenance.retention import Retention
from hudhud.messages import queue
from hudhud.messages.templates.catalog import Templates
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.start import VerificationStarter
from hudhud.webhooks import endpoints
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.dispatcher import Dispatcher
from hudhud.worker.machine import machine_name
from hudhud.worker.supervisor import Program, Supervisor


def open_installation(settings: Settings) -> Database:
    """Open the database that the settings choose and bring it to this version's tables.

    Raises SettingsError or StartRefused.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {folder} cannot be made: {error.strerror}.") from None
    database = open_database(database_url(settings).url)
    migrate(database)
    return database


def build_starter(
    settings: Settings, database: Database, templates: Templates, countries: CountryPolicy
) -> VerificationStarter:
    """Build what makes verifications and writes them. Raises StartRefused without a secret."""
    return VerificationStarter(
        settings, database, build_code_cipher(settings), templates, countries
    )


def build_templates(settings: Settings) -> Templates:
    """Build what words the messages. Raises SettingsError where `templates.toml` is wrong."""
    return Templates(settings)


def build_supervisors(settings: Settings, database: Database, program: Program) -> list[Supervisor]:
    """Build the supervisors of this machine's senders, whose processes run `program`.

    Beside a linked device runs a sandbox, as long as there is a test key or something for it.
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
    beside = Supervisor(
        sender=settings.sandbox_name,
        channel=SANDBOX,
        machine=machine,
        database=database,
        program=program,
        is_wanted=_sandbox_is_wanted,
    )
    return [chosen, beside]


def _sandbox_is_wanted(connection: Connection) -> bool:
    return api_keys.any_test_in_use(connection, now=now_ms()) or queue.is_waiting(
        connection, channel=SANDBOX
    )


def build_housekeeping(settings: Settings, database: Database) -> Housekeeping:
    """Build what keeps the installation in order."""
    return Housekeeping(
        database=database,
        settings=settings,
        alerts=Alerts(database, settings),
        retention=Retention(database, settings),
        rewriting=Rewriting(database),
    )


def build_dispatcher(settings: Settings, database: Database) -> Dispatcher:
    """Build what delivers events to webhooks. Raises StartRefused without a secret."""
    return Dispatcher(database, build_webhook_cipher(settings), build_address_policy(settings))


def build_address_policy(settings: Settings) -> AddressPolicy:
    """Build what judges where webhooks may lead."""
    return AddressPolicy(allow_private=settings.webhook_allow_private)


def build_webhook_cipher(settings: Settings) -> Cipher:
    """Build what seals and opens the secrets of webhooks. Raises StartRefused without a secret."""
    return Cipher(endpoints.PURPOSE, load_secret(settings), settings.session_secret_previous)
