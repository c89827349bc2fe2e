"""WhatsApp's names of the accounts behind phone numbers.

Numbers that share WhatsApp's form of the number belong to one person, for example Argentina's
mobile numbers with and without the 9 after the country code. A shared LID proves nothing by itself:
a person who changes the number keeps the LID, and must neither prove nor receive codes for the
number that they had before.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

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
_MINE, _OTHERS = whatsapp_accounts.alias("mine"), whatsapp_accounts.alias("others")
# Built once: to build them for each send or check would take as long as to run them.
_PAIRS = (
    select(_MINE.c.phone, _OTHERS.c.phone)
    .join(_OTHERS, _OTHERS.c.whatsapp_phone == _MINE.c.whatsapp_phone)
    .where(_MINE.c.phone.in_(bindparam("phones", expanding=True)))
)
_WHATSAPP_PHONES = select(whatsapp_accounts.c.phone, whatsapp_accounts.c.whatsapp_phone).where(
    whatsapp_accounts.c.phone.in_(bindparam("phones", expanding=True)),
    whatsapp_accounts.c.whatsapp_phone.is_not(None),
)


def remember(
    connection: Connection, *, phone: str, account: Account, replaces: bool = False
) -> None:
    """Store the account of a number.

    Parts that are unknown now keep their value, unless the account `replaces` the stored one, as
    the answer to a number check does.
    """
    phone = canonical_or_same(phone)
    found = {"whatsapp_phone": account.phone, "lid": account.lid}
    values = {name: value for name, value in found.items() if replaces or value is not None}
    if account == UNNAMED:
        if replaces:
            forget(connection, phone=phone)
        return
    if not insert_or_ignore(connection, whatsapp_accounts, {"phone": phone, **found}):
        here = whatsapp_accounts.c.phone == phone
        connection.execute(update(whatsapp_accounts).where(here).values(values))
    if account.phone is not None:
        # The person is also found by the number under which WhatsApp knows the account.
        own = canonical_or_same(account.phone)
        insert_or_ignore(connection, whatsapp_accounts, {"phone": own, **found})
        _correct_others(connection, account, keep=(phone, own))


def _correct_others(connection: Connection, account: Account, *, keep: Collection[str]) -> None:
    """Give the LID to all numbers of this account, and take it from other people's."""
    if account.lid is None:
        return
    number, lid = whatsapp_accounts.c.whatsapp_phone, whatsapp_accounts.c.lid
    same = number == account.phone
    connection.execute(update(whatsapp_accounts).where(same).values(lid=account.lid))
    other = and_(
        lid == account.lid,
        or_(number.is_(None), number != account.phone),
        whatsapp_accounts.c.phone.not_in(keep),
    )
    connection.execute(delete(whatsapp_accounts).where(other, number.is_(None)))
    connection.execute(update(whatsapp_accounts).where(other).values(lid=None))


def forget(connection: Connection, *, phone: str) -> None:
    """Delete the account of a number."""
    connection.execute(delete(whatsapp_accounts).where(whatsapp_accounts.c.phone == phone))


def account_of(connection: Connection, phone: str) -> Account | None:
    """Return the stored account of a number."""
    here = whatsapp_accounts.c.phone == canonical_or_same(phone)
    row = connection.execute(select(*_COLUMNS).where(here)).first()
    return None if row is None else Account(row.whatsapp_phone, row.lid)


def numbers_of(connection: Connection, phones: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return for each number those of the same account, including itself."""
    asked = sorted(set(phones))
    numbers: dict[str, set[str]] = defaultdict(set)
    for phone, other in connection.execute(_PAIRS, {"phones": asked}):
        numbers[phone].add(other)
    return {phone: frozenset({phone, *numbers[phone]}) for phone in asked}


def whatsapp_numbers(connection: Connection, phones: Collection[str]) -> Mapping[str, str]:
    """Return WhatsApp's form of these numbers, where it is known."""
    if not phones:
        return {}
    rows = connection.execute(_WHATSAPP_PHONES, {"phones": list(phones)})
    return {row.phone: row.whatsapp_phone for row in rows}


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
    """Return the numbers of this account: those stored, and WhatsApp's own in canonical form.

    Without WhatsApp's number they are those last seen with the LID, which can be out of date.
    """
    stored, own = _stored_numbers(connection, account), own_number(account)
    return stored if own is None else stored | {own}


def number_behind(connection: Connection, account: Account) -> str | None:
    """Return the number under which this account's person is kept, or None if unknown.

    It is WhatsApp's number in canonical form, or if that is hidden, one last seen with the LID.
    """
    return own_number(account) or min(_stored_numbers(connection, account), default=None)


def own_number(account: Account) -> str | None:
    """Return WhatsApp's number of the account in canonical form."""
    return None if account.phone is None else canonical_or_same(account.phone)


def added_by(connection: Connection, receipts: Iterable[Receipt]) -> Mapping[str, Account]:
    """Return the accounts of numbers with the names that receipts add to the stored ones.

    A receipt may come from a former owner of the number: it adds nothing unless it names the
    number itself or what is known of its account. Nothing is added to forgotten numbers.
    """
    named = {one.provider_message_id: one.account for one in receipts if one.account != UNNAMED}
    id_ = messages.c.provider_message_id
    sent = select(id_, messages.c.phone).where(id_.in_(named), messages.c.phone.startswith("+"))
    completed: dict[str, Account] = {}
    for row in connection.execute(sent).all():
        phone = canonical_or_same(row.phone)
        stored = completed.get(phone) or account_of(connection, phone) or UNNAMED
        both = _completed(phone, stored, named[row.provider_message_id])
        if both != stored:
            completed[phone] = both
    return completed


def _completed(phone: str, stored: Account, named: Account) -> Account:
    is_own = own_number(named) == phone
    if stored.phone is None:  # a LID alone would also fit a former owner
        return named if is_own and stored.lid in (None, named.lid) else stored
    is_same = stored.phone == named.phone
    return Account(stored.phone, stored.lid or named.lid) if is_same else stored


def _stored_numbers(connection: Connection, account: Account) -> frozenset[str]:
    same = (
        whatsapp_accounts.c.lid == account.lid
        if account.phone is None
        else whatsapp_accounts.c.whatsapp_phone == account.phone
    )
    if account == UNNAMED:
        return frozenset()
    return frozenset(connection.scalars(select(whatsapp_accounts.c.phone).where(same)))
