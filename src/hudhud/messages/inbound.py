"""Messages that people write to a sender, kept for what will read them."""

from sqlalchemy import Connection

from hudhud.channels.base import Inbound
from hudhud.core.clock import DAY_MS
from hudhud.db.batches import delete_some
from hudhud.db.tables import inbound_messages
from hudhud.db.upserts import insert_or_ignore

KEPT_MS = 7 * DAY_MS


def keep(connection: Connection, *, sender: str, message: Inbound) -> bool:
    """Store a message once, however often the provider repeats it; False for a repetition."""
    row = {
        "sender": sender,
        "provider_message_id": message.provider_message_id,
        "phone": message.phone,
        "text": message.text,
        "received_at": message.at,
    }
    return insert_or_ignore(connection, inbound_messages, row)


def purge(connection: Connection, *, now: int, limit: int) -> int:
    """Delete at most `limit` messages older than `KEPT_MS`; return how many."""
    received = inbound_messages.c.received_at
    is_old = received < now - KEPT_MS
    return delete_some(connection, inbound_messages, is_old, order=received, limit=limit)
