"""Of several processes one changes a state; what is untold has no row."""

import pytest
from sqlalchemy import insert, select

from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import senders
from hudhud.maintenance.alerts.state import (
    UNTOLD,
    AlertState,
    OldColumn,
    Subject,
    exchange,
    forget,
    read_all,
)

CLAIM = AlertState(None, "logged_out", 1, 5)
TOLD = AlertState("logged_out")
ENDING = AlertState("logged_out", "connected", 1, 6)
SENDER = Subject(
    name="sender main",
    due=lambda _told: None,
    ending="connected",
    message=lambda alert: (alert, alert),
    old_column=OldColumn(senders.c.alerted_state, senders.c.name, "main", None),
)


def stored(database: Database) -> AlertState | None:
    with database.read() as connection:
        return read_all(connection).get(SENDER.name)


@pytest.mark.parametrize(
    ("before", "after"),
    [(UNTOLD, CLAIM), (CLAIM, TOLD), (CLAIM, UNTOLD), (TOLD, ENDING), (ENDING, UNTOLD)],
)
def test_a_state_is_changed_once(database: Database, before: AlertState, after: AlertState) -> None:
    if before != UNTOLD:
        assert exchange(database, SENDER, UNTOLD, before)
    assert exchange(database, SENDER, before, after)
    assert not exchange(database, SENDER, before, after)
    assert stored(database) == (None if after == UNTOLD else after)


@pytest.mark.parametrize(
    "other",
    [
        AlertState("restricted", "logged_out", 1, 5),
        AlertState(None, "restricted", 1, 5),
        AlertState(None, "logged_out", 2, 5),
        AlertState(None, "logged_out", 1, 6),
        TOLD,
    ],
)
def test_a_state_that_is_another_one_by_now_is_left_alone(
    database: Database, other: AlertState
) -> None:
    assert exchange(database, SENDER, UNTOLD, CLAIM)
    assert not exchange(database, SENDER, other, ENDING)
    assert stored(database) == CLAIM


def test_the_end_of_a_trouble_leaves_nothing_told() -> None:
    assert SENDER.state_after("logged_out") == TOLD
    assert SENDER.state_after("connected") == UNTOLD


def test_states_are_forgotten_by_their_names(database: Database) -> None:
    assert exchange(database, SENDER, UNTOLD, TOLD)
    forget(database, ["sender other"])
    assert stored(database) == TOLD
    forget(database, [SENDER.name])
    assert stored(database) is None


def test_the_version_before_takes_for_told_what_is_being_sent(database: Database) -> None:
    with database.write() as connection:
        row = {"name": "main", "channel": "linked", "state": "logged_out", "state_since": now_ms()}
        connection.execute(insert(senders).values(**row))
    for before, after, told in [
        (UNTOLD, CLAIM, "logged_out"),
        (CLAIM, TOLD, "logged_out"),
        (TOLD, ENDING, None),
        (ENDING, TOLD, "logged_out"),
        (TOLD, UNTOLD, None),
    ]:
        assert exchange(database, SENDER, before, after)
        with database.read() as connection:
            assert connection.scalar(select(senders.c.alerted_state)) == told
