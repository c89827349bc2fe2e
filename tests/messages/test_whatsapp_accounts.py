"""WhatsApp's names of accounts: who is the same person, and under which number."""

import pytest

from hudhud.channels.base import UNNAMED, Account, Receipt
from hudhud.db.engine import Database
from hudhud.messages import queue, whatsapp_accounts
from hudhud.messages.outcomes import Sent
from support.queued import NOW, PHONE, change, submit

SHORT, LONG = "+541112345678", "+5491112345678"
ACCOUNT = Account(phone=LONG, lid="1001")
BRAZIL, OLD_BRAZIL = "+5561991234567", "+556191234567"
BRAZILIAN = Account(OLD_BRAZIL, "1003")
STRANGER, OTHER = PHONE, "+201001234568"


def remember(database: Database, phone: str, account: Account) -> None:
    with database.write() as connection:
        whatsapp_accounts.remember(connection, phone=phone, account=account)


def account_of(database: Database, phone: str) -> Account | None:
    with database.read() as connection:
        return whatsapp_accounts.account_of(connection, phone)


def people(database: Database, *phones: str) -> dict[str, frozenset[str]]:
    with database.read() as connection:
        return dict(whatsapp_accounts.numbers_of(connection, phones))


def all_forms(database: Database, phone: str) -> frozenset[str]:
    with database.read() as connection:
        return whatsapp_accounts.all_forms(connection, phone)


def person(database: Database, account: Account) -> tuple[str | None, frozenset[str]]:
    """Return the number under which an account is kept, and all its numbers."""
    with database.read() as connection:
        return (
            whatsapp_accounts.number_behind(connection, account),
            whatsapp_accounts.numbers_behind(connection, account),
        )


def test_unknown_number_has_no_account(database: Database) -> None:
    assert account_of(database, SHORT) is None
    assert people(database, SHORT) == {SHORT: {SHORT}}


def test_parts_of_an_account_are_stored_when_they_become_known(database: Database) -> None:
    remember(database, SHORT, Account(phone=None, lid=None))
    assert account_of(database, SHORT) is None
    remember(database, SHORT, Account(phone=LONG, lid=None))
    remember(database, SHORT, Account(phone=None, lid="1001"))
    assert account_of(database, SHORT) == ACCOUNT


def test_new_account_of_a_number_replaces_the_old_one(database: Database) -> None:
    remember(database, SHORT, ACCOUNT)
    remember(database, SHORT, Account(phone=SHORT, lid="1002"))
    assert account_of(database, SHORT) == Account(phone=SHORT, lid="1002")


@pytest.mark.parametrize("name", [Account(LONG, None), Account(None, "1001"), ACCOUNT])
def test_numbers_with_a_name_in_common_belong_to_one_person(
    database: Database, name: Account
) -> None:
    remember(database, SHORT, ACCOUNT)
    remember(database, LONG, name)
    remember(database, STRANGER, Account(STRANGER, "1002"))
    both = {SHORT, LONG}
    assert people(database, SHORT, LONG) == {SHORT: both, LONG: both}
    assert people(database, STRANGER) == {STRANGER: {STRANGER}}


def test_numbers_without_a_known_name_are_different_people(database: Database) -> None:
    remember(database, SHORT, Account(phone=SHORT, lid=None))
    remember(database, LONG, Account(phone=LONG, lid=None))
    assert people(database, SHORT, LONG) == {SHORT: {SHORT}, LONG: {LONG}}


def test_rows_may_have_a_number_in_any_of_its_forms(database: Database) -> None:
    remember(database, BRAZIL, BRAZILIAN)
    assert {BRAZIL, OLD_BRAZIL, f"+550{BRAZIL[3:]}"} <= all_forms(database, BRAZIL)
    with database.read() as connection:
        assert whatsapp_accounts.known_forms(connection, BRAZIL) == {BRAZIL, OLD_BRAZIL}
        assert whatsapp_accounts.whatsapp_numbers(connection, [BRAZIL, SHORT]) == {
            BRAZIL: OLD_BRAZIL
        }


@pytest.mark.parametrize(
    ("former", "number"),
    [
        (OLD_BRAZIL, BRAZIL),
        ("+5215512345678", "+525512345678"),
        ("+22507123456", "+2250707123456"),
        ("+22997123456", "+2290197123456"),
        ("+6834012", "+6834012"),
        (LONG, LONG),
    ],
)
def test_unknown_account_is_kept_under_its_canonical_number(
    database: Database, former: str, number: str
) -> None:
    assert person(database, Account(former, "7")) == (number, frozenset({number}))


def test_whatsapps_form_of_a_number_is_the_same_person(database: Database) -> None:
    remember(database, SHORT, ACCOUNT)
    both = frozenset({LONG, SHORT})
    assert people(database, LONG, SHORT) == {LONG: both, SHORT: both}
    assert person(database, ACCOUNT) == (LONG, both)
    assert person(database, Account(LONG, None)) == (LONG, both)
    assert both <= all_forms(database, LONG)


def test_old_spelling_is_not_stored_as_a_number(database: Database) -> None:
    remember(database, OLD_BRAZIL, BRAZILIAN)
    assert person(database, BRAZILIAN) == (BRAZIL, frozenset({BRAZIL}))
    assert account_of(database, OLD_BRAZIL) == account_of(database, BRAZIL) == BRAZILIAN


def test_answer_of_a_check_replaces_both_names(database: Database) -> None:
    remember(database, PHONE, Account(PHONE, "1"))
    with database.write() as connection:
        answer = Account(PHONE, None)
        whatsapp_accounts.remember(connection, phone=PHONE, account=answer, replaces=True)
    assert account_of(database, PHONE) == Account(PHONE, None)


def test_lid_alone_joins_no_numbers(database: Database) -> None:
    remember(database, PHONE, Account(PHONE, "1"))
    remember(database, OTHER, Account(None, "1"))
    assert people(database, PHONE, OTHER) == {PHONE: {PHONE}, OTHER: {OTHER}}


def test_hidden_number_is_found_by_the_lid(database: Database) -> None:
    hidden = Account(None, "1003")
    assert person(database, hidden) == (None, frozenset())
    remember(database, BRAZIL, BRAZILIAN)
    assert person(database, hidden) == (BRAZIL, frozenset({BRAZIL}))


def test_lid_belongs_to_its_newest_known_number(database: Database) -> None:
    remember(database, PHONE, Account(None, "1"))
    moved = Account(OTHER, "1")
    assert person(database, moved) == (OTHER, frozenset({OTHER}))
    remember(database, OTHER, moved)
    assert account_of(database, PHONE) is None
    assert person(database, Account(None, "1")) == (OTHER, frozenset({OTHER}))


def test_person_who_changed_the_number_does_not_have_the_earlier_one(database: Database) -> None:
    remember(database, PHONE, Account(PHONE, "3"))
    moved = Account(OTHER, "3")
    assert person(database, moved) == (OTHER, frozenset({OTHER}))
    remember(database, OTHER, moved)
    assert account_of(database, PHONE) == Account(PHONE, None)
    assert account_of(database, OTHER) == moved


def test_new_owner_of_a_number_is_known_by_it(database: Database) -> None:
    remember(database, BRAZIL, BRAZILIAN)
    assert person(database, Account(OLD_BRAZIL, "9"))[0] == BRAZIL


def record_sent(database: Database, message: int) -> None:
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="a", limit=1, now=NOW)
        queue.record(connection, sender="a", outcomes=[Sent(message, "p-1", NOW)], now=NOW)


@pytest.mark.parametrize(
    ("stored", "named", "completed"),
    [
        (None, Account(None, "1"), None),
        (None, Account(OTHER, "1"), None),
        (None, Account(PHONE, "1"), Account(PHONE, "1")),
        (Account(PHONE, None), Account(None, "1"), None),
        (Account(PHONE, None), Account(OTHER, "1"), None),
        (Account(PHONE, None), Account(PHONE, "1"), Account(PHONE, "1")),
        (Account(None, "1"), Account(PHONE, "1"), Account(PHONE, "1")),
        (Account(None, "1"), Account(OTHER, "1"), None),
        (Account(None, "1"), Account(None, "1"), None),
        (Account(PHONE, "1"), Account(None, "2"), None),
        (Account(PHONE, None), UNNAMED, None),
    ],
)
def test_receipt_adds_only_missing_names_of_the_same_account(
    database: Database, stored: Account | None, named: Account, completed: Account | None
) -> None:
    (message,) = submit(database)
    if stored is not None:
        remember(database, PHONE, stored)
    record_sent(database, message)
    with database.read() as connection:
        receipts = [Receipt("p-1", "read", NOW, named), Receipt("p-2", "read", NOW, named)]
        added = whatsapp_accounts.added_by(connection, receipts)
    assert added == ({} if completed is None else {PHONE: completed})


def test_receipt_adds_nothing_to_a_forgotten_number(database: Database) -> None:
    (message,) = submit(database)
    record_sent(database, message)
    change(database, message, phone="forgotten-0123456789abcdef")
    with database.read() as connection:
        receipts = [Receipt("p-1", "read", NOW, Account(None, "1"))]
        assert whatsapp_accounts.added_by(connection, receipts) == {}
