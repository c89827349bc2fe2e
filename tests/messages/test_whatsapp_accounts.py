"""Numbers of one WhatsApp account belong to one person."""

import pytest

from hudhud.channels.base import Account
from hudhud.db.engine import Database
from hudhud.messages import whatsapp_accounts

SHORT, LONG = "+541112345678", "+5491112345678"
ACCOUNT = Account(phone=LONG, lid="1001")
BRAZIL, OLD_BRAZIL = "+5561991234567", "+556191234567"
STRANGER = "+201001234567"


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


def test_person_who_writes_has_the_stored_numbers_and_the_current_form(
    database: Database,
) -> None:
    with database.read() as connection:
        behind = whatsapp_accounts.numbers_behind(connection, Account(OLD_BRAZIL, None))
    assert behind == {BRAZIL}
    remember(database, SHORT, ACCOUNT)
    with database.read() as connection:
        assert whatsapp_accounts.numbers_behind(connection, ACCOUNT) == {SHORT, LONG}
        assert whatsapp_accounts.numbers_behind(connection, Account(None, "1001")) == {SHORT}


def test_rows_may_have_a_number_in_any_of_its_forms(database: Database) -> None:
    remember(database, BRAZIL, Account(OLD_BRAZIL, "1003"))
    assert {BRAZIL, OLD_BRAZIL, f"+550{BRAZIL[3:]}"} <= all_forms(database, BRAZIL)
    with database.read() as connection:
        assert whatsapp_accounts.known_forms(connection, BRAZIL) == {BRAZIL, OLD_BRAZIL}
        assert whatsapp_accounts.whatsapp_numbers(connection, [BRAZIL, SHORT]) == {
            BRAZIL: OLD_BRAZIL
        }
