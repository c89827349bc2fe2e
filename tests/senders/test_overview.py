"""A sender's card: state, uptime, and the result of the last action."""

from typing import Any

import pytest
from sqlalchemy import update

from hudhud.channels.base import State, StateReport
from hudhud.channels.linked.faults import meaning
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.senders import commands, overview, records
from hudhud.senders.commands import DONE, FAILED, STALE_MS, CommandKind, CommandResult
from hudhud.senders.overview import (
    ACTION_MS,
    NO_STATE_YET,
    NOT_TAKEN,
    PART_MS,
    UPTIME_MS,
    UPTIME_PARTS,
    ActionResult,
    SenderCard,
)
from hudhud.senders.records import LATE_MS, NOT_NEEDED, usual
from support.keys import make_key
from support.queued import NOW, put_sender

HOUR = 3_600_000
MINUTE = 60_000


def card(database: Database, *, now: int = NOW) -> SenderCard:
    with database.read() as connection:
        (found,) = overview.cards(connection, now=now)
    return found


def report(database: Database, state: State, *, now: int = NOW, **changes: Any) -> None:
    with database.write() as connection:
        records.register(connection, name="main", channel="linked", now=now)
        new = StateReport(state, **changes)
        records.report(connection, name="main", new=new, now=now)


def keep_alive(database: Database, *, now: int = NOW) -> None:
    with database.write() as connection:
        assert records.take_lease(connection, name="main", owner="m", now=now)
        records.beat(connection, name="main", now=now)


def start_again(database: Database, *, now: int) -> None:
    """Start a new process of the sender, as the worker does."""
    with database.write() as connection:
        records.note_silence(connection, name="main", now=now)
        records.report(connection, name="main", new=StateReport("starting"), now=now)
        records.beat(connection, name="main", now=now)


def ask(database: Database, kind: CommandKind, *, now: int = NOW) -> None:
    with database.write() as connection:
        commands.ask(connection, sender="main", kind=kind, now=now)


def finish(database: Database, result: CommandResult, *, now: int = NOW) -> None:
    with database.write() as connection:
        (command,) = commands.take(connection, sender="main", now=now)
        commands.finish(connection, command=command, result=result, now=now)


def test_without_senders_there_are_no_cards(database: Database) -> None:
    with database.read() as connection:
        assert overview.cards(connection, now=NOW) == []


def test_every_sender_has_a_card_in_the_order_of_names(database: Database) -> None:
    for name in ("main", "backup", "second"):
        put_sender(database, name, now=NOW)
    with database.read() as connection:
        cards = overview.cards(connection, now=NOW)
    assert [one.name for one in cards] == ["backup", "main", "second"]


def test_connected_sender_shows_its_phone_and_since_when(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR, carries="all", phone="+20100")
    keep_alive(database)
    found = card(database)
    assert (found.state, found.since, found.phone) == ("connected", NOW - HOUR, "+20100")
    assert (found.channel, found.detail) == ("linked", usual("connected"))
    assert (found.is_running, found.is_paused) == (True, False)
    assert (found.qr, found.pair_code, found.until, found.action) == (None,) * 4


def test_pairing_sender_shows_its_codes_while_it_runs(database: Database) -> None:
    ends = NOW + 20_000
    report(database, "pairing", qr="2@a", qr_expires_at=ends, pair_code="ABCD1234")
    keep_alive(database)
    found = card(database)
    assert (found.qr, found.qr_expires_at, found.pair_code) == ("2@a", ends, "ABCD1234")
    assert not found.passkey_asked
    found = card(database, now=NOW + LATE_MS)
    assert (found.state, found.qr, found.pair_code) == ("stopped", None, None)


def test_passkey_request_is_shown(database: Database) -> None:
    report(database, "pairing", detail=meaning("passkey", ""))
    keep_alive(database)
    assert card(database).passkey_asked
    assert not card(database, now=NOW + LATE_MS).passkey_asked


def test_restricted_sender_shows_the_end_of_the_restriction(database: Database) -> None:
    report(database, "restricted", carries="known", until=NOW + HOUR)
    keep_alive(database)
    assert (card(database).state, card(database).until) == ("restricted", NOW + HOUR)


def test_silent_process_counts_as_stopped_since_its_last_heartbeat(
    database: Database,
) -> None:
    report(database, "connected", now=NOW - HOUR)
    keep_alive(database, now=NOW - MINUTE)
    found = card(database)
    assert (found.state, found.is_running, found.since) == ("stopped", False, NOW - MINUTE)
    assert found.detail == usual("stopped")


def test_unneeded_sandbox_of_test_keys_says_so(
    database: Database,
) -> None:
    for name, channel in (("main", "linked"), ("main-sandbox", "sandbox")):
        put_sender(database, name, "stopped", channel=channel, now=NOW)
    later = NOW + LATE_MS
    with database.read() as connection:
        cards = overview.cards(connection, now=later)
    assert [one.detail for one in cards] == [usual("stopped"), NOT_NEEDED]
    make_key(database, "trial", is_test=True, now=NOW)
    with database.read() as connection:
        cards = overview.cards(connection, now=later)
    assert [one.detail for one in cards] == [usual("stopped")] * 2


def test_stopped_sandbox_alone_has_the_usual_detail(database: Database) -> None:
    put_sender(database, "main-sandbox", "stopped", channel="sandbox", now=NOW)
    with database.read() as connection:
        (found,) = overview.cards(connection, now=NOW + LATE_MS)
    assert found.detail == usual("stopped")


def test_a_sender_without_a_supervisor_counts_as_stopped(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    keep_alive(database)
    with database.write() as connection:
        records.drop_lease(connection, name="main", owner="m")
    assert card(database).state == "stopped"


def test_orderly_stopped_sender_is_stopped_since_then(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    keep_alive(database, now=NOW - 1000)
    report(database, "stopped", now=NOW - 900)
    assert (card(database).state, card(database).since) == ("stopped", NOW - 900)


def test_a_sender_that_never_ran_is_stopped(database: Database) -> None:
    with database.write() as connection:
        records.register(connection, name="main", channel="linked", now=NOW)
    found = card(database)
    assert (found.state, found.since, found.detail) == ("stopped", NOW, usual("stopped"))
    assert (found.uptime, found.uptime_share) == ((None,) * UPTIME_PARTS, None)
    assert found.last_sent_at is None


def test_a_connected_sender_can_be_paused(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    keep_alive(database)
    with database.write() as connection:
        records.pause(connection, name="main", now=NOW - MINUTE)
    found = card(database)
    assert (found.state, found.since, found.is_paused) == ("paused", NOW - MINUTE, True)
    with database.write() as connection:
        records.resume(connection, name="main")
    assert (card(database).state, card(database).since) == ("connected", NOW - HOUR)


@pytest.mark.parametrize("state", ["pairing", "reconnecting", "logged_out"])
def test_fault_of_a_paused_sender_is_shown_before_the_pause(
    database: Database, state: State
) -> None:
    report(database, state)
    keep_alive(database)
    with database.write() as connection:
        records.pause(connection, name="main", now=NOW)
    assert (card(database).state, card(database).is_paused) == (state, True)
    assert card(database, now=NOW + LATE_MS).state == "stopped"


def test_reason_of_a_logout_is_kept_until_a_phone_is_linked_again(database: Database) -> None:
    reason = meaning("logged_out", "")
    report(database, "connected", now=NOW - HOUR, carries="all")
    assert (card(database).lost, card(database).lost_at) == (None, None)
    report(database, "logged_out", now=NOW - MINUTE, detail=reason)
    start_again(database, now=NOW)
    report(database, "pairing", now=NOW, qr="2@a")
    report(database, "logged_out", now=NOW, detail=meaning("session_gone", ""))
    assert (card(database).lost, card(database).lost_at) == (reason, NOW - MINUTE)
    report(database, "connected", now=NOW, carries="all")
    assert (card(database).lost, card(database).lost_at) == (None, None)


def test_result_of_an_action_leaves_with_the_next_state(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "reload", now=NOW - 9000)
    finish(database, CommandResult(DONE), now=NOW - 8000)
    report(database, "reconnecting", now=NOW - 7000)
    report(database, "connected", now=NOW - 6000)
    keep_alive(database)
    assert card(database).action == ActionResult("reload", "done", NOW - 9000, seconds=3.0)
    report(database, "logged_out", now=NOW - 5000)
    assert card(database).action is None


def test_failure_of_an_action_is_shown_until_the_sender_is_connected(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "logout", now=NOW - 9000)
    finish(database, CommandResult(FAILED, other("No answer.")), now=NOW - 8000)
    report(database, "logged_out", now=NOW - 7000)
    keep_alive(database)
    assert card(database).action == ActionResult(
        "logout", "failed", NOW - 9000, other("No answer.")
    )
    report(database, "connected", now=NOW - 6000)
    assert card(database).action is None


def test_card_shows_the_time_of_the_last_sent_code(database: Database) -> None:
    report(database, "connected", now=NOW)
    with database.write() as connection:
        records.note_sent(connection, name="main", at=NOW - 10)
    assert card(database).last_sent_at == NOW - 10


def test_connected_day_is_full_uptime(database: Database) -> None:
    report(database, "connected", now=NOW - 3 * UPTIME_MS)
    keep_alive(database)
    found = card(database)
    assert (found.uptime, found.uptime_share) == ((1.0,) * UPTIME_PARTS, 1.0)


def test_uptime_share_counts_time_not_half_hours(database: Database) -> None:
    begin = NOW - 2 * PART_MS - 15_000
    report(database, "connected", now=begin)
    report(database, "reconnecting", now=begin + PART_MS)
    report(database, "connected", now=begin + PART_MS + 15_000)
    keep_alive(database)
    assert card(database).uptime_share == 2 * PART_MS / (2 * PART_MS + 15_000)


def test_uptime_begins_at_the_first_connection(database: Database) -> None:
    report(database, "pairing", now=NOW - 9 * PART_MS)
    keep_alive(database)
    assert (card(database).uptime, card(database).uptime_share) == ((None,) * UPTIME_PARTS, None)
    report(database, "connected", now=NOW - 3 * PART_MS)
    keep_alive(database)
    found = card(database)
    assert found.uptime == (*(None,) * (UPTIME_PARTS - 3), 1.0, 1.0, 1.0)
    assert found.uptime_share == 1.0


def test_half_hour_shows_its_connected_share(database: Database) -> None:
    begin = NOW - UPTIME_MS
    report(database, "connected", now=begin - 5)
    report(database, "reconnecting", now=begin + PART_MS // 4)
    report(database, "connected", now=begin + PART_MS // 2)
    report(database, "restricted", now=begin + 2 * PART_MS)
    report(database, "connected", now=begin + 4 * PART_MS)
    keep_alive(database)
    found = card(database)
    assert found.uptime[:5] == (0.75, 1.0, 0.0, 0.0, 1.0)
    assert found.uptime_share == pytest.approx((UPTIME_PARTS - 2.25) / UPTIME_PARTS)


def test_partly_known_half_hour_counts_its_known_part(database: Database) -> None:
    report(database, "connected", now=NOW - PART_MS // 2)
    report(database, "reconnecting", now=NOW - PART_MS // 4)
    keep_alive(database)
    assert card(database).uptime[-2:] == (None, 0.5)


def test_share_of_less_than_an_hour_is_not_shown(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR + 1)
    keep_alive(database)
    assert (card(database).uptime[-1], card(database).uptime_share) == (1.0, None)
    keep_alive(database, now=NOW + 1)
    assert card(database, now=NOW + 1).uptime_share == 1.0


def test_downtime_counts_although_the_first_connection_is_no_longer_recorded(
    database: Database,
) -> None:
    report(database, "connected", now=NOW - 9 * UPTIME_MS, carries="all", phone="+20100")
    report(database, "reconnecting", now=NOW - 8 * UPTIME_MS)
    keep_alive(database)
    with database.write() as connection:
        records.purge_states(connection, before=NOW - UPTIME_MS, limit=9)
    assert card(database).uptime_share == 0.0


def test_sandbox_has_no_uptime(database: Database) -> None:
    put_sender(database, now=NOW - 2 * HOUR)
    assert (card(database).uptime, card(database).uptime_share) == ((None,) * UPTIME_PARTS, None)


def test_dead_process_is_down_since_its_last_heartbeat(database: Database) -> None:
    report(database, "connected", now=NOW - 2 * UPTIME_MS)
    keep_alive(database, now=NOW - 10 * PART_MS)
    found = card(database)
    assert found.uptime == (*(1.0,) * (UPTIME_PARTS - 10), *(0.0,) * 10)
    assert found.uptime_share == pytest.approx((UPTIME_PARTS - 10) / UPTIME_PARTS)


def test_process_that_died_before_the_day_was_never_up(database: Database) -> None:
    report(database, "connected", now=NOW - 3 * UPTIME_MS)
    keep_alive(database, now=NOW - 2 * UPTIME_MS)
    assert card(database).uptime == (0.0,) * UPTIME_PARTS


def test_downtime_of_a_dead_process_stays_in_the_history(database: Database) -> None:
    report(database, "connected", now=NOW - 2 * UPTIME_MS)
    keep_alive(database, now=NOW - 10 * PART_MS)
    start_again(database, now=NOW - 4 * PART_MS)
    report(database, "connected", now=NOW - 2 * PART_MS)
    keep_alive(database)
    assert card(database).uptime[-12:] == (1.0, 1.0, *(0.0,) * 8, 1.0, 1.0)


def test_process_replaced_at_once_leaves_only_its_start_as_a_gap(
    database: Database,
) -> None:
    report(database, "connected", now=NOW - 2 * UPTIME_MS)
    keep_alive(database, now=NOW - PART_MS - 3000)
    start_again(database, now=NOW - PART_MS)
    report(database, "connected", now=NOW - PART_MS // 2)
    keep_alive(database)
    assert card(database).uptime[-2:] == (1.0, 0.5)


def test_orderly_stop_after_the_last_heartbeat_is_counted_once(
    database: Database,
) -> None:
    report(database, "connected", now=NOW - 2 * UPTIME_MS)
    keep_alive(database, now=NOW - PART_MS // 2 - 3000)
    report(database, "stopped", now=NOW - PART_MS // 2)
    assert card(database).uptime[-1] == 0.5


def test_each_sender_has_its_own_history(database: Database) -> None:
    put_sender(database, "other", channel="linked", now=NOW - 2 * PART_MS)
    report(database, "connected", now=NOW - PART_MS)
    keep_alive(database)
    with database.read() as connection:
        main, other = overview.cards(connection, now=NOW)
    assert main.uptime[-3:] == (None, None, 1.0)
    assert other.uptime[-3:] == (None, 0.0, 0.0)


def test_pending_action_is_shown_as_asked(database: Database) -> None:
    report(database, "connected")
    ask(database, "reload")
    asked = ActionResult("reload", "asked", NOW)
    assert card(database).action == asked
    with database.write() as connection:
        commands.take(connection, sender="main", now=NOW)
    assert card(database, now=NOW + STALE_MS).action == asked


def test_action_not_taken_in_time_has_failed(database: Database) -> None:
    report(database, "connected")
    ask(database, "logout")
    late = NOW + STALE_MS + 1
    assert card(database, now=late).action == ActionResult("logout", "failed", NOW, NOT_TAKEN)


def test_failed_action_gives_its_reason(database: Database) -> None:
    report(database, "pairing")
    ask(database, "pair_phone")
    finish(database, CommandResult(FAILED, other("This number cannot be paired.")))
    why = other("This number cannot be paired.")
    expected = ActionResult("pair_phone", "failed", NOW, why)
    assert card(database).action == expected


def test_pairing_by_phone_shows_its_code(database: Database) -> None:
    report(database, "pairing")
    ask(database, "pair_phone")
    finish(database, CommandResult(DONE, pair_code="ABCD1234"), now=NOW + 500)
    assert card(database).action == ActionResult("pair_phone", "done", NOW)


def test_only_the_last_action_is_shown(database: Database) -> None:
    report(database, "pairing")
    ask(database, "pair_phone")
    finish(database, CommandResult(DONE, pair_code="ABCD1234"))
    ask(database, "reload", now=NOW + 5)
    assert card(database).action == ActionResult("reload", "asked", NOW + 5)


def test_reload_is_done_once_the_sender_has_a_stable_state(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "reload")
    finish(database, CommandResult(DONE, other("It starts anew.")), now=NOW + 100)
    assert card(database).action == ActionResult("reload", "asked", NOW)
    start_again(database, now=NOW + 400)
    assert card(database, now=NOW + 1000).action == ActionResult("reload", "asked", NOW)
    report(database, "connected", now=NOW + 2500)
    done = ActionResult("reload", "done", NOW, seconds=2.5)
    assert card(database, now=NOW + 3000).action == done


def test_later_states_do_not_change_the_result_of_a_reload(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "reload")
    finish(database, CommandResult(DONE, other("It starts anew.")), now=NOW + 100)
    start_again(database, now=NOW + 400)
    report(database, "connected", now=NOW + 2500)
    done = ActionResult("reload", "done", NOW, seconds=2.5)
    report(database, "reconnecting", now=NOW + 5 * MINUTE)
    assert card(database, now=NOW + 5 * MINUTE + 1).action == done
    report(database, "connected", now=NOW + 6 * MINUTE)
    assert card(database, now=NOW + 6 * MINUTE + 1).action == done


def test_reload_fails_if_the_sender_does_not_return_in_time(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "reload")
    finish(database, CommandResult(DONE, other("It starts anew.")), now=NOW + 100)
    start_again(database, now=NOW + 400)
    assert card(database, now=NOW + 100 + ACTION_MS).action == ActionResult("reload", "asked", NOW)
    failed = ActionResult("reload", "failed", NOW, NO_STATE_YET)
    assert card(database, now=NOW + 101 + ACTION_MS).action == failed


def test_logout_is_done_once_there_is_a_qr_code(database: Database) -> None:
    report(database, "connected", now=NOW - HOUR)
    ask(database, "logout")
    finish(database, CommandResult(DONE, other("Logged out.")), now=NOW + 100)
    report(database, "logged_out", now=NOW + 200)
    assert card(database, now=NOW + 300).action == ActionResult("logout", "asked", NOW)
    start_again(database, now=NOW + 1000)
    report(database, "pairing", now=NOW + 3000, qr="2@a")
    done = ActionResult("logout", "done", NOW, seconds=3.0)
    assert card(database, now=NOW + 4000).action == done


def test_record_of_the_first_version_has_a_card(database: Database) -> None:
    put_sender(database, now=NOW)
    with database.write() as connection:
        connection.execute(update(tables.senders).values(detail=None))
    assert card(database).detail == usual("connected")
