"""The records of senders: leases, states, pace."""

import threading

import pytest
from sqlalchemy import Row

from hudhud import senders
from hudhud.db.engine import Database
from hudhud.senders import LATE_MS, LEASE_MS, SENTENCES, StateReport
from support.queued import NOW


def register(database: Database, name: str = "main", channel: str = "linked") -> None:
    with database.write() as connection:
        senders.register(connection, name=name, channel=channel, now=NOW)


def take(database: Database, owner: str, *, now: int = NOW, name: str = "main") -> bool:
    with database.write() as connection:
        return senders.take_lease(connection, name=name, owner=owner, now=now)


def report(database: Database, new: StateReport, *, now: int = NOW) -> None:
    with database.write() as connection:
        senders.report(connection, name="main", new=new, now=now)


def found(database: Database, name: str = "main") -> Row[tuple[object, ...]]:
    with database.read() as connection:
        row = senders.find(connection, name)
    assert row is not None
    return row


def test_a_sender_is_registered_once_and_keeps_what_is_known_of_it(database: Database) -> None:
    register(database)
    report(database, StateReport("connected", "all", phone="+20100", device="d"))
    register(database)
    row = found(database)
    assert (row.channel, row.state, row.phone) == ("linked", "connected", "+20100")


def test_a_sender_that_nobody_registered_is_not_there(database: Database) -> None:
    with database.read() as connection:
        assert senders.find(connection, "nobody") is None
    assert not take(database, "m", name="nobody")


def test_a_lease_belongs_to_one_machine_until_it_ends(database: Database) -> None:
    register(database)
    assert take(database, "one")
    assert not take(database, "two")
    assert not take(database, "two", now=NOW + LEASE_MS - 1)
    assert take(database, "two", now=NOW + LEASE_MS)
    assert not take(database, "one", now=NOW + LEASE_MS)


def test_a_machine_renews_its_lease(database: Database) -> None:
    register(database)
    take(database, "one")
    assert take(database, "one", now=NOW + LEASE_MS - 1)
    assert not take(database, "two", now=NOW + LEASE_MS)


def test_a_machine_that_comes_back_late_renews_unless_another_was_faster(
    database: Database,
) -> None:
    register(database)
    take(database, "one")
    assert take(database, "one", now=NOW + 9 * LEASE_MS)


def test_a_lease_that_is_given_back_can_be_taken_at_once(database: Database) -> None:
    register(database)
    take(database, "one")
    with database.write() as connection:
        senders.drop_lease(connection, name="main", owner="two")
    assert not take(database, "two")
    with database.write() as connection:
        senders.drop_lease(connection, name="main", owner="one")
    assert take(database, "two")


def test_of_machines_that_grasp_at_once_one_gets_the_lease(database: Database) -> None:
    register(database)
    start = threading.Barrier(6)
    got: list[str] = []

    def grasp(owner: str) -> None:
        start.wait()
        if take(database, owner):
            got.append(owner)

    threads = [threading.Thread(target=grasp, args=(f"m{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert found(database).lease_owner == got[0]


def test_a_state_carries_its_sentence_where_no_detail_is_given(database: Database) -> None:
    register(database)
    for state in SENTENCES:
        report(database, StateReport(state))
        assert found(database).detail == SENTENCES[state]
    report(database, StateReport("pairing", detail="Scan it.", qr="2@a", pair_code="ABCD"))
    row = found(database)
    assert (row.detail, row.qr, row.pair_code) == ("Scan it.", "2@a", "ABCD")


def test_codes_for_pairing_go_with_the_state(database: Database) -> None:
    register(database)
    report(database, StateReport("pairing", qr="2@a", pair_code="ABCD"))
    report(database, StateReport("connected", "all"))
    row = found(database)
    assert (row.qr, row.pair_code) == (None, None)


def test_since_when_a_state_lasts_is_kept_while_it_lasts(database: Database) -> None:
    register(database)
    report(database, StateReport("reconnecting"), now=NOW + 1)
    report(database, StateReport("reconnecting", failed_reconnects=2), now=NOW + 2)
    row = found(database)
    assert (row.state_since, row.failed_reconnects) == (NOW + 1, 2)
    report(database, StateReport("connected", "all"), now=NOW + 3)
    assert found(database).state_since == NOW + 3


def test_the_linked_phone_is_kept_until_the_device_is_forgotten(database: Database) -> None:
    register(database)
    report(database, StateReport("connected", "all", phone="+20100", device="d"))
    report(database, StateReport("reconnecting"))
    row = found(database)
    assert (row.phone, row.device) == ("+20100", "d")
    with database.write() as connection:
        senders.forget_device(connection, name="main")
    row = found(database)
    assert (row.phone, row.device) == (None, None)


def test_the_end_of_a_restriction_is_kept_with_the_state(database: Database) -> None:
    register(database)
    report(database, StateReport("restricted", "known", until=NOW + 60_000))
    assert found(database).until == NOW + 60_000
    report(database, StateReport("connected", "all"))
    assert found(database).until is None


def test_the_turn_is_kept_over_a_restart(database: Database) -> None:
    register(database)
    assert found(database).next_send_at == 0
    with database.write() as connection:
        senders.plan_next_send(connection, name="main", at=NOW + 5)
    assert found(database).next_send_at == NOW + 5


def test_senders_at_work_are_counted_by_channel_and_lease(database: Database) -> None:
    for name, channel in (("a", "linked"), ("b", "linked"), ("c", "sandbox"), ("d", "linked")):
        register(database, name, channel)
    take(database, "m", name="a")
    take(database, "m", name="b", now=NOW - LEASE_MS)
    take(database, "m", name="c")
    with database.read() as connection:
        assert senders.count_alive(connection, channel="linked", now=NOW) == 1
        assert senders.count_alive(connection, channel="sandbox", now=NOW) == 1
        assert senders.count_alive(connection, channel="cloud", now=NOW) == 0


@pytest.mark.parametrize(
    ("lease", "beat", "running"),
    [(True, 0, True), (True, LATE_MS, False), (False, 0, False), (True, None, False)],
)
def test_a_sender_runs_while_it_is_held_and_beats(
    database: Database, *, lease: bool, beat: int | None, running: bool
) -> None:
    register(database)
    if lease:
        take(database, "m")
    if beat is not None:
        with database.write() as connection:
            senders.beat(connection, name="main", now=NOW - beat)
    assert senders.is_running(found(database), now=NOW) is running
