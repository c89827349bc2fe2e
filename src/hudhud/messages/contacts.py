"""Contacts: which numbers have accounts or wrote first, and inbound messages."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select, update

from hudhud.channels.base import Account, Inbound
from hudhud.core.clock import DAY_MS
from hudhud.db.batches import delete_some
from hudhud.db.tables import contacts, inbound_messages, messages
from hudhud.db.upserts import insert_or_ignore, insert_or_update
from hudhud.messages import whatsapp_accounts

YES_KEPT_MS = 30 * DAY_MS
# Short: a user may install WhatsApp right after the first code did not arrive.
NO_KEPT_MS = 10 * 60 * 1000
INBOUND_KEPT_MS = 7 * DAY_MS


def known_account(connection: Connection, *, phone: str, now: int) -> bool | None:
    """Return whether the number has an account; None if unknown or stale."""
    row = connection.execute(
        select(contacts.c.on_whatsapp, contacts.c.checked_at).where(contacts.c.phone == phone)
    ).first()
    if row is None or row.on_whatsapp is None:
        return None
    kept = YES_KEPT_MS if row.on_whatsapp else NO_KEPT_MS
    return bool(row.on_whatsapp) if row.checked_at + kept > now else None


def remember_account(
    connection: Connection, *, phone: str, account: Account | None, now: int
) -> None:
    """Store the answer to a number check: the number's account, or None."""
    # First the account's names, as everywhere, to avoid deadlocks.
    if account is None:
        whatsapp_accounts.forget(connection, phone=phone)
    else:
        name_account(connection, phone=phone, account=account, replaces=True)
    values = {"on_whatsapp": account is not None, "checked_at": now}
    insert_or_update(connection, contacts, {"phone": phone}, values)


def name_account(
    connection: Connection, *, phone: str, account: Account, replaces: bool = False
) -> None:
    """Store the names of a number's account, and whether it has written to us."""
    whatsapp_accounts.remember(connection, phone=phone, account=account, replaces=replaces)
    numbers = whatsapp_accounts.numbers_of(connection, [phone])[phone]
    last = select(func.max(contacts.c.wrote_at)).where(contacts.c.phone.in_(numbers))
    wrote_at = connection.scalar(last)
    if wrote_at is not None:
        insert_or_update(connection, contacts, {"phone": phone}, {"wrote_at": wrote_at})


def ask_again(connection: Connection, *, jobs: Sequence[int]) -> None:
    """Clear negative answers for these jobs, so that attempts check again."""
    phones = select(messages.c.phone).where(messages.c.id.in_(jobs))
    connection.execute(
        update(contacts)
        .where(contacts.c.phone.in_(phones), contacts.c.on_whatsapp.is_(False))
        .values(on_whatsapp=None, checked_at=None)
    )


def has_written(connection: Connection, *, phone: str) -> bool:
    """Return whether this person ever wrote to us."""
    return phone in that_wrote(connection, [phone])


def that_wrote(connection: Connection, phones: Iterable[str]) -> frozenset[str]:
    """Return the numbers of people who ever wrote to us."""
    wrote = select(contacts.c.phone).where(
        contacts.c.phone.in_(set(phones)), contacts.c.wrote_at.is_not(None)
    )
    return frozenset(connection.scalars(wrote))


def remember_wrote(connection: Connection, *, phone: str, at: int, proves: bool) -> None:
    """Store that this person wrote to us.

    The text also `proves` an account, but only for the number that WhatsApp names as the writer's.
    """
    values: dict[str, object] = {"wrote_at": at}
    if proves:
        values |= {"on_whatsapp": True, "checked_at": at}
    insert_or_update(connection, contacts, {"phone": phone}, values)


def keep_inbound(connection: Connection, *, sender: str, message: Inbound) -> bool:
    """Store an inbound message; return False if it is already stored."""
    row = {
        "sender": sender,
        "provider_message_id": message.provider_message_id,
        "phone": message.phone,
        "text": message.text,
        "received_at": message.at,
    }
    return insert_or_ignore(connection, inbound_messages, row)


def is_kept(connection: Connection, *, sender: str, message_id: str) -> bool:
    """Return whether an inbound message is already stored."""
    here = (
        inbound_messages.c.sender == sender,
        inbound_messages.c.provider_message_id == message_id,
    )
    return connection.execute(select(inbound_messages.c.id).where(*here)).first() is not None


def purge_inbound(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` inbound messages older than `before`; return how many."""
    received = inbound_messages.c.received_at
    is_old = received < before
    return delete_some(connection, inbound_messages, is_old, order=received, limit=limit)
