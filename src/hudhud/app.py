"""The place that constructs things out of the settings: what every process needs.

The web application is constructed in `web/application.py`, so that a sender's process need not
load the web framework.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row

from hudhud import api_keys, contacts, queue, senders, webhooks
from hudhud.alerts import Alerts
from hudhud.arrivals import Arrivals
from hudhud.channels.base import SANDBOX, Channel
from hudhud.channels.sandbox import SandboxChannel
from hudhud.clock import now_ms
from hudhud.countries import Countries
from hudhud.credentials import load_secret
from hudhud.db.engine import Database, open_database
from hudhud.db.migrate import migrate
from hudhud.delivery import Delivery
from hudhud.errors import SettingsError, StartRefused
from hudhud.housekeeping import Housekeeping
from hudhud.legacy import database_url
from hudhud.machine import machine_name
from hudhud.outgoing import Outgoing
from hudhud.pace import Pace
from hudhud.retention import Retention
from hudhud.sealing import CodeSealer, Sealer
from hudhud.settings import Settings
from hudhud.supervisor import Supervisor
from hudhud.templates import Templates
from hudhud.verifications import VerificationStarter
from hudhud.worker import Worker

if TYPE_CHECKING:
    from hudhud.dispatcher import Dispatcher

SANDBOX_BATCH = 200


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
    settings: Settings, database: Database, templates: Templates, countries: Countries
) -> VerificationStarter:
    """Build what makes verifications and writes them. Raises StartRefused without a secret."""
    return VerificationStarter(settings, database, build_sealer(settings), templates, countries)


def build_templates(settings: Settings) -> Templates:
    """Build what words the messages. Raises SettingsError where `templates.toml` is wrong."""
    return Templates(settings)


def build_supervisors(
    settings: Settings, database: Database, command: Sequence[str]
) -> list[Supervisor]:
    """Build the supervisors of this machine's senders, whose processes `command` starts.

    Beside a linked device runs a sandbox, as long as there is a test key or something for it.
    """
    machine = machine_name(settings.data_dir)
    chosen = Supervisor(
        sender=settings.sender_name,
        channel=settings.channel,
        machine=machine,
        database=database,
        command=command,
    )
    if settings.channel == SANDBOX:
        return [chosen]
    beside = Supervisor(
        sender=settings.sandbox_name,
        channel=SANDBOX,
        machine=machine,
        database=database,
        command=command,
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
    )


def build_dispatcher(settings: Settings, database: Database) -> "Dispatcher":
    """Build what delivers events to webhooks. Raises StartRefused without a secret."""
    # A sender's process delivers none: it need not load an HTTP client.
    from hudhud.dispatcher import Dispatcher  # noqa: PLC0415

    return Dispatcher(database, build_webhook_sealer(settings), build_outgoing(settings))


def build_outgoing(settings: Settings) -> Outgoing:
    """Build what judges where webhooks may lead."""
    return Outgoing(allow_private=settings.webhook_allow_private)


def build_webhook_sealer(settings: Settings) -> Sealer:
    """Build what seals and opens the secrets of webhooks. Raises StartRefused without a secret."""
    return Sealer(webhooks.PURPOSE, load_secret(settings), settings.session_secret_previous)


def build_worker(settings: Settings, name: str) -> Worker:
    """Build the sender's worker, in its own process. Raises StartRefused."""
    database = open_database(database_url(settings).url)
    with database.read() as connection:
        record = senders.find(connection, name)
    if record is None:
        raise StartRefused(f"There is no sender named {name}. Start it with: hudhud serve")
    sealer = build_sealer(settings)
    channel = _channel(settings, database, record)
    is_sandbox = record.channel == SANDBOX
    pace = Pace(
        settings.worker_min_send_delay_ms, settings.worker_max_send_delay_ms, record.next_send_at
    )
    return Worker(
        name=name,
        machine=machine_name(settings.data_dir),
        channel_name=record.channel,
        database=database,
        channel=channel,
        delivery=Delivery(database, channel, sealer),
        arrivals=build_arrivals(settings, database, sealer),
        pace=Pace(0, 0) if is_sandbox else pace,
        largest_batch=SANDBOX_BATCH if is_sandbox else 1,
        counts_traffic=record.channel == settings.channel,
    )


def build_arrivals(settings: Settings, database: Database, sealer: CodeSealer) -> Arrivals:
    """Build what answers the texts of links, in a sender's process."""
    # Not started: guarded countries are those of codes to strangers, and here the person wrote.
    countries = Countries(settings, database)
    templates = Templates(settings, tolerant=True)
    return Arrivals(settings, database, sealer, templates, countries)


def _channel(settings: Settings, database: Database, record: Row[Any]) -> Channel:
    if record.channel == SANDBOX:
        return SandboxChannel()
    # Only this process may load the WhatsApp library, and only for this channel: it takes 60 MB.
    from hudhud.channels.linked.channel import LinkedChannel  # noqa: PLC0415
    from hudhud.channels.linked.session import session_store  # noqa: PLC0415

    return LinkedChannel(
        sender=record.name,
        session=session_store(
            data_dir=settings.data_dir,
            folder=settings.baileys_session_dir_name,
            sender=record.name,
            database_url=None if database.is_sqlite else database.libpq_url(),
        ),
        device=record.device,
        proxy=settings.whatsapp_proxy,
        initial_retry=settings.baileys_initial_retry_delay_ms / 1000,
        log_level=settings.baileys_internal_log_level,
        wrote_first=lambda phone: _wrote_first(database, phone),
        banned_until=record.until if record.carries == "none" else None,
        strangers_refused_until=record.until if record.carries == "known" else None,
    )


def _wrote_first(database: Database, phone: str) -> bool:
    with database.read() as connection:
        return contacts.has_written(connection, phone=phone)


def build_sealer(settings: Settings) -> CodeSealer:
    """Build what seals and opens codes. Raises StartRefused without a secret."""
    return CodeSealer(load_secret(settings), settings.session_secret_previous)
