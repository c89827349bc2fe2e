"""What is known of numbers."""

import pytest

from hudhud.db.engine import Database
from hudhud.messages import contacts
from hudhud.messages.contacts import NO_KEPT_MS, YES_KEPT_MS
from support.queued import NOW, PHONE

DAY = 24 * 3600 * 1000


def remember(database: Database, *, has_account: bool, now: int = NOW) -> None:
    with database.write() as connection:
        contacts.remember_account(connection, phone=PHONE, has_account=has_account, now=now)


def wrote(database: Database, *, at: int) -> None:
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=PHONE, at=at)


def known(database: Database, *, now: int = NOW, phone: str = PHONE) -> bool | None:
    with database.read() as connection:
        return contacts.known_account(connection, phone=phone, now=now)


def has_written(database: Database) -> bool:
    with database.read() as connection:
        return contacts.has_written(connection, phone=PHONE)


def test_nothing_is_known_of_a_stranger(database: Database) -> None:
    assert known(database) is None
    assert not has_written(database)


@pytest.mark.parametrize("answer", [True, False])
def test_an_answer_is_remembered_for_its_number(database: Database, *, answer: bool) -> None:
    remember(database, has_account=answer)
    assert known(database) is answer
    assert known(database, phone="+201001234568") is None


def test_a_no_is_kept_for_ten_minutes_at_most(database: Database) -> None:
    assert NO_KEPT_MS <= 10 * 60 * 1000
    remember(database, has_account=False)
    assert known(database, now=NOW + NO_KEPT_MS - 1) is False
    assert known(database, now=NOW + NO_KEPT_MS) is None


def test_a_yes_is_kept_longer(database: Database) -> None:
    remember(database, has_account=True)
    assert known(database, now=NOW + DAY) is True
    assert known(database, now=NOW + YES_KEPT_MS) is None


def test_a_newer_answer_replaces_the_older(database: Database) -> None:
    remember(database, has_account=False)
    remember(database, has_account=True, now=NOW + 1)
    assert known(database, now=NOW + NO_KEPT_MS) is True


def test_who_wrote_has_an_account(database: Database) -> None:
    remember(database, has_account=False)
    wrote(database, at=NOW + 1)
    assert known(database, now=NOW + 2) is True
    assert has_written(database)


def test_a_check_does_not_forget_that_somebody_wrote(database: Database) -> None:
    wrote(database, at=NOW)
    remember(database, has_account=False, now=NOW + 1)
    assert has_written(database)
    assert known(database, now=NOW + 2) is False


def test_a_checked_number_has_not_written_by_that(database: Database) -> None:
    remember(database, has_account=True)
    assert not has_written(database)
