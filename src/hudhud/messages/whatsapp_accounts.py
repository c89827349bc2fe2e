"""WhatsApp's names of the accounts behind phone numbers.

Numbers that share a LID or WhatsApp's form of the number belong to one person, for example
Argentina's mobile numbers with and without the 9 after the country code.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, or_, select

from hudhud.channels.base import Account
from hudhud.core.numbering import spellings
from hudhud.core.phones import canonical_or_same
from hudhud.db.tables import whatsapp_accounts
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
    if not known or insert_or_ignore(connection, whatsapp_accounts, {"phone": phone, **found}):
        return
    here = whatsapp_accounts.c.phone == phone
    connection.execute(whatsapp_accounts.update().where(here).values(known))


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
    names = [
        column == value
        for column, value in (
            (whatsapp_accounts.c.whatsapp_phone, account.phone),
            (whatsapp_accounts.c.lid, account.lid),
        )
        if value is not None
    ]
    stored = connection.scalars(select(whatsapp_accounts.c.phone).where(or_(*names))).all()
    own = () if account.phone is None else (canonical_or_same(account.phone),)
    return frozenset({*stored, *own})
