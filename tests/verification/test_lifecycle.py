"""Expiry of verifications."""

from sqlalchemy import update

from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.verification import lifecycle
from support.queued import NOW, VALIDITY_MS, accept, verification_of


def expire(database: Database, *, now: int, most: int = lifecycle.EXPIRED_AT_ONCE) -> int:
    with database.write() as connection:
        return lifecycle.expire(connection, now=now, most=most)


def test_expired_verification_ends_and_its_code_is_erased(database: Database) -> None:
    (accepted,) = accept(database)
    assert expire(database, now=NOW + VALIDITY_MS - 1) == 0
    assert verification_of(database, accepted.message_id).code_sealed is not None
    assert expire(database, now=NOW + VALIDITY_MS) == 1
    row = verification_of(database, accepted.message_id)
    assert (row.status, row.code_index, row.code_sealed) == ("expired", None, None)
    assert expire(database, now=NOW + VALIDITY_MS) == 0


def test_ended_verification_keeps_its_state_and_loses_its_code(
    database: Database,
) -> None:
    (accepted,) = accept(database)
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(status="failed"))
    expire(database, now=NOW + VALIDITY_MS)
    row = verification_of(database, accepted.message_id)
    assert (row.status, row.code_index, row.code_sealed) == ("failed", None, None)


def test_many_expired_verifications_are_ended_in_batches(database: Database) -> None:
    accept(database, 16)
    assert [expire(database, now=NOW + VALIDITY_MS, most=7) for _ in range(4)] == [7, 7, 2, 0]
