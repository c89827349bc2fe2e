"""The index of phones finds every message, whether indexed, new, changed or deleted."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, update

from hudhud.db import phone_index
from hudhud.db.engine import Database
from hudhud.db.tables import messages
from support.stored_jobs import StoredJob, forget_everything, index_phones, put_jobs

PHONES = st.sampled_from(["+201001234567", "+201001234568", "+4912345670"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(PHONES, max_size=5)),
        st.tuples(st.just("index"), st.integers(0, 4)),
        st.tuples(st.just("change"), st.tuples(st.integers(0, 9), PHONES)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
    ),
    max_size=12,
)
FRAGMENTS = ("+20", "1234567", "4568", "999")


def held(connection: Connection, fragment: str, *, alone: bool) -> list[int]:
    parts = phone_index.holding(connection, fragment, alone=alone)
    return sorted(number for part in parts for number in connection.scalars(part))


def contained(connection: Connection, fragment: str) -> list[int]:
    found = select(messages.c.id).where(messages.c.phone.contains(fragment))
    return list(connection.scalars(found.order_by(messages.c.id)))


def take(database: Database, step: str, given: object) -> None:
    """Take one step on the messages; a place is counted from the oldest."""
    if step == "add":
        put_jobs(database, *[StoredJob(phone=phone) for phone in given])  # type: ignore[attr-defined]
        return
    with database.write() as connection:
        if step == "index":
            index_phones(connection, int(str(given)))
            return
        place, phone = given if isinstance(given, tuple) else (given, None)
        ids = connection.scalars(select(messages.c.id).order_by(messages.c.id)).all()
        for number in ids[place : place + 1]:
            here = messages.c.id == number
            change = delete(messages) if phone is None else update(messages).values(phone=phone)
            connection.execute(change.where(here))
            phone_index.merge_after(connection, 1)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_index_and_tail_together_hold_exactly_the_matching_messages(
    database: Database, steps: Sequence[tuple[str, object]]
) -> None:
    forget_everything(database)
    for step, value in steps:
        take(database, step, value)
        with database.read() as connection:
            for fragment in FRAGMENTS:
                expected = contained(connection, fragment)
                assert held(connection, fragment, alone=True) == expected
                assert held(connection, fragment, alone=False) == expected


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_batches_index_everything(database: Database) -> None:
    ids = put_jobs(database, *[StoredJob()] * 7)
    put_jobs(database)
    with database.write() as connection:
        assert phone_index.has_new(connection)
        assert phone_index.index_some(connection, 2)
        assert not phone_index.index_some(connection, 5)
        assert not phone_index.has_new(connection)
        assert not phone_index.index_some(connection)
        only_index, tail = phone_index.holding(connection, "+20", alone=True)
        assert sorted(connection.scalars(only_index)) == ids
        assert connection.scalars(tail).all() == []
