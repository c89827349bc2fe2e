"""Old rows are deleted in batches; waiting ones are kept."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, insert, select, update

from hudhud.core.clock import DAY_MS, now_ms
from hudhud.db import phone_index, tables
from hudhud.db.batches import AIM_SECONDS, FIRST_ROWS, LEAST_ROWS, MOST_ROWS, PAUSES, Batches
from hudhud.db.engine import Database
from hudhud.maintenance.retention import (
    KeptDays,
    Retention,
    delete_messages,
    delete_verifications,
    old_messages,
    old_verifications,
)
from hudhud.messages import counters, text_store, timeline
from hudhud.messages.states import STATUSES
from hudhud.verification import idempotency
from hudhud.verification.limits import conversions, rate_limits
from hudhud.verification.links import inbound
from support.stored_jobs import BODY, StoredJob, put_jobs

NOW = now_ms()
OLD = NOW - 31 * DAY_MS
VERY_OLD = NOW - 91 * DAY_MS
YOUNG = NOW - 29 * DAY_MS
KEPT = KeptDays(messages=30, verifications=90, events=30, audit=90)


def run(database: Database, **chosen: int) -> Retention:
    """Delete all that need not be kept, as the housekeeping does in one minute."""
    retention = Retention(database, replace(KEPT, **chosen))
    while retention.delete_some() is not None:
        pass
    return retention


def rows(database: Database, table: Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(table)))


def ids(database: Database, table: Table = tables.messages) -> list[Any]:
    return sorted(row.id for row in rows(database, table))


def end_all(database: Database) -> None:
    """Expire all verifications."""
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(status="expired", code_sealed=None))


def put_step(database: Database, message: int) -> None:
    with database.write() as connection:
        timeline.keep_intervention(connection, [message], kind="canceled", at=OLD, who="admin")


def test_old_messages_are_deleted_with_their_steps(database: Database) -> None:
    old, young = put_jobs(
        database,
        StoredJob(status="read", created_at=OLD),
        StoredJob(status="read", created_at=YOUNG),
    )
    put_step(database, old)
    put_step(database, young)
    run(database)
    assert ids(database) == [young]
    assert [row.message_id for row in rows(database, tables.message_steps)] == [young]


def test_waiting_messages_are_kept_at_any_age(database: Database) -> None:
    jobs = [StoredJob(status=status, created_at=OLD) for status in STATUSES]
    put_jobs(database, *jobs)
    run(database)
    assert {row.status for row in rows(database, tables.messages)} == {"queued", "sending"}


def test_settings_determine_the_retention(database: Database) -> None:
    put_jobs(database, StoredJob(status="read", created_at=OLD))
    run(database, messages=32)
    assert len(ids(database)) == 1
    run(database, messages=31)
    assert ids(database) == []


def test_counters_match_the_remaining_messages(database: Database) -> None:
    put_jobs(
        database,
        *[StoredJob(status="read", created_at=OLD)] * 30,
        *[StoredJob(status="failed", created_at=OLD)] * 2,
        StoredJob(status="read", created_at=YOUNG),
    )
    run(database)
    with database.read() as connection:
        assert counters.counts(connection) == {"read": 1, "failed": 0}


def test_search_does_not_find_deleted_messages(database: Database) -> None:
    put_jobs(
        database,
        StoredJob(phone="+201001111111", status="read", created_at=OLD),
        StoredJob(phone="+201002222222", status="read", created_at=YOUNG),
    )
    run(database)
    with database.read() as connection:
        for piece, hits in (("1111", 0), ("2222", 1), ("+2010", 1)):
            parts = phone_index.holding(connection, piece, alone=True)
            assert sum(len(connection.execute(part).all()) for part in parts) == hits


def test_old_messages_after_others_with_wrong_dates_are_deleted(database: Database) -> None:
    in_a_year = NOW + 365 * DAY_MS
    early = put_jobs(database, *[StoredJob(status="read", created_at=in_a_year)] * 50)
    put_jobs(database, *[StoredJob(status="read", created_at=OLD)] * 50)
    run(database)
    assert ids(database) == early


def test_verification_is_deleted_after_its_messages(database: Database) -> None:
    put_jobs(database, StoredJob(status="read", created_at=OLD))
    put_jobs(database, StoredJob(status="read", created_at=VERY_OLD))
    end_all(database)
    run(database)
    assert [row.created_at for row in rows(database, tables.verifications)] == [OLD]


def test_verification_is_kept_while_it_has_a_message(database: Database) -> None:
    put_jobs(database, StoredJob(status="read", created_at=OLD))
    end_all(database)
    run(database, messages=60, verifications=1)
    assert len(ids(database, tables.verifications)) == 1
    with database.write() as connection:
        (verification,) = connection.scalars(select(tables.verifications.c.id)).all()
        assert old_verifications(connection, NOW) == []
        assert delete_verifications(connection, [verification]) == 0
        assert delete_messages(connection, old_messages(connection, NOW)) == 1
        assert delete_verifications(connection, old_verifications(connection, NOW)) == 1


def test_message_queued_again_during_the_run_is_kept(database: Database) -> None:
    (message,) = put_jobs(database, StoredJob(status="failed", created_at=OLD))
    with database.write() as connection:
        (verification,) = connection.scalars(select(tables.verifications.c.id)).all()
        connection.execute(update(tables.messages).values(status="queued"))
        assert delete_messages(connection, [message]) == 0
        assert delete_verifications(connection, [verification]) == 0


def test_a_pending_verification_is_kept(database: Database) -> None:
    put_jobs(database, StoredJob(status="read", created_at=VERY_OLD))
    run(database)
    assert ids(database) == []
    assert [row.status for row in rows(database, tables.verifications)] == ["pending"]


def test_unused_texts_are_deleted(database: Database) -> None:
    unused = "Something broke at +201001234567."
    put_jobs(
        database,
        StoredJob(status="failed", error=unused, created_at=OLD),
        StoredJob(status="failed", error="No account.", created_at=YOUNG),
    )
    with database.write() as connection:
        text_store.keep(connection, [f"unused {number}" for number in range(3 * FIRST_ROWS)])
    run(database)
    kept = {row.key for row in rows(database, tables.texts)}
    assert kept == {text_store.key(BODY), text_store.key("No account.")}


def test_texts_are_checked_once_an_hour(database: Database) -> None:
    orphans = text_store.Orphans(database)

    def look(now: int) -> int:
        with database.write() as connection:
            text_store.keep(connection, ["unused"])
            return orphans.purge(connection, before=now, limit=9)

    assert [look(NOW), look(NOW + 1), look(NOW + text_store.ORPHANS_MS)] == [1, 0, 1]


# Events


def put_event(database: Database, created_at: int, *statuses: str, **endpoint: Any) -> int:
    """Insert an event with deliveries to separate endpoints; return its id."""
    with database.write() as connection:
        event = {"event_id": str(next(_numbers)), "kind": "k", "subject": "s", "payload": "{}"}
        number = _insert(connection, tables.events, event | {"created_at": created_at})
        for status in statuses:
            target = {"url": "u", "kinds": "k", "secret_sealed": b"", "created_at": 1, **endpoint}
            to = _insert(connection, tables.webhook_endpoints, target)
            delivery = {"endpoint_id": to, "event_id": number, "subject": "s", "status": status}
            more = {"attempts": 1, "next_at": 1, "created_at": created_at, "waits_since": NOW}
            _insert(connection, tables.webhook_deliveries, delivery | more)
    return number


_numbers = count()


def _insert(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    number: int = connection.scalars(insert(table).returning(table.c.id), row).one()
    return number


def test_old_events_are_deleted_with_their_deliveries(database: Database) -> None:
    put_event(database, OLD, "delivered", "failed")
    young = put_event(database, YOUNG, "delivered")
    run(database)
    assert ids(database, tables.events) == [young]
    assert [row.event_id for row in rows(database, tables.webhook_deliveries)] == [young]


def test_event_with_a_pending_delivery_is_kept(database: Database) -> None:
    waits = put_event(database, OLD, "delivered", "pending")
    put_event(database, OLD, "pending", disabled_at=OLD)
    run(database)
    assert ids(database, tables.events) == [waits]


def test_delivery_older_than_all_attempts_is_dropped_with_its_event(
    database: Database,
) -> None:
    put_event(database, OLD, "pending")
    kept = put_event(database, OLD, "pending")
    with database.write() as connection:
        too_long = tables.webhook_deliveries.c.event_id < kept
        connection.execute(
            update(tables.webhook_deliveries).where(too_long).values(waits_since=OLD)
        )
    run(database)
    assert ids(database, tables.events) == [kept]


# Tables whose rows are kept while they are of use


def test_obsolete_rows_are_deleted(database: Database) -> None:
    with database.write() as connection:
        for moment in (OLD, now_ms()):
            key = {"api_key": "k", "key_digest": str(moment).encode(), "body_digest": b""}
            more = {"verification_id": "v", "created_at": moment}
            connection.execute(insert(tables.idempotency_keys), key | more)
            answer = {"endpoint": "verify", "answer_sealed": b""}
            connection.execute(insert(tables.kept_answers), key | more | answer)
            counted = {"subject": "s", "start": moment, "count": 1, "expires_at": moment + 99_999}
            connection.execute(insert(tables.limit_counts), counted)
            converted = {"country": "EG", "start": moment, "shard": 1, "started": 1, "approved": 1}
            connection.execute(insert(tables.conversions), converted)
            answered = {"phone": str(moment), "answered_at": moment}
            connection.execute(insert(tables.link_answers), answered)
            searched = {"who": "admin", "code_index": b"", "left_out": False, "at": moment}
            connection.execute(insert(tables.code_searches), searched)
    run(database)
    for table in (
        tables.idempotency_keys,
        tables.kept_answers,
        tables.limit_counts,
        tables.conversions,
        tables.link_answers,
        tables.code_searches,
    ):
        assert len(rows(database, table)) == 1, table.name


@pytest.mark.parametrize(
    ("purge", "table"),
    [
        (rate_limits.purge, tables.limit_counts),
        (conversions.purge, tables.conversions),
        (idempotency.purge, tables.idempotency_keys),
        (inbound.purge, tables.link_answers),
    ],
)
def test_each_purge_respects_its_limit(database: Database, purge: Any, table: Table) -> None:
    with database.write() as connection:
        for number in range(5):
            row: dict[str, object] = {
                column.name: f"{number}".encode() if "digest" in column.name else number
                for column in table.columns
            }
            as_text = ("subject", "country", "phone", "api_key", "verification_id")
            row |= {name: str(number) for name in as_text if name in row}
            connection.execute(insert(table), row)
    deleted = []
    for _ in range(4):
        with database.write() as connection:
            deleted.append(purge(connection, before=NOW, limit=2))
    assert deleted == [2, 2, 1, 0]


# The size of a batch


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes of the transactions, as if each took no time."""
    found: list[int] = []
    learn = Batches.learn

    def note(self: Batches, seconds: float, *, is_full: bool) -> None:
        del seconds
        found.append(self.rows)
        learn(self, 0.0, is_full=is_full)

    monkeypatch.setattr(Batches, "learn", note)
    return found


def test_long_history_is_deleted_in_many_small_transactions(
    database: Database, sizes: list[int]
) -> None:
    put_jobs(database, *[StoredJob(status="read", created_at=OLD)] * 200)
    left = []
    retention = Retention(database, KEPT)
    while retention.delete_some() is not None:
        with database.read() as connection:
            left.append(connection.scalar(select(func.count()).select_from(tables.messages)) or 0)
    deleted = [before - after for before, after in zip([200, *left], left, strict=False)]
    assert sum(deleted) == 200
    assert len([count for count in deleted if count]) == 5
    assert max(deleted) <= max(sizes) <= 70, "each a quarter more than the one before"


def test_deletion_of_a_long_history_does_not_block_writers(database: Database) -> None:
    put_jobs(database, *[StoredJob(status="read", created_at=OLD)] * (3 * FIRST_ROWS))
    with database.write() as connection:
        over = {"subject": "s", "start": 1, "count": 1, "expires_at": 1}
        connection.execute(insert(tables.limit_counts), over)
    retention = Retention(database, KEPT)
    while rows(database, tables.limit_counts):
        assert retention.delete_some() is not None
    assert len(ids(database)) == 2 * FIRST_ROWS


def test_slow_transaction_shrinks_the_next_batch(database: Database) -> None:
    one = Batches(database)
    one.rows = MOST_ROWS
    one.learn(2 * AIM_SECONDS, is_full=True)
    assert one.rows == MOST_ROWS // 2
    assert one.pause_seconds == PAUSES * 2 * AIM_SECONDS
    for _ in range(20):
        one.learn(9.0, is_full=True)
    assert one.rows == LEAST_ROWS
    assert one.longest_seconds == 9.0


def test_quick_transactions_enlarge_the_batch_while_it_is_full(database: Database) -> None:
    one = Batches(database)
    one.learn(0.0, is_full=False)
    assert one.rows == FIRST_ROWS
    for _ in range(99):
        before = one.rows
        one.learn(0.0, is_full=True)
        assert one.rows <= 1 + before * 5 // 4
    assert one.rows == MOST_ROWS
