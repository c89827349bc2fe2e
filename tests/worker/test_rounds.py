"""One transaction a round records the last batch and the receipts, and claims the next batch."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from hudhud.channels.base import Account, Receipt
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.messages import counters, whatsapp_accounts
from hudhud.senders import records
from hudhud.worker.accounts import Accounts
from hudhud.worker.claims import Claims
from hudhud.worker.recorder import Recorder
from hudhud.worker.rounds import Rounds
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing
from support.queued import PHONE, SECRET, link_replies, put_sender, stored, submit
from support.running_worker import MACHINE, QUICK, SECONDS, RunningWorker
from support.scripted_channel import ScriptedChannel
from support.services import wait_until

AT_ONCE = Timing(idle=0, round=0, record_poll=0)
BATCH = 2


class Steps:
    """Rounds of the sender `main`, run one at a time without threads."""

    def __init__(
        self, database: Database, channel: ScriptedChannel, timing: Timing = AT_ONCE
    ) -> None:
        self.channel = channel
        self.losses: list[str] = []
        self._doorbell = database.doorbell()
        self.claims = Claims(
            sender="main",
            machine=MACHINE,
            channel_name="sandbox",
            database=database,
            reaches_only_known=lambda: False,
            on_loss=lambda: self.losses.append("lease"),
        )
        self.recorder = Recorder(
            sender="main",
            channel_name="sandbox",
            database=database,
            accounts=Accounts(database, channel),
            link_replies=link_replies(database),
            on_state=lambda _state: None,
            on_restart=lambda _restart: None,
            timing=timing,
        )
        self.rounds = Rounds(
            database=database,
            claims=self.claims,
            message_sender=MessageSender(database, channel, CodeCipher(SECRET)),
            recorder=self.recorder,
            largest_batch=BATCH,
            stopping=threading.Event(),
            counts_traffic=True,
            timing=timing,
        )

    def step(self) -> None:
        self.rounds.step(self._doorbell)

    def deliver(self, *provider_ids: str) -> None:
        for provider_id in provider_ids:
            self.rounds.take(Receipt(provider_id, "delivered", now_ms()))

    def close(self) -> None:
        self._doorbell.close()


@pytest.fixture
def steps(database: Database) -> Iterator[Steps]:
    put_sender(database)
    with closing(Steps(database, ScriptedChannel())) as opened:
        yield opened


@contextmanager
def transactions(database: Database) -> Iterator[list[str]]:
    """Yield the commits of a block."""
    commits: list[str] = []

    def note(_connection: object) -> None:
        commits.append("commit")

    event.listen(database.engine, "commit", note)
    yield commits
    event.remove(database.engine, "commit", note)


def statuses(database: Database, numbers: list[int]) -> list[str]:
    return [stored(database, number).status for number in numbers]


def counted(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {status: count for status, count in counters.counts(connection).items() if count}


def test_round_records_receives_and_claims_in_one_transaction(
    database: Database, steps: Steps
) -> None:
    queued = submit(database, 6, now=now_ms())
    with transactions(database) as commits:
        steps.step()
    assert (len(commits), len(steps.channel.sent)) == (1, 2)
    assert statuses(database, queued[:2]) == ["sending", "sending"]
    steps.step()
    steps.deliver("p-1")
    with transactions(database) as commits:
        steps.step()
    assert len(commits) == 1
    assert statuses(database, queued) == ["delivered", "sent", "sent", "sent", "sending", "sending"]
    assert counted(database) == {"delivered": 1, "sent": 3, "sending": 2}
    with database.read() as connection:
        sender = records.find(connection, "main")
    assert sender is not None
    assert sender.last_sent_at == stored(database, queued[3]).sent_at


def test_receipt_of_the_batch_that_the_round_records_is_recorded_with_it(
    database: Database, steps: Steps
) -> None:
    (message,) = submit(database, now=now_ms())
    steps.step()
    steps.deliver("p-1")
    steps.step()
    assert stored(database, message).status == "delivered"


def test_round_without_anything_to_do_opens_no_transaction(
    database: Database, steps: Steps
) -> None:
    steps.deliver("unknown")
    steps.step()  # the receipt is now held
    with transactions(database) as commits:
        steps.step()
        steps.rounds.record_rest()
    assert commits == []


def test_early_receipt_is_held_until_its_send_is_recorded(database: Database, steps: Steps) -> None:
    steps.deliver("p-1")
    steps.step()
    (message,) = submit(database, now=now_ms())
    steps.step()
    steps.step()
    assert stored(database, message).status == "delivered"


def test_unknown_receipt_is_dropped_after_a_while(database: Database) -> None:
    put_sender(database)
    timing = replace(AT_ONCE, receipt_held=0)
    with closing(Steps(database, ScriptedChannel(), timing)) as steps:
        steps.deliver("p-1")
        steps.step()
        (message,) = submit(database, now=now_ms())
        steps.step()
        steps.step()
    assert stored(database, message).status == "sent"


def test_killed_process_loses_no_message(database: Database, steps: Steps) -> None:
    queued = submit(database, 3, now=now_ms())
    steps.step()  # killed after the sends, before the next round
    assert statuses(database, queued) == ["sending", "sending", "queued"]
    following = RunningWorker(database, ScriptedChannel(), largest_batch=BATCH)
    for message in queued:
        following.wait_for(message, "sent")
    following.stop()
    assert counted(database) == {"sent": 3}


def test_paused_sender_records_but_claims_nothing(database: Database, steps: Steps) -> None:
    queued = submit(database, 4, now=now_ms())
    steps.step()
    with database.write() as connection:
        assert records.pause(connection, name="main", now=now_ms())
    steps.deliver("p-1")
    steps.step()
    assert statuses(database, queued) == ["delivered", "sent", "queued", "queued"]


def test_sender_that_lost_its_lease_records_but_claims_nothing(
    database: Database, steps: Steps
) -> None:
    queued = submit(database, 3, now=now_ms())
    steps.step()
    with database.write() as connection:
        later = now_ms() + records.LEASE_MS + 1
        assert records.take_lease(connection, name="main", owner="elsewhere", now=later)
    steps.step()
    assert statuses(database, queued) == ["sent", "sent", "queued"]
    assert steps.losses == ["lease"]


def test_failed_round_is_repeated_with_the_same_outcomes_and_receipts(
    database: Database, impatient: Database
) -> None:
    put_sender(database)
    queued = submit(database, 3, now=now_ms())
    with closing(Steps(impatient, ScriptedChannel())) as steps:
        steps.step()
        steps.deliver("p-1", "p-2")
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("LOCK TABLE messages IN EXCLUSIVE MODE"))
            for _ in range(2):
                with pytest.raises(OperationalError):
                    steps.step()
        steps.step()
        steps.step()
    assert statuses(database, queued) == ["delivered", "delivered", "sent"]
    assert len(steps.channel.sent) == 3


def forbid(database: Database) -> None:
    """Let the database refuse one outcome."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.execute(
                text(
                    "CREATE TRIGGER no_poison BEFORE UPDATE ON messages "
                    "WHEN NEW.provider_message_id = 'p-2' "
                    "BEGIN SELECT RAISE(ABORT, 'poison'); END"
                )
            )
        else:
            check = "ALTER TABLE messages ADD CONSTRAINT c CHECK (provider_message_id <> 'p-2')"
            connection.execute(text(check))


def test_messages_whose_outcomes_cannot_be_recorded_are_sent_again(
    database: Database, steps: Steps
) -> None:
    (delivered,) = submit(database, now=now_ms())
    steps.step()
    steps.step()
    queued = submit(database, 2, now=now_ms())
    steps.step()
    forbid(database)
    steps.deliver("p-1")
    with pytest.raises(IntegrityError):
        steps.step()
    steps.step()
    steps.step()
    assert statuses(database, queued) == ["sent", "sent"]
    assert len(steps.channel.sent) == 5
    # The recorder has taken the receipt.
    steps.recorder.stop()
    steps.recorder.run()
    assert stored(database, delivered).status == "delivered"


@pytest.mark.slow
def test_stop_records_what_was_sent_and_received(database: Database) -> None:
    put_sender(database)
    first, second = submit(database, 2, now=now_ms())
    channel = ScriptedChannel()
    run = RunningWorker(database, channel, timing=replace(QUICK, round=3600), largest_batch=BATCH)
    wait_until(lambda: len(channel.sent) == 2, SECONDS, "the sends")
    assert statuses(database, [first, second]) == ["sending", "sending"]
    run.emit(Receipt("p-1", "delivered", now_ms()))
    assert run.stop() == 0
    assert statuses(database, [first, second]) == ["delivered", "sent"]


@pytest.mark.slow
def test_receipt_that_names_an_account_is_left_to_the_recorder(database: Database) -> None:
    put_sender(database)
    (message,) = submit(database, now=now_ms())
    run = RunningWorker(database, ScriptedChannel(), largest_batch=BATCH)
    run.wait_for(message, "sent")
    account = Account(PHONE, "4")
    run.emit(Receipt("p-1", "delivered", now_ms(), account))
    run.wait_for(message, "delivered")

    def known() -> Account | None:
        with database.read() as connection:
            return whatsapp_accounts.account_of(connection, PHONE)

    wait_until(lambda: known() == account, SECONDS, "the account")
    assert run.stop() == 0


@pytest.mark.slow
def test_events_are_recorded_while_the_channel_cannot_send(database: Database) -> None:
    put_sender(database)
    (message,) = submit(database, now=now_ms())
    channel = ScriptedChannel()
    run = RunningWorker(database, channel, largest_batch=BATCH)
    run.wait_for(message, "sent")
    run.emit(replace(channel.first_state, state="reconnecting", carries="none"))
    run.emit(Receipt("p-1", "delivered", now_ms()))
    run.wait_for(message, "delivered")
    assert run.stop() == 0
