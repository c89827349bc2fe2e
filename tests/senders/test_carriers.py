"""What senders can carry: how many there are, and what restricts all of them."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from hudhud.channels.base import StateReport
from hudhud.db.engine import Database
from hudhud.senders import records
from hudhud.senders.carriers import GONE_MS, Carriers, Restriction, carriers
from hudhud.senders.records import LATE_MS, LEASE_MS
from support.queued import NOW, put_sender

UNTIL = NOW + 600_000
RESTRICTED = StateReport("restricted", "known", until=UNTIL)


def put(
    database: Database, report: StateReport = RESTRICTED, name: str = "main", *, now: int = NOW
) -> None:
    """Insert a running sender with a last report."""
    put_sender(database, name, channel="linked", now=now)
    with database.write() as connection:
        records.report(connection, name=name, new=report, now=now)


def found(database: Database, *, now: int = NOW) -> Carriers:
    with database.read() as connection:
        return carriers(connection, channel="linked", now=now)


def test_senders_are_counted_by_channel_and_lease(database: Database) -> None:
    assert found(database) == Carriers(0, None)
    put(database, StateReport("connected", "all"), "a")
    put(database, StateReport("reconnecting"), "b", now=NOW - LEASE_MS + 1)
    put(database, StateReport("stopped"), "c", now=NOW - LEASE_MS)
    put_sender(database, "d", channel="sandbox", now=NOW)
    assert found(database) == Carriers(2, None)


def test_restriction_of_all_senders_lasts_until_the_first_may_write_to_strangers(
    database: Database,
) -> None:
    put(database, StateReport("restricted", until=UNTIL + 1), "banned")
    assert found(database).restriction == Restriction(UNTIL + 1, reaches_known=False)
    put(database)
    assert found(database) == Carriers(2, Restriction(UNTIL, reaches_known=True))


@pytest.mark.parametrize(
    "other",
    [
        StateReport("connected", "all"),
        StateReport("starting"),
        StateReport("pairing"),
        StateReport("reconnecting"),
        StateReport("logged_out"),
        StateReport("outdated"),
        StateReport("replaced"),
        StateReport("stopped"),
        StateReport("restricted", "known"),
    ],
    ids=lambda report: report.state,
)
def test_sender_that_may_carry_again_at_an_unknown_time_lifts_the_restriction(
    database: Database, other: StateReport
) -> None:
    put(database, name="first")
    put(database, other)
    assert found(database).restriction is None


def pause(connection: Connection) -> None:
    records.pause(connection, name="main", now=NOW)


def lose_lease(connection: Connection) -> None:
    records.drop_lease(connection, name="main", owner="m")


def miss_heartbeats(connection: Connection) -> None:
    records.beat(connection, name="main", now=NOW - LATE_MS)


@pytest.mark.parametrize("change", [pause, lose_lease, miss_heartbeats])
def test_paused_and_offline_senders_are_not_restricted(
    database: Database, change: Callable[[Connection], None]
) -> None:
    put(database)
    with database.write() as connection:
        change(connection)
    assert found(database).restriction is None


def test_sender_that_is_gone_for_a_day_does_not_count(database: Database) -> None:
    put(database)
    put(database, StateReport("stopped"), "renamed", now=NOW - GONE_MS)
    assert found(database).restriction == Restriction(UNTIL, reaches_known=True)
    put(database, StateReport("stopped"), "away", now=NOW - GONE_MS + 1)
    assert found(database).restriction is None
