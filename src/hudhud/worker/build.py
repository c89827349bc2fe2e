"""Construct a sender's worker from the settings, in the sender's own process."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row

from hudhud.channels.base import Channel, ChannelParts, KnownAccount
from hudhud.channels.registry import channel_type
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import StartRefused
from hudhud.core.settings import Settings
from hudhud.db.engine import Database, open_database
from hudhud.db.location import database_url
from hudhud.db.losses import log_loss
from hudhud.messages import contacts
from hudhud.senders import records
from hudhud.verification.build import (
    build_code_cipher,
    build_countries,
    build_link_replies,
    build_templates,
    database_place_of,
)
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.pace import Pace
from hudhud.worker.send import MessageSender
from hudhud.worker.this_machine import machine_name
from hudhud.worker.worker import Worker

Builders = Mapping[str, Callable[[ChannelParts], Channel]]


def build_worker(settings: Settings, name: str, builders: Builders | None = None) -> Worker:
    """Build the sender's worker; `builders` override how channels are built.

    Raises StartRefused if the sender does not exist or the secret is missing.
    """
    database = open_database(database_url(database_place_of(settings)).url)
    database.losses.on_loss = log_loss
    with database.read() as connection:
        record = records.find(connection, name)
    if record is None:
        raise StartRefused(f"There is no sender named {name}. Start it with: hudhud serve")
    cipher = build_code_cipher(settings)
    row = channel_type(record.channel)
    if not row.reaches_people:
        # Nothing is lost but the record of sends that reached no phone, and are then repeated. Its
        # flushes would delay those of requests.
        database.flush_at_checkpoints()
    build = (builders or {}).get(record.channel, row.build)
    channel = build(_parts(settings, database, record))
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
        pace=pace if row.is_paced else Pace(0, 0),
        largest_batch=row.batch_size,
        counts_traffic=record.channel == settings.channel,
    )


def _link_replies(settings: Settings, database: Database, cipher: CodeCipher) -> LinkReplies:
    # Not started: guarded countries do not matter here, because the person wrote first.
    countries = build_countries(settings, database)
    templates = build_templates(settings, tolerant=True)
    return build_link_replies(settings, database, cipher, templates, countries)


def _parts(settings: Settings, database: Database, record: Row[Any]) -> ChannelParts:
    def has_written(phone: str) -> bool:
        with database.read() as connection:
            return contacts.has_written(connection, phone=phone)

    return ChannelParts(
        settings,
        KnownAccount(record.name, record.device, record.carries, record.until),
        None if database.is_sqlite else database.libpq_url(),
        has_written,
    )
