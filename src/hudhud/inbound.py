"""Messages that people write to a sender, kept for what will read them."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete

from hudhud.db.engine import insert_or_ignore
from hudhud.db.tables import inbound_messages

KEPT_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Inbound:
    """A person wrote to the sender; `phone` is resolved to international form."""

    provider_message_id: str
    phone: str
    text: str
    at: int


def keep(connection: Connection, *, sender: str, message: Inbound) -> None:
    """Store a message once, however often the provider repeats it."""
    row = {
        "sender": sender,
        "provider_message_id": message.provider_message_id,
        "phone": message.phone,
        "text": message.text,
        "received_at": message.at,
    }
    insert_or_ignore(connection, inbound_messages, row)


def purge(connection: Connection, *, now: int) -> None:
    """Delete what is older than `KEPT_MS`."""
    old = inbound_messages.c.received_at < now - KEPT_MS
    connection.execute(delete(inbound_messages).where(old))
