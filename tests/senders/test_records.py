"""The records of senders: leases, states, pace."""

import threading
from typing import get_args

import pytest
from sqlalchemy import Row, select

from hudhud.channels.base import State, StateReport
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import sender_states
from hudhud.senders import records
from hudhud.senders.records import LATE_MS, LEASE_MS, usual
from support.queued import NOW


def register(database: Database, name: str = "main", channel: str = "linked") -> None:
    with database.write() as connection:
        records.register(connection, name=name, channel=channel, now=NOW)


def take(database: Database, owner: str, *, now: int = NOW, name: str = "main") -> bool:
    with database.write() as connection:
        return records.take_lease(connection, name=name, owner=owner, now=now)


def report(database: Database, new: StateReport, *, now: int = NOW) -> None:
    with database.write() as connection:
        records.report(connection, name="main", new=new, now=now)


def found(database: Database, name: str = "main") -> Row[tuple[object, ...]]:
    with database.read() as connection:
        row = records.find(connection, name)
    assert row is not None
    return row


def test_sender_is_registered_once_and_keeps_its_data(database: Database) -> None:
    register(database)
    report(database, StateReport("connected", "all", phone="+20100", device="d"))
    register(database)
    row = found(database)
    assert (row.channel, row.state, row.phone) == ("linked", "connected", "+20100")


def test_unregistered_sender_does_not_exist(database: Database) -> None:
    with database.read() as connection:
        assert records.find(connection, "nobody") is None
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


def test_late_machine_renews_its_lease_unless_another_took_it(
    database: Database,
) -> None:
    register(database)
    take(database, "one")
    assert take(database, "one", now=NOW + 9 * LEASE_MS)


def test_released_lease_can_be_taken_at_once(database: Database) -> None:
    register(database)
    take(database, "one")
    with database.write() as connection:
        records.drop_lease(connection, name="main", owner="two")
    assert not take(database, "two")
    with database.write() as connection:
        records.drop_lease(connection, name="main", owner="one")
    assert take(database, "two")


def test_only_one_of_simultaneous_machines_gets_the_lease(database: Database) -> None:
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


def test_state_without_a_detail_gets_its_usual_sentence(database: Database) -> None:
    register(database)
    for state in get_args(State):
        report(database, StateReport(state))
        assert found(database).detail == usual(state).english()
    report(database, StateReport("pairing", detail=other("Scan it."), qr="2@a", pair_code="ABCD"))
    row = found(database)
    assert (row.detail, row.qr, row.pair_code) == ("Scan it.", "2@a", "ABCD")


def test_pairing_codes_are_cleared_with_the_state(database: Database) -> None:
    register(database)
    report(database, StateReport("pairing", qr="2@a", pair_code="ABCD"))
    report(database, StateReport("connected", "all"))
    row = found(database)
    assert (row.qr, row.pair_code) == (None, None)


def test_start_of_a_state_is_kept_while_it_lasts(database: Database) -> None:
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
        records.forget_device(connection, name="main")
    row = found(database)
    assert (row.phone, row.device) == (None, None)


def test_the_end_of_a_restriction_is_kept_with_the_state(database: Database) -> None:
    register(database)
    report(database, StateReport("restricted", "known", until=NOW + 60_000))
    assert found(database).until == NOW + 60_000
    report(database, StateReport("connected", "all"))
    assert found(database).until is None


def test_turn_survives_a_restart(database: Database) -> None:
    register(database)
    assert found(database).next_send_at == 0
    with database.write() as connection:
        records.plan_next_send(connection, name="main", at=NOW + 5)
    assert found(database).next_send_at == NOW + 5


@pytest.mark.parametrize(
    ("lease", "beat", "running"),
    [(True, 0, True), (True, LATE_MS, False), (False, 0, False), (True, None, False)],
)
def test_sender_runs_while_it_has_a_lease_and_a_heartbeat(
    database: Database, *, lease: bool, beat: int | None, running: bool
) -> None:
    register(database)
    if lease:
        take(database, "m")
    if beat is not None:
        with database.write() as connection:
            records.beat(connection, name="main", now=NOW - beat)
    assert records.is_running(found(database), now=NOW) is running


def history(database: Database, name: str = "main") -> list[tuple[str, int]]:
    columns = select(sender_states.c.state, sender_states.c.at)
    ordered = columns.where(sender_states.c.sender == name).order_by(sender_states.c.id)
    with database.read() as connection:
        return [(row.state, row.at) for row in connection.execute(ordered)]


def test_qr_code_shows_when_the_next_one_comes(database: Database) -> None:
    register(database)
    report(database, StateReport("pairing", qr="2@a", qr_expires_at=NOW + 20_000))
    assert found(database).qr_expires_at == NOW + 20_000
    report(database, StateReport("connected", "all"))
    assert found(database).qr_expires_at is None


def test_each_change_of_state_is_recorded_once(database: Database) -> None:
    register(database)
    register(database, "other")
    report(database, StateReport("starting"), now=NOW + 1)
    report(database, StateReport("pairing", qr="2@a"), now=NOW + 2)
    report(database, StateReport("pairing", qr="2@b"), now=NOW + 3)
    report(database, StateReport("connected", "all"), now=NOW + 4)
    assert history(database) == [
        ("starting", NOW + 1),
        ("pairing", NOW + 2),
        ("connected", NOW + 4),
    ]
    assert history(database, "other") == []


def note_silence(database: Database, *, now: int) -> None:
    with database.write() as connection:
        records.note_silence(connection, name="main", now=now)


def test_silence_is_recorded_as_a_stop_at_the_last_heartbeat(database: Database) -> None:
    register(database)
    report(database, StateReport("connected", "all"))
    with database.write() as connection:
        records.beat(connection, name="main", now=NOW + 5)
    note_silence(database, now=NOW + 5 + LATE_MS)
    assert history(database) == [("connected", NOW)]
    note_silence(database, now=NOW + 6 + LATE_MS)
    assert history(database) == [("connected", NOW), ("stopped", NOW + 5)]


def test_orderly_stop_or_missing_heartbeat_is_no_silence(database: Database) -> None:
    register(database)
    report(database, StateReport("starting"))
    note_silence(database, now=NOW + 9 * LATE_MS)
    report(database, StateReport("stopped"), now=NOW + 1)
    with database.write() as connection:
        records.beat(connection, name="main", now=NOW)
    note_silence(database, now=NOW + 9 * LATE_MS)
    assert history(database) == [("starting", NOW), ("stopped", NOW + 1)]


def test_old_states_are_deleted_except_the_last_one(database: Database) -> None:
    for name in ("main", "other"):
        register(database, name)
    report(database, StateReport("starting"), now=NOW)
    report(database, StateReport("connected", "all"), now=NOW + 1)
    with database.write() as connection:
        new = StateReport("starting")
        records.report(connection, name="other", new=new, now=NOW)
        records.report(connection, name="other", new=StateReport("pairing"), now=NOW + 10)

    def purge(before: int) -> None:
        with database.write() as connection:
            records.purge_states(connection, before=before, limit=9)

    purge(NOW)
    assert len(history(database)) == len(history(database, "other")) == 2
    purge(NOW + 1)
    assert history(database) == [("connected", NOW + 1)]
    purge(NOW + 9 * LEASE_MS)
    assert history(database) == [("connected", NOW + 1)]
    assert history(database, "other") == [("pairing", NOW + 10)]


def pause(database: Database, name: str = "main", *, now: int = NOW) -> bool:
    with database.write() as connection:
        return records.pause(connection, name=name, now=now)


def resume(database: Database, name: str = "main") -> bool:
    with database.write() as connection:
        return records.resume(connection, name=name)


def is_paused(database: Database, name: str = "main") -> bool:
    with database.read() as connection:
        return records.is_paused(connection, name=name)


def test_a_sender_is_paused_until_it_is_resumed(database: Database) -> None:
    register(database)
    register(database, "other")
    assert not is_paused(database)
    assert pause(database, now=NOW + 1)
    assert is_paused(database)
    assert not is_paused(database, "other")
    assert found(database).paused_at == NOW + 1
    assert resume(database)
    assert not is_paused(database)
    assert found(database).paused_at is None


def test_second_pause_or_resume_reports_no_change(database: Database) -> None:
    register(database)
    assert not resume(database)
    assert [pause(database, now=NOW), pause(database, now=NOW + 9)] == [True, False]
    assert found(database).paused_at == NOW
    assert [resume(database), resume(database)] == [True, False]


def test_unregistered_sender_cannot_be_paused(database: Database) -> None:
    assert not pause(database, "nobody")
    assert not resume(database, "nobody")
    assert not is_paused(database, "nobody")


def test_pause_survives_state_changes_and_restarts(database: Database) -> None:
    register(database)
    pause(database)
    for state in get_args(State):
        report(database, StateReport(state))
    register(database)
    assert is_paused(database)
