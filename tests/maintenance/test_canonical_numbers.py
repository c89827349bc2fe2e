"""Numbers that earlier versions stored as they were written get the form of today."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, text

from hudhud.channels.base import Account
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.rewriting import Rewriting
from hudhud.maintenance.canonical_numbers import REWRITES
from hudhud.messages import contacts, listing, whatsapp_accounts
from hudhud.messages.page_cursor import PageCursor
from hudhud.messages.search import JobFilter
from support.queued import NOW
from support.services import wait_until
from support.stored_jobs import CIPHER, StoredJob, put_jobs

KEPT, WRITTEN, REFUSED = "+966501234567", "+9660501234567", "+12530000"
MEXICO, OLD_MEXICO = "+525512345678", "+5215512345678"
# So few rows a transaction that several are needed.
FEW = 2


def rewrite(database: Database) -> None:
    job = Rewriting(database, REWRITES, at_once=FEW)
    for _ in range(200):
        if job.rewrite_some() is None:
            return
    raise AssertionError("it does not end")


def put(database: Database, table: Table, *rows: dict[str, Any]) -> None:
    with database.write() as connection:
        connection.execute(insert(table), rows)


def rows(database: Database, table: Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def contact(phone: str, *, has: bool | None, checked: int | None, wrote: int | None) -> Any:
    return {"phone": phone, "on_whatsapp": has, "checked_at": checked, "wrote_at": wrote}


def test_messages_and_verifications_are_rewritten_except_those_to_send(database: Database) -> None:
    statuses = ("sent", "failed", "queued", "sending", "delivered")
    jobs = [StoredJob(phone=WRITTEN, status=status) for status in statuses]
    put_jobs(database, *jobs, StoredJob(phone=REFUSED, status="sent"))
    rewrite(database)
    kept = [row.phone for row in rows(database, tables.messages)]
    assert kept == [KEPT, KEPT, WRITTEN, WRITTEN, KEPT, REFUSED]
    verifications = {row.phone for row in rows(database, tables.verifications)}
    assert verifications == {KEPT, REFUSED}


def test_search_index_follows(database: Database) -> None:
    (job,) = put_jobs(database, StoredJob(phone=WRITTEN, status="sent"))
    rewrite(database)
    for search, found in (("6605012", []), ("96650123", [job])):
        with database.read() as connection:
            page, _ = listing.page(
                connection, CIPHER, JobFilter(search=search), PageCursor(10), now=NOW
            )
        assert [one.id for one in page.jobs] == found


def test_contacts_of_two_spellings_are_merged(database: Database) -> None:
    put(
        database,
        tables.contacts,
        contact(KEPT, has=False, checked=20, wrote=None),
        contact(WRITTEN, has=True, checked=10, wrote=5),
        contact(OLD_MEXICO, has=None, checked=None, wrote=7),
        contact(REFUSED, has=True, checked=3, wrote=None),
    )
    rewrite(database)
    assert {row.phone: tuple(row)[1:] for row in rows(database, tables.contacts)} == {
        KEPT: (False, 20, 5),
        MEXICO: (None, None, 7),
        REFUSED: (True, 3, None),
    }


def test_known_check_is_better_than_none_and_the_first_text_counts(database: Database) -> None:
    put(
        database,
        tables.contacts,
        contact(KEPT, has=None, checked=None, wrote=9),
        contact(WRITTEN, has=True, checked=10, wrote=8),
    )
    rewrite(database)
    (row,) = rows(database, tables.contacts)
    assert tuple(row) == (KEPT, True, 10, 8)


def test_number_that_wrote_is_kept_as_whatsapps_form(database: Database) -> None:
    put(database, tables.contacts, contact(OLD_MEXICO, has=True, checked=7, wrote=7))
    rewrite(database)
    with database.read() as connection:
        assert whatsapp_accounts.account_of(connection, MEXICO) == Account(OLD_MEXICO, None)


def test_inbound_messages_and_answers_are_rewritten(database: Database) -> None:
    inbound = {"sender": "s", "text": "hello", "received_at": 1, "phone": OLD_MEXICO}
    put(database, tables.inbound_messages, inbound | {"provider_message_id": "m"})
    put(
        database,
        tables.link_answers,
        {"phone": OLD_MEXICO, "answered_at": 1},
        {"phone": KEPT, "answered_at": 2},
        {"phone": WRITTEN, "answered_at": 3},
    )
    rewrite(database)
    assert [row.phone for row in rows(database, tables.inbound_messages)] == [MEXICO]
    assert {row.phone for row in rows(database, tables.link_answers)} == {MEXICO, KEPT}


BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def wait_for_blocked(database: Database, count: int) -> None:
    def blocked() -> bool:
        with database.read() as connection:
            return bool(connection.scalar(text(BLOCKED)) == count)

    wait_until(blocked, 10.0, f"{count} blocked transactions")


def merge_contacts(database: Database, *phones: str) -> None:
    (merging,) = (one for one in REWRITES if one.key.table is tables.contacts)
    with database.write() as connection:
        merging.rewrite(connection, phones)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_merge_locks_the_account_before_contacts_as_a_text_does(database: Database) -> None:
    account = Account(OLD_MEXICO, "7")
    put(
        database,
        tables.contacts,
        contact(OLD_MEXICO, has=True, checked=1, wrote=1),
        contact(MEXICO, has=True, checked=1, wrote=None),
    )
    with database.write() as connection:
        whatsapp_accounts.remember(connection, phone=MEXICO, account=account)
    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            whatsapp_accounts.remember(connection, phone=MEXICO, account=account)
            merging = threads.submit(merge_contacts, database, OLD_MEXICO)
            wait_for_blocked(database, 1)
            contacts.remember_wrote(connection, phone=MEXICO, at=9, proves=True)
        merging.result()
    (row,) = rows(database, tables.contacts)
    assert tuple(row) == (MEXICO, True, 9, 1)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_text_during_the_merge_is_not_lost(database: Database) -> None:
    put(
        database,
        tables.contacts,
        contact(KEPT, has=True, checked=1, wrote=None),
        contact(WRITTEN, has=True, checked=1, wrote=None),
    )
    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            contacts.remember_wrote(connection, phone=KEPT, at=9, proves=True)
            merging = threads.submit(merge_contacts, database, WRITTEN)
            wait_for_blocked(database, 1)
        merging.result()
    (row,) = rows(database, tables.contacts)
    assert tuple(row) == (KEPT, True, 9, 9)
