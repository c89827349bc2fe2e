"""Receipts move a message forward, never back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hudhud.channels.base import Receipt, ReceiptKind
from hudhud.db.engine import Database
from hudhud.messages import queue
from hudhud.messages.outcomes import Sent
from hudhud.messages.receipts import record_receipts
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, change, stored, submit

kinds = st.sampled_from(["delivered", "read"])


def receive(database: Database, *receipts: Receipt) -> set[str]:
    with database.write() as connection:
        return record_receipts(connection, receipts, now=NOW)


@pytest.fixture
def sent(database: Database) -> int:
    """A message that the channel took as p-1."""
    (message,) = submit(database)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="a", limit=1, now=NOW)
        record_outcomes(connection, sender="a", outcomes=[Sent(message, "p-1", NOW)], now=NOW)
    return message


def test_a_delivery_is_recorded(database: Database, sent: int) -> None:
    assert receive(database, Receipt("p-1", "delivered", NOW + 5)) == set()
    row = stored(database, sent)
    assert (row.status, row.delivered_at, row.read_at) == ("delivered", NOW + 5, None)


def test_reading_follows_delivery(database: Database, sent: int) -> None:
    receive(database, Receipt("p-1", "delivered", NOW + 5))
    receive(database, Receipt("p-1", "read", NOW + 9))
    row = stored(database, sent)
    assert (row.status, row.delivered_at, row.read_at) == ("read", NOW + 5, NOW + 9)


def test_reading_implies_delivery(database: Database, sent: int) -> None:
    receive(database, Receipt("p-1", "read", NOW + 9))
    row = stored(database, sent)
    assert (row.status, row.delivered_at, row.read_at) == ("read", NOW + 9, NOW + 9)


def test_delivery_receipt_after_a_read_receipt_changes_nothing(
    database: Database, sent: int
) -> None:
    receive(database, Receipt("p-1", "read", NOW + 9))
    before = stored(database, sent)
    assert receive(database, Receipt("p-1", "delivered", NOW + 10)) == set()
    assert stored(database, sent) == before


def test_repeated_receipt_changes_nothing(database: Database, sent: int) -> None:
    receive(database, Receipt("p-1", "delivered", NOW + 5))
    receive(database, Receipt("p-1", "delivered", NOW + 8))
    assert stored(database, sent).delivered_at == NOW + 5


def test_receipt_dated_before_the_last_step_gets_the_time_of_that_step(
    database: Database, sent: int
) -> None:
    receive(database, Receipt("p-1", "delivered", NOW - 900))
    assert stored(database, sent).delivered_at == NOW
    change(database, sent, delivered_at=NOW + 5)
    receive(database, Receipt("p-1", "read", NOW + 4))
    row = stored(database, sent)
    assert (row.delivered_at, row.read_at) == (NOW + 5, NOW + 5)


def test_unknown_ids_are_returned_and_the_others_recorded(database: Database, sent: int) -> None:
    unknown = receive(
        database,
        Receipt("nobody", "delivered", NOW),
        Receipt("p-1", "delivered", NOW),
        Receipt("nothing", "read", NOW),
    )
    assert unknown == {"nobody", "nothing"}
    assert stored(database, sent).status == "delivered"


def test_no_receipts_are_no_error(database: Database) -> None:
    assert receive(database) == set()


@pytest.mark.parametrize("status", ["failed", "expired", "canceled", "queued", "sending"])
def test_receipt_does_not_move_an_unsent_message(
    database: Database, sent: int, status: str
) -> None:
    change(database, sent, status=status)
    receive(database, Receipt("p-1", "read", NOW + 5))
    assert stored(database, sent).status == status


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(groups=st.lists(st.lists(st.tuples(kinds, st.integers(0, 9)), max_size=3), max_size=4))
def test_receipts_in_any_order_and_number_end_in_the_same_state(
    database: Database, sent: int, groups: list[list[tuple[ReceiptKind, int]]]
) -> None:
    change(database, sent, status="sent", delivered_at=None, read_at=None)
    for group in groups:
        receive(database, *(Receipt("p-1", kind, NOW + at) for kind, at in group))
    row = stored(database, sent)
    told = {kind for group in groups for kind, _ in group}
    expected = "read" if "read" in told else "delivered" if told else "sent"
    assert row.status == expected
    assert (row.delivered_at is not None) == (expected != "sent")
    assert (row.read_at is not None) == (expected == "read")
