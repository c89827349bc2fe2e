"""The audit: writing, paging, search and retention."""

from typing import Any, get_args

import pytest
from sqlalchemy import select

from hudhud.auth import audit_log
from hudhud.auth.audit_log import GROUPS, Group, What
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database

NOW = 1_800_000_000_000


def note(database: Database, *, now: int = NOW, **changes: Any) -> None:
    chosen = {"who": "admin", "address": "192.0.2.1", "what": "login", **changes}
    with database.write() as connection:
        audit_log.note(connection, now=now, **chosen)


def subjects(database: Database, *, limit: int = 100, **asked: Any) -> list[str]:
    with database.read() as connection:
        return [row.subject for row in audit_log.page(connection, limit=limit, **asked)]


def test_every_action_belongs_to_one_group() -> None:
    grouped = [what for whats in GROUPS.values() for what in whats]
    assert sorted(grouped) == sorted(get_args(What))
    assert tuple(GROUPS) == get_args(Group)


def test_entry_holds_actor_action_and_result(database: Database) -> None:
    note(database, what="retry", subject="job 7", outcome="refused", detail=other("expired"))
    with database.read() as connection:
        (row,) = audit_log.page(connection, limit=10)
    assert (row.at, row.who, row.address, row.what) == (NOW, "admin", "192.0.2.1", "retry")
    assert (row.subject, row.outcome, row.detail) == ("job 7", "refused", "expired")


def test_pages_are_ordered_newest_first(database: Database) -> None:
    for number in range(5):
        note(database, subject=str(number))
    assert subjects(database, limit=2) == ["4", "3"]
    with database.read() as connection:
        last = audit_log.page(connection, limit=2)[-1].id
    assert subjects(database, limit=2, before=last) == ["2", "1"]


def test_filter_shows_one_group(database: Database) -> None:
    note(database, what="login", subject="in")
    note(database, what="login_failed", subject="failed")
    note(database, what="cancel", subject="job")
    assert subjects(database, what="failed") == ["failed"]
    assert subjects(database, what="jobs") == ["job"]


@pytest.mark.parametrize("searched", ["ROOT", "198.51.100.80", "backoffice", "5 failures"])
def test_search_covers_every_column(database: Database, searched: str) -> None:
    note(database, subject="other")
    note(
        database,
        who="root",
        address="198.51.100.80",
        subject="backoffice",
        detail=other("5 failures"),
    )
    assert subjects(database, text=searched) == ["backoffice"]


def test_search_treats_wildcards_literally(database: Database) -> None:
    note(database, subject="100%")
    note(database, subject="1000")
    assert subjects(database, text="0%") == ["100%"]
    assert subjects(database, text="_") == []


def test_any_text_from_strangers_can_be_stored(database: Database) -> None:
    note(database, who="x" * 10_000 + "\0\udcff", subject="one")
    note(database, who="a\0\udcffb", subject="two")
    with database.read() as connection:
        assert max(len(who) for who in connection.scalars(select(tables.audit.c.who))) == 60


def test_old_entries_are_deleted_in_batches(database: Database) -> None:
    for number in range(3):
        note(database, now=NOW - 2, subject=f"old {number}")
    note(database, now=NOW - 1, subject="kept")
    deleted = []
    for _ in range(3):
        with database.write() as connection:
            deleted.append(audit_log.purge(connection, before=NOW - 1, limit=2))
    assert deleted == [2, 1, 0]
    assert subjects(database) == ["kept"]
