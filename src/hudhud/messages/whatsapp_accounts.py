"""WhatsApp's names of the accounts behind phone numbers.

Numbers that share a LID or WhatsApp's form of the number belong to one person, for example
Argentina's mobile numbers with and without the 9 after the country code. A person who changes the
number keeps the LID: the newest answer counts, so that nobody proves or receives codes for a number
that they had before.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import ColumnElement, Connection, and_, delete, false, or_, select, update

from hudhud.channels.base import UNNAMED, Account, Receipt
from hudhud.core.numbering import spellings
from hudhud.core.phones import canonical_or_same
from hudhud.db.tables import messages, whatsapp_accounts
from hudhud.db.upserts import insert_or_ignore

_COLUMNS = (
    whatsapp_accounts.c.phone,
    whatsapp_accounts.c.whatsapp_phone,
    whatsapp_accounts.c.lid,
)


def remember(connection: Connection, *, phone: str, account: Account) -> None:
    """Store the account of a number; parts that are unknown now keep their value."""
    found = {"whatsapp_phone": account.phone, "lid": account.lid}
    known = {name: value for name, value in found.items() if value is not None}
    if len(known) == len(found):
        _correct_others(connection, account)
    if not known or insert_or_ignore(connection, whatsapp_accounts, {"phone": phone, **found}):
        return
    here = whatsapp_accounts.c.phone == phone
    connection.execute(update(whatsapp_accounts).where(here).values(known))


def _correct_others(connection: Connection, account: Account) -> None:
    """Join these two names, and take the LID from numbers of another account."""
    number, lid = whatsapp_accounts.c.whatsapp_phone, whatsapp_accounts.c.lid
    moved = and_(lid == account.lid, number != account.phone)
    connection.execute(update(whatsapp_accounts).where(moved).values(lid=None))
    same = or_(lid == account.lid, number == account.phone)
    names = {"whatsapp_phone": account.phone, "lid": account.lid}
    connection.execute(update(whatsapp_accounts).where(same).values(names))


def forget(connection: Connection, *, phone: str) -> None:
    """Delete the account of a number."""
    connection.execute(delete(whatsapp_accounts).where(whatsapp_accounts.c.phone == phone))


def account_of(connection: Connection, phone: str) -> Account | None:
    """Return the stored account of a number."""
    row = connection.execute(select(*_COLUMNS).where(whatsapp_accounts.c.phone == phone)).first()
    return None if row is None else Account(row.whatsapp_phone, row.lid)


def numbers_of(connection: Connection, phones: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return for each number those of the same account, including itself."""
    asked = sorted(set(phones))
    mine, others = whatsapp_accounts.alias("mine"), whatsapp_accounts.alias("others")
    same = or_(others.c.whatsapp_phone == mine.c.whatsapp_phone, others.c.lid == mine.c.lid)
    pairs = select(mine.c.phone, others.c.phone).join(others, same).where(mine.c.phone.in_(asked))
    numbers: dict[str, set[str]] = defaultdict(set)
    for phone, other in connection.execute(pairs):
        numbers[phone].add(other)
    return {phone: frozenset({phone, *numbers[phone]}) for phone in asked}


def whatsapp_numbers(connection: Connection, phones: Collection[str]) -> Mapping[str, str]:
    """Return WhatsApp's form of these numbers, where it is known."""
    if not phones:
        return {}
    columns = (whatsapp_accounts.c.phone, whatsapp_accounts.c.whatsapp_phone)
    known = columns[0].in_(phones) & columns[1].is_not(None)
    return {
        row.phone: row.whatsapp_phone for row in connection.execute(select(*columns).where(known))
    }


def known_forms(connection: Connection, phone: str) -> frozenset[str]:
    """Return the numbers of the same account, and WhatsApp's form."""
    numbers = numbers_of(connection, [phone])[phone]
    return frozenset({*numbers, *whatsapp_numbers(connection, numbers).values()})


def all_forms(connection: Connection, phone: str) -> frozenset[str]:
    """Return all texts under which rows may have this person's number.

    Also other spellings, which rows have until `maintenance/canonical_numbers.py` rewrites them.
    """
    known = known_forms(connection, phone)
    return frozenset(form for number in known for form in {number, *spellings(number)})


def numbers_behind(connection: Connection, account: Account) -> frozenset[str]:
    """Return the numbers of this account: those stored, and WhatsApp's own in canonical form."""
    stored, own = _stored_numbers(connection, account), _own_number(account)
    return stored if own is None else stored | {own}


def number_behind(connection: Connection, account: Account) -> str | None:
    """Return the number under which this account's person is kept, or None if unknown.

    It is WhatsApp's number in canonical form, unless only other numbers are stored.
    """
    stored, own = _stored_numbers(connection, account), _own_number(account)
    return min(stored) if stored and own not in stored else own


def added_by(connection: Connection, receipts: Iterable[Receipt]) -> Mapping[str, Account]:
    """Return the accounts of numbers with the names that receipts add to the stored ones.

    Nothing is added to forgotten numbers.
    """
    named = {one.provider_message_id: one.account for one in receipts if one.account != UNNAMED}
    id_ = messages.c.provider_message_id
    here = whatsapp_accounts.c.phone == messages.c.phone
    sent = select(id_, messages.c.phone, *_COLUMNS[1:]).where(
        id_.in_(named), messages.c.phone.startswith("+")
    )
    completed = {}
    for row in connection.execute(sent.outerjoin(whatsapp_accounts, here)):
        stored, named_now = Account(row.whatsapp_phone, row.lid), named[row.provider_message_id]
        both = Account(stored.phone or named_now.phone, stored.lid or named_now.lid)
        if both != stored:
            completed[row.phone] = both
    return completed


def _stored_numbers(connection: Connection, account: Account) -> frozenset[str]:
    is_same = or_(false(), *_same_account(account))
    return frozenset(connection.scalars(select(whatsapp_accounts.c.phone).where(is_same)))


def _same_account(account: Account) -> Iterator[ColumnElement[bool]]:
    """Yield conditions; a LID alone decides only where a phone number is unknown."""
    number, lid = whatsapp_accounts.c.whatsapp_phone, whatsapp_accounts.c.lid
    if account.phone is not None:
        yield number == account.phone
    if account.lid is not None:
        yield (
            lid == account.lid
            if account.phone is None
            else and_(lid == account.lid, number.is_(None))
        )


def _own_number(account: Account) -> str | None:
    return None if account.phone is None else canonical_or_same(account.phone)
