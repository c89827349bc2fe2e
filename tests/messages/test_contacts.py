"""Contacts and inbound messages."""

from typing import Any

import pytest
from sqlalchemy import Row, select

from hudhud.channels.base import Account, Inbound
from hudhud.db.engine import Database
from hudhud.db.tables import inbound_messages
from hudhud.messages import contacts, whatsapp_accounts
from hudhud.messages.contacts import NO_KEPT_MS, YES_KEPT_MS
from support.queued import NOW, PHONE

DAY = 24 * 3600 * 1000
ACCOUNT = Account(PHONE, "1")
ARGENTINE, ARGENTINE_SHORT = "+5491112345678", "+541112345678"
ARGENTINE_ACCOUNT = Account(ARGENTINE, "2")


def remember(
    database: Database, account: Account | None, *, phone: str = PHONE, now: int = NOW
) -> None:
    with database.write() as connection:
        contacts.remember_account(connection, phone=phone, account=account, now=now)


def wrote(database: Database, *, at: int, phone: str = PHONE, proves: bool = True) -> None:
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=phone, at=at, proves=proves)


def known(database: Database, *, now: int = NOW, phone: str = PHONE) -> bool | None:
    with database.read() as connection:
        return contacts.known_account(connection, phone=phone, now=now)


def has_written(database: Database, phone: str = PHONE) -> bool:
    with database.read() as connection:
        return contacts.has_written(connection, phone=phone)


def test_unknown_number_has_no_contact(database: Database) -> None:
    assert known(database) is None
    assert not has_written(database)


@pytest.mark.parametrize("answer", [ACCOUNT, None])
def test_result_of_a_check_is_stored_for_its_number(
    database: Database, answer: Account | None
) -> None:
    remember(database, answer)
    assert known(database) is (answer is not None)
    assert known(database, phone="+201001234568") is None


def test_negative_result_expires_after_ten_minutes(database: Database) -> None:
    assert NO_KEPT_MS <= 10 * 60 * 1000
    remember(database, None)
    assert known(database, now=NOW + NO_KEPT_MS - 1) is False
    assert known(database, now=NOW + NO_KEPT_MS) is None


def test_positive_result_is_kept_longer(database: Database) -> None:
    remember(database, ACCOUNT)
    assert known(database, now=NOW + DAY) is True
    assert known(database, now=NOW + YES_KEPT_MS) is None


def test_newer_result_replaces_the_older(database: Database) -> None:
    remember(database, None)
    remember(database, ACCOUNT, now=NOW + 1)
    assert known(database, now=NOW + NO_KEPT_MS) is True


def test_person_who_wrote_has_an_account(database: Database) -> None:
    remember(database, None)
    wrote(database, at=NOW + 1)
    assert known(database, now=NOW + 2) is True
    assert has_written(database)


def test_text_from_another_number_proves_no_account(database: Database) -> None:
    remember(database, ARGENTINE_ACCOUNT, phone=ARGENTINE_SHORT)
    wrote(database, at=NOW + YES_KEPT_MS, phone=ARGENTINE_SHORT, proves=False)
    assert has_written(database, ARGENTINE_SHORT)
    assert known(database, phone=ARGENTINE_SHORT, now=NOW + YES_KEPT_MS) is None


def test_check_keeps_the_record_of_an_inbound_message(database: Database) -> None:
    wrote(database, at=NOW)
    remember(database, None, now=NOW + 1)
    assert has_written(database)
    assert known(database, now=NOW + 2) is False


def test_checked_number_does_not_count_as_having_written(database: Database) -> None:
    remember(database, ACCOUNT)
    assert not has_written(database)


def test_person_who_wrote_under_another_number_has_written(database: Database) -> None:
    wrote(database, phone=ARGENTINE, at=NOW)
    remember(database, ARGENTINE_ACCOUNT, phone=ARGENTINE)
    remember(database, ACCOUNT)
    remember(database, ARGENTINE_ACCOUNT, phone=ARGENTINE_SHORT, now=NOW + 1)
    assert has_written(database, ARGENTINE_SHORT)
    assert not has_written(database)


def test_number_without_an_account_loses_the_earlier_one(database: Database) -> None:
    remember(database, ACCOUNT)
    remember(database, None, now=NOW + 1)
    with database.read() as connection:
        assert whatsapp_accounts.account_of(connection, PHONE) is None


def keep_inbound(database: Database, message: Inbound, sender: str = "main") -> bool:
    with database.write() as connection:
        return contacts.keep_inbound(connection, sender=sender, message=message)


def inbound(database: Database) -> list[Row[Any]]:
    statement = select(inbound_messages).order_by(inbound_messages.c.id)
    with database.read() as connection:
        return list(connection.execute(statement))


def test_inbound_message_is_stored_unchanged(database: Database) -> None:
    keep_inbound(database, Inbound("m-1", PHONE, "مرحبا 👋 {code}", NOW))
    (row,) = inbound(database)
    assert (row.sender, row.provider_message_id, row.phone) == ("main", "m-1", PHONE)
    assert (row.text, row.received_at) == ("مرحبا 👋 {code}", NOW)


def test_repeated_inbound_message_is_stored_once(database: Database) -> None:
    assert keep_inbound(database, Inbound("m-1", PHONE, "first", NOW))
    assert not keep_inbound(database, Inbound("m-1", PHONE, "second", NOW))
    assert [row.text for row in inbound(database)] == ["first"]


def test_two_senders_may_get_messages_with_the_same_id(database: Database) -> None:
    keep_inbound(database, Inbound("m-1", PHONE, "one", NOW), "one")
    keep_inbound(database, Inbound("m-1", PHONE, "two", NOW), "two")
    assert [row.text for row in inbound(database)] == ["one", "two"]


def test_old_inbound_messages_are_deleted(database: Database) -> None:
    keep_inbound(database, Inbound("m-1", PHONE, "old", NOW))
    keep_inbound(database, Inbound("m-2", PHONE, "young", NOW + 1))
    with database.write() as connection:
        assert contacts.purge_inbound(connection, before=NOW + 1, limit=9) == 1
    assert [row.text for row in inbound(database)] == ["young"]


def test_characters_that_the_database_refuses_are_removed(database: Database) -> None:
    keep_inbound(database, Inbound("m\0-1", PHONE, "a\0b\ud83dc", NOW))
    (row,) = inbound(database)
    assert (row.provider_message_id, row.text) == ("m-1", "ab?c")
