"""Construct a sender's worker out of the settings, in the sender's own process."""

from typing import Any

from sqlalchemy import Row

from hudhud.channels.base import SANDBOX, Channel
from hudhud.channels.linked.timing import Timing
from hudhud.channels.sandbox import SandboxChannel
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import StartRefused
from hudhud.core.secret import build_code_cipher
from hudhud.core.settings import Settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import database_url
from hudhud.messages import contacts
from hudhud.messages.templates.catalog import Templates
from hudhud.senders import records
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.machine import machine_name
from hudhud.worker.pace import Pace
from hudhud.worker.send import MessageSender
from hudhud.worker.worker import Worker

SANDBOX_BATCH = 200


def build_worker(settings: Settings, name: str, linked_timing: Timing | None = None) -> Worker:
    """Build the sender's worker; a linked device waits as usual unless told otherwise.

    Raises StartRefused.
    """
    database = open_database(database_url(settings).url)
    with database.read() as connection:
        record = records.find(connection, name)
    if record is None:
        raise StartRefused(f"There is no sender named {name}. Start it with: hudhud serve")
    cipher = build_code_cipher(settings)
    channel = _channel(settings, database, record, linked_timing)
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
        message_sender=MessageSender(database, channel, cipher),
        link_replies=_link_replies(settings, database, cipher),
        pace=Pace(0, 0) if is_sandbox else pace,
        largest_batch=SANDBOX_BATCH if is_sandbox else 1,
        counts_traffic=record.channel == settings.channel,
    )


def _link_replies(settings: Settings, database: Database, cipher: CodeCipher) -> LinkReplies:
    """Build what answers the texts of links."""
    # Not started: guarded countries are those of codes to strangers, and here the person wrote.
    countries = CountryPolicy(settings, database)
    templates = Templates(settings, tolerant=True)
    return LinkReplies(settings, database, cipher, templates, countries)


def _channel(
    settings: Settings, database: Database, record: Row[Any], linked_timing: Timing | None
) -> Channel:
    if record.channel == SANDBOX:
        return SandboxChannel()
    # Only this process may load the WhatsApp library, and only for this channel: it takes 60 MB.
    from hudhud.channels.linked.channel import LinkedChannel  # noqa: PLC0415
    from hudhud.channels.linked.session_store import session_store  # noqa: PLC0415

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
        timing=linked_timing,
    )


def _wrote_first(database: Database, phone: str) -> bool:
    with database.read() as connection:
        return contacts.has_written(connection, phone=phone)
