"""Messages that people write to a sender."""

from typing import Any

from sqlalchemy import Row, select

from hudhud.channels.base import Inbound
from hudhud.db.engine import Database
from hudhud.db.tables import inbound_messages
from hudhud.messages import inbound
from hudhud.messages.inbound import KEPT_MS
from support.queued import NOW, PHONE


def keep(database: Database, message: Inbound, sender: str = "main") -> bool:
    with database.write() as connection:
        return inbound.keep(connection, sender=sender, message=message)


def kept(database: Database) -> list[Row[Any]]:
    statement = select(inbound_messages).order_by(inbound_messages.c.id)
    with database.read() as connection:
        return list(connection.execute(statement))


def test_a_message_is_kept_as_it_was_written(database: Database) -> None:
    keep(database, Inbound("m-1", PHONE, "مرحبا 👋 {code}", NOW))
    (row,) = kept(database)
    assert (row.sender, row.provider_message_id, row.phone) == ("main", "m-1", PHONE)
    assert (row.text, row.received_at) == ("مرحبا 👋 {code}", NOW)


def test_a_message_that_is_repeated_is_kept_once(database: Database) -> None:
    assert keep(database, Inbound("m-1", PHONE, "first", NOW))
    assert not keep(database, Inbound("m-1", PHONE, "second", NOW))
    assert [row.text for row in kept(database)] == ["first"]


def test_two_senders_may_get_messages_with_the_same_id(database: Database) -> None:
    keep(database, Inbound("m-1", PHONE, "one", NOW), "one")
    keep(database, Inbound("m-1", PHONE, "two", NOW), "two")
    assert [row.text for row in kept(database)] == ["one", "two"]


def test_old_messages_are_deleted(database: Database) -> None:
    keep(database, Inbound("m-1", PHONE, "old", NOW))
    keep(database, Inbound("m-2", PHONE, "young", NOW + 1))
    with database.write() as connection:
        assert inbound.purge(connection, now=NOW + KEPT_MS + 1, limit=9) == 1
    assert [row.text for row in kept(database)] == ["young"]


def test_letters_that_a_database_refuses_are_left_out(database: Database) -> None:
    keep(database, Inbound("m\0-1", PHONE, "a\0b\ud83dc", NOW))
    (row,) = kept(database)
    assert (row.provider_message_id, row.text) == ("m-1", "ab?c")
