"""One running sender: real threads and database, with a scripted channel."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from hudhud.channels.base import Account, Receipt, Restart, StateReport, Written
from hudhud.core.clock import now_ms
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.messages import contacts, queue
from hudhud.messages.outcomes import Claimed
from hudhud.senders import records
from hudhud.senders.commands import DONE, FAILED, CommandResult
from hudhud.worker.pace import Pace
from hudhud.worker.timing import Timing
from hudhud.worker.worker import LOST_EXIT_CODE, RESTART_EXIT_CODE
from support.queued import PHONE, change, put_sender, stored, submit
from support.running_worker import MACHINE, QUICK, SECONDS, RunningWorker
from support.scripted_channel import ScriptedChannel
from support.services import wait_until

pytestmark = pytest.mark.slow

HOLDER = f"main@{MACHINE}"
HOUR = 3_600_000
OFFLINE = StateReport("reconnecting")
CONNECTED = StateReport("connected", "all")


@pytest.fixture
def channel() -> ScriptedChannel:
    return ScriptedChannel()


both_ways = pytest.mark.parametrize("start", [1, 200], indirect=True, ids=["one", "rounds"])


@pytest.fixture
def start(
    database: Database, channel: ScriptedChannel, request: pytest.FixtureRequest
) -> Iterator[Callable[..., RunningWorker]]:
    """Start workers; check after the test that none of their threads remains."""
    before = set(threading.enumerate())
    runs: list[RunningWorker] = []
    put_sender(database, "main", "stopped")

    def begin(
        pace: Pace | None = None, used: Database = database, timing: Timing = QUICK
    ) -> RunningWorker:
        batch = getattr(request, "param", 1)
        runs.append(RunningWorker(used, channel, pace, timing, largest_batch=batch))
        return runs[-1]

    yield begin
    for run in runs:
        run.stop()
    wait_until(lambda: set(threading.enumerate()) <= before, SECONDS, "the threads to end")


StartWorker = Callable[..., RunningWorker]


@both_ways
def test_waiting_messages_are_sent_and_recorded(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    queued = submit(database, 5, now=now_ms())
    run = start()
    rows = [run.wait_for(message, "sent") for message in queued]
    assert [row.provider_message_id for row in rows] == [f"p-{n}" for n in range(1, 6)]
    assert len(channel.sent) == 5


def test_messages_accepted_later_are_sent(database: Database, start: StartWorker) -> None:
    run = start()
    run.emit(CONNECTED)
    for _ in range(3):
        (message,) = submit(database, now=now_ms())
        run.wait_for(message, "sent")


def test_no_message_is_claimed_while_the_channel_cannot_send(
    database: Database,
    channel: ScriptedChannel,
    start: StartWorker,
) -> None:
    channel.first_state = OFFLINE
    run = start(timing=replace(QUICK, beat=0.1))
    (message,) = submit(database, now=now_ms())
    wait_until(lambda: run.sender().state == "reconnecting", SECONDS, "the state")
    beat = run.sender().heartbeat_at
    wait_until(lambda: run.sender().heartbeat_at > beat, SECONDS, "another heartbeat")
    row = stored(database, message)
    assert (row.status, row.attempts) == ("queued", 0)
    run.emit(CONNECTED)
    run.wait_for(message, "sent")


@both_ways
def test_a_restricted_sender_serves_people_who_wrote_first(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    channel.first_state = StateReport("restricted", "known", until=now_ms() + HOUR)
    run = start()
    (stranger,) = submit(database, now=now_ms())
    (known,) = submit(database, phone="+201001234568", now=now_ms())
    with database.write() as connection:
        contacts.remember_wrote(connection, phone="+201001234568", at=now_ms(), proves=True)
        database.notify(connection)
    run.wait_for(known, "sent")
    assert stored(database, stranger).status == "queued"


def test_message_probes_a_restriction_after_its_end(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    (stranger,) = submit(database, now=now_ms())
    channel.first_state = StateReport("restricted", "known", until=now_ms() - 1)
    start().wait_for(stranger, "sent")


def test_first_message_is_sent_at_once_and_the_next_after_a_gap(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    first, second = submit(database, 2, now=now_ms())
    before = now_ms()
    run = start(Pace(HOUR, HOUR))
    run.wait_for(first, "sent")
    wait_until(lambda: run.sender().next_send_at >= before + HOUR, SECONDS, "the plan")
    run.stop()
    assert stored(database, second).status == "queued"
    assert len(channel.sent) == 1


def test_turn_survives_a_restart(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    submit(database, now=now_ms())
    run = start(Pace(HOUR, HOUR, next_send_at=now_ms() + HOUR))
    run.emit(CONNECTED)
    assert run.stop() == 0
    assert channel.sent == []


@both_ways
def test_messages_of_the_previous_process_are_sent_at_once(
    database: Database, start: StartWorker
) -> None:
    mine, others = submit(database, 2, now=now_ms())
    for message, sender in ((mine, HOLDER), (others, "other")):
        lease = now_ms() + HOUR
        change(
            database, message, status="sending", sender=sender, attempts=1, lease_expires_at=lease
        )
    run = start()
    run.wait_for(mine, "sent")
    assert stored(database, others).sender == "other"


@both_ways
def test_receipts_and_messages_from_people_are_recorded(
    database: Database, start: StartWorker
) -> None:
    (message,) = submit(database, now=now_ms())
    run = start()
    run.wait_for(message, "sent")
    run.emit(Receipt("p-1", "delivered", now_ms()))
    run.emit(Receipt("p-1", "read", now_ms()))
    run.emit(Written("m-1", Account(PHONE, None), "thank you", now_ms()))
    run.wait_for(message, "read")

    def wrote() -> bool:
        with database.read() as connection:
            return contacts.has_written(connection, phone=PHONE)

    wait_until(wrote, SECONDS, "the message")


def test_state_and_heartbeat_are_recorded(start: StartWorker) -> None:
    before = now_ms()
    run = start()
    run.emit(CONNECTED)
    assert run.sender().state == "connected"
    wait_until(lambda: run.sender().heartbeat_at >= before, SECONDS, "a heartbeat")
    assert run.stop() == 0
    assert run.sender().state == "stopped"
    assert run.channel.stopped


@both_ways
def test_stop_waits_for_a_send_in_progress_and_records_it(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        sending.set()
        assert go_on.wait(SECONDS)

    channel.on_send = hold
    (message,) = submit(database, now=now_ms())
    run = start()
    assert sending.wait(SECONDS)
    threading.Timer(0.2, go_on.set).start()
    assert run.stop() == 0
    assert stored(database, message).status == "sent"


@both_ways
def test_hanging_send_returns_its_message_at_the_stop(
    database: Database,
    channel: ScriptedChannel,
    start: StartWorker,
) -> None:
    sending, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        sending.set()
        go_on.wait(SECONDS)

    channel.on_send = hang
    (message,) = submit(database, now=now_ms())
    run = start(timing=replace(QUICK, last_send=0.1))
    assert sending.wait(SECONDS)
    assert run.stop() == 0
    row = stored(database, message)
    assert (row.status, row.sender) == ("queued", None)
    go_on.set()


def test_a_channel_that_needs_a_new_process_gets_one(start: StartWorker) -> None:
    run = start()
    run.emit(StateReport("connected", "all", phone=PHONE, device="d"))
    wait_until(lambda: run.sender().device == "d", SECONDS, "the device")
    run.emit(Restart("Logged out.", forget_device=True))
    assert run.wait_for_end() == RESTART_EXIT_CODE
    row = run.sender()
    assert (row.device, row.phone) == (None, None)
    assert row.state == "connected"  # the new process reports the next state


def test_commands_are_carried_out_with_their_results(
    channel: ScriptedChannel, start: StartWorker
) -> None:
    run = start()
    assert run.result(run.ask("pair_phone", PHONE)) == CommandResult(DONE, pair_code="ABCD1234")
    assert run.result(run.ask("pair_phone", "+1")) == CommandResult(
        FAILED, other("This number cannot be paired.")
    )
    assert run.result(run.ask("logout")).status == DONE
    assert channel.logged_out
    assert run.result(run.ask("reload")).status == DONE
    assert run.wait_for_end() == RESTART_EXIT_CODE


@both_ways
def test_an_outcome_that_cannot_be_recorded_yet_is_recorded_later_and_sent_once(
    database: Database, impatient: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    (message,) = submit(database, now=now_ms())
    locked, sent = threading.Event(), threading.Event()
    tries = {
        "outcomes cannot be recorded, trying again",
        "the database cannot be used, trying again",
    }

    def send_while_locked() -> None:
        sent.set()
        assert locked.wait(SECONDS)

    channel.on_send = send_while_locked
    with capture_logs() as lines:
        run = start(used=impatient)
        assert sent.wait(SECONDS)
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("LOCK TABLE messages, senders IN EXCLUSIVE MODE"))
            locked.set()
            wait_until(
                lambda: not tries.isdisjoint(line["event"] for line in lines),
                SECONDS,
                "a try in vain",
            )
        run.wait_for(message, "sent")
        run.stop()
    assert len(channel.sent) == 1


@both_ways
def test_message_with_a_lost_lease_is_left_to_its_new_holder(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    (message,) = submit(database, now=now_ms())

    def lose_the_lease() -> None:
        with database.write() as connection:
            queue.reclaim_of(connection, sender=HOLDER, now=now_ms())
            assert queue.claim(connection, channel="sandbox", sender="other", limit=1, now=now_ms())

    channel.on_send = lose_the_lease
    run = start()
    wait_until(lambda: len(channel.sent) == 1, SECONDS, "the send")
    run.stop()
    row = stored(database, message)
    assert (row.status, row.sender, row.provider_message_id) == ("sending", "other", None)


@both_ways
def test_sender_taken_by_another_machine_ends_without_changing_its_record(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    run = start()
    run.emit(CONNECTED)
    with database.write() as connection:
        later = now_ms() + records.LEASE_MS + 1
        assert records.take_lease(connection, name="main", owner="elsewhere", now=later)
    (message,) = submit(database, now=now_ms())
    assert run.wait_for_end() == LOST_EXIT_CODE
    assert channel.sent == []
    assert stored(database, message).status == "queued"
    assert run.sender().state == "connected"


@both_ways
def test_claim_whose_result_was_lost_returns_to_the_queue(
    database: Database,
    channel: ScriptedChannel,
    start: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims = []

    def claim(*arguments: Any, **named: Any) -> list[Claimed]:
        claims.append(original(*arguments, **named))
        if len(claims) == 1:
            # The commit reaches the disk, but its confirmation is lost.
            arguments[0].commit()
            raise OperationalError("COMMIT", {}, ConnectionResetError("the connection is lost"))
        return claims[-1]

    original = queue.claim
    monkeypatch.setattr(queue, "claim", claim)
    (message,) = submit(database, now=now_ms())
    run = start()
    run.emit(CONNECTED)
    run.wait_for(message, "sent")
    assert len(channel.sent) == 1


def pause(database: Database) -> None:
    with database.write() as connection:
        assert records.pause(connection, name="main", now=now_ms())
        database.notify(connection)


def resume(database: Database) -> None:
    with database.write() as connection:
        assert records.resume(connection, name="main")
        database.notify(connection)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the worker was paused, at each search for work."""
    found: list[bool] = []
    is_paused = records.is_paused

    def look(*arguments: Any, **named: Any) -> bool:
        found.append(is_paused(*arguments, **named))
        return found[-1]

    monkeypatch.setattr(records, "is_paused", look)
    return found


@both_ways
def test_paused_worker_sends_nothing_until_it_is_resumed(
    database: Database, channel: ScriptedChannel, start: StartWorker, looks: list[bool]
) -> None:
    pause(database)
    run = start()
    (message,) = submit(database, now=now_ms())
    seen = len(looks)
    wait_until(lambda: len(looks) > seen + 3, SECONDS, "the worker to look for work")
    assert all(looks)
    row = stored(database, message)
    assert (row.status, row.attempts, channel.sent) == ("queued", 0, [])
    resume(database)
    run.wait_for(message, "sent")


def test_pause_holds_back_new_messages_but_no_receipts(
    database: Database, channel: ScriptedChannel, start: StartWorker, looks: list[bool]
) -> None:
    run = start()
    (before,) = submit(database, now=now_ms())
    run.wait_for(before, "sent")
    pause(database)
    wait_until(lambda: looks[-1], SECONDS, "the worker to see the pause")
    (after,) = submit(database, now=now_ms())
    run.emit(Receipt("p-1", "read", now_ms()))
    run.wait_for(before, "read")
    assert run.stop() == 0
    assert (stored(database, after).status, len(channel.sent)) == ("queued", 1)


def test_pause_survives_the_process(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    pause(database)
    (message,) = submit(database, now=now_ms())
    for _ in range(2):
        run = start()
        run.emit(CONNECTED)
        assert run.stop() == 0
    assert (stored(database, message).status, channel.sent) == ("queued", [])


def test_paused_worker_sends_heartbeats_and_carries_out_commands(
    database: Database, channel: ScriptedChannel, start: StartWorker
) -> None:
    pause(database)
    run = start()
    assert run.result(run.ask("pair_phone", PHONE)) == CommandResult(DONE, pair_code="ABCD1234")
    wait_until(lambda: run.sender().heartbeat_at is not None, SECONDS, "a heartbeat")
    assert run.result(run.ask("reload")).status == DONE
    assert run.wait_for_end() == RESTART_EXIT_CODE
    assert channel.sent == []
