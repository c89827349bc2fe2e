"""One message to the channel: its content, and the classification of failures."""

from dataclasses import replace

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from hudhud.channels.base import UNNAMED, Account
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import OwnNumber, PermanentFailure, Snoozed, TransientFailure
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import contacts, queue, whatsapp_accounts
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Claimed, Failed, Misaddressed, Outcome, Returned, Sent
from hudhud.worker.outcomes import record_outcomes
from hudhud.worker.send import NO_DATABASE, MessageSender
from support.queued import PHONE, SECRET, accept, change, stored, submit
from support.scripted_channel import ScriptedChannel

OTHER = "+201001234568"
ACCOUNT = Account(PHONE, "100000000000001")
STALE = Account(PHONE, "100000000000002")
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
NO_ACCOUNT = "There is no WhatsApp account for this number."


@pytest.fixture
def channel() -> ScriptedChannel:
    return ScriptedChannel()


@pytest.fixture
def checking() -> ScriptedChannel:
    """A channel on which only some numbers have an account."""
    return ScriptedChannel(checks_numbers=True)


def claim(database: Database) -> Claimed:
    with database.write() as connection:
        (claimed,) = queue.claim(connection, channel="sandbox", sender="a", limit=1, now=now_ms())
    return claimed


def remember(database: Database, account: Account, *, now: int | None = None) -> None:
    at = now_ms() if now is None else now
    with database.write() as connection:
        contacts.remember_account(connection, phone=PHONE, account=account, now=at)


def deliver(database: Database, channel: ScriptedChannel, secret: str = SECRET) -> Outcome:
    """Claim the next message, send it and record its outcome."""
    outcome = MessageSender(database, channel, CodeCipher(secret)).send(claim(database))
    with database.write() as connection:
        record_outcomes(connection, sender="a", outcomes=[outcome], now=now_ms())
    return outcome


def test_message_without_a_code_placeholder_needs_no_code(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    change(database, message, verification_id=None, body="Confirmed for {code} & Co.")
    assert isinstance(deliver(database, channel), Sent)
    assert channel.sent == [(PHONE, "Confirmed for {code} & Co.")]


def test_message_is_sent_with_its_code(database: Database, channel: ScriptedChannel) -> None:
    (accepted,) = accept(database, now=now_ms())
    outcome = deliver(database, channel)
    assert isinstance(outcome, Sent)
    ((phone, words),) = channel.sent
    assert phone == PHONE
    body = stored(database, accepted.message_id).body
    assert words == body.replace("{code}", str(accepted.code))
    assert stored(database, accepted.message_id).provider_message_id == "p-1"


def test_a_message_sent_again_after_a_crash_has_the_same_code(
    database: Database, channel: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    MessageSender(database, channel, CodeCipher(SECRET)).send(claim(database))
    with database.write() as connection:
        queue.reclaim_of(connection, sender="a", now=now_ms())
    deliver(database, channel)
    first, second = channel.sent
    assert first == second


@pytest.mark.parametrize("left", [LAST_CALL_MS - 1, 0, -MINUTE])
def test_an_expired_code_is_never_sent(
    database: Database, channel: ScriptedChannel, left: int
) -> None:
    (message,) = submit(database, now=now_ms())
    claimed = claim(database)
    change(database, message, expires_at=now_ms() + left)
    late = replace(claimed, expires_at=now_ms() + left)
    outcome = MessageSender(database, channel, CodeCipher(SECRET)).send(late)
    assert channel.sent == []
    with database.write() as connection:
        record_outcomes(connection, sender="a", outcomes=[outcome], now=now_ms())
        queue.expire(connection, now=now_ms())
    row = stored(database, message)
    assert (row.status, row.attempts) == ("expired", 0)


def test_a_permanent_failure_ends_the_message_with_its_reason(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    channel.failure = PermanentFailure("This number cannot be reached.")
    assert isinstance(deliver(database, channel), Failed)
    row = stored(database, message)
    assert (row.status, row.error) == ("failed", "This number cannot be reached.")


def test_a_transient_failure_is_retried_later_and_spends_an_attempt(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    channel.failure = TransientFailure("The server was busy.")
    before = now_ms()
    assert isinstance(deliver(database, channel), Returned)
    row = stored(database, message)
    assert (row.status, row.attempts, row.error) == ("queued", 1, "The server was busy.")
    assert 1500 <= row.available_at - before <= 2500 + (now_ms() - before)


def test_retries_wait_longer_each_time(database: Database, channel: ScriptedChannel) -> None:
    (message,) = submit(database, now=now_ms())
    channel.failure = TransientFailure("The server was busy.")
    for mean in (2000, 4000, 8000, 16000):
        change(database, message, available_at=0)
        before = now_ms()
        deliver(database, channel)
        took = now_ms() - before
        wait = stored(database, message).available_at - before
        assert 0.75 * mean <= wait <= 1.25 * mean + took


def test_transient_failure_without_time_for_a_retry_is_final(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    # The shortest retry waits 1.5 s, and the last second is too late to begin.
    change(database, message, expires_at=now_ms() + LAST_CALL_MS + 1400)
    channel.failure = TransientFailure("The server was busy.")
    assert isinstance(deliver(database, channel), Failed)
    row = stored(database, message)
    assert (row.status, row.error) == ("failed", "The server was busy.")


def test_a_snooze_waits_without_spending_an_attempt(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    channel.failure = Snoozed("The sender is offline.", 7)
    for _ in range(3):
        change(database, message, available_at=0)
        before = now_ms()
        deliver(database, channel)
        row = stored(database, message)
        assert (row.status, row.attempts, row.error) == ("queued", 0, "The sender is offline.")
        assert 7000 <= row.available_at - before <= 7000 + (now_ms() - before)


def test_unexpected_error_is_retried_and_only_logged(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    channel.failure = RuntimeError("something within")
    with capture_logs() as lines:
        assert isinstance(deliver(database, channel), Returned)
    row = stored(database, message)
    assert (row.status, row.attempts) == ("queued", 1)
    assert row.error == "Sending failed unexpectedly; the log has the details."
    assert any(
        line["event"] == "unexpected error in a send" and line.get("exc_info") for line in lines
    )


def test_no_database_connection_is_held_during_a_send(
    database: Database, channel: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    held: list[str] = []
    channel.on_send = lambda: held.append(database.engine.pool.status())
    before = database.engine.pool.status()
    deliver(database, channel)
    assert held == [before]


def test_unreadable_code_is_a_permanent_failure(
    database: Database, channel: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    deliver(database, channel, secret="another secret than it was sealed with")
    row = stored(database, message)
    assert (row.status, channel.sent) == ("failed", [])
    assert "secret" in row.error


def test_a_number_is_checked_before_the_first_message_and_remembered(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, 3, now=now_ms())
    submit(database, phone=OTHER, now=now_ms())
    for _ in range(4):
        deliver(database, checking)
    assert checking.checked == [PHONE, OTHER]
    assert len(checking.sent) == 4


def test_message_goes_to_the_account_of_the_number_and_it_is_remembered(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, 2, now=now_ms())
    checking.account_of = lambda _phone: ACCOUNT
    deliver(database, checking)
    deliver(database, checking)
    assert (checking.checked, checking.addressed) == ([PHONE], [ACCOUNT, ACCOUNT])
    with database.read() as connection:
        assert whatsapp_accounts.account_of(connection, PHONE) == ACCOUNT


def test_account_is_asked_for_if_only_its_existence_is_known(
    database: Database, checking: ScriptedChannel
) -> None:
    """As after an update from a version that stored no accounts."""
    submit(database, now=now_ms())
    with database.write() as connection:
        contacts.remember_account(connection, phone=PHONE, account=UNNAMED, now=now_ms())
    checking.account_of = lambda _phone: ACCOUNT
    deliver(database, checking)
    assert (checking.checked, checking.addressed) == ([PHONE], [ACCOUNT])


def test_account_remembered_for_more_than_thirty_days_is_asked_for_again(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    remember(database, STALE, now=now_ms() - 30 * DAY - 1)
    checking.account_of = lambda _phone: ACCOUNT
    assert isinstance(deliver(database, checking), Sent)
    assert (checking.checked, checking.addressed) == ([PHONE], [ACCOUNT])


def test_account_that_is_gone_is_asked_for_again(
    database: Database, checking: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    remember(database, STALE)
    checking.gone.add(STALE)
    checking.account_of = lambda _phone: ACCOUNT
    assert isinstance(deliver(database, checking), Sent)
    assert (checking.checked, checking.addressed) == ([PHONE], [STALE, ACCOUNT])
    assert stored(database, message).attempts == 1


def test_stale_account_fails_no_code_while_whatsapp_does_not_answer(
    database: Database, checking: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    remember(database, STALE)
    checking.gone.add(STALE)
    checking.check_failure = Snoozed("Too many questions.", 60)
    assert isinstance(deliver(database, checking), Returned)
    assert (stored(database, message).status, stored(database, message).attempts) == ("queued", 0)


@pytest.mark.parametrize("answer", [None, STALE])
def test_code_fails_if_whatsapp_confirms_that_the_account_is_gone(
    database: Database, checking: ScriptedChannel, answer: Account | None
) -> None:
    (message,) = submit(database, now=now_ms())
    remember(database, STALE)
    checking.gone.add(STALE)
    checking.account_of = lambda _phone: answer
    assert isinstance(deliver(database, checking), Failed)
    assert (stored(database, message).error, checking.checked) == (NO_ACCOUNT, [PHONE])


def test_code_to_the_senders_own_number_fails_at_once(
    database: Database, checking: ScriptedChannel
) -> None:
    (message,) = submit(database, now=now_ms())
    checking.failure = OwnNumber()
    assert isinstance(deliver(database, checking), Misaddressed)
    row = stored(database, message)
    assert (row.status, row.attempts, row.error_code) == ("failed", 1, "job.own_number")


def test_channel_without_number_checks_is_not_asked(
    database: Database, channel: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    deliver(database, channel)
    assert (channel.checked, channel.addressed) == ([], [UNNAMED])


def test_account_unknown_to_a_channel_without_number_checks_fails_the_message(
    database: Database, channel: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    channel.gone.add(UNNAMED)
    assert isinstance(deliver(database, channel), Failed)
    assert channel.checked == []


def test_number_without_an_account_fails_at_once_and_is_not_checked_again(
    database: Database, checking: ScriptedChannel
) -> None:
    messages = submit(database, 2, now=now_ms())
    checking.account_of = lambda _phone: None
    deliver(database, checking)
    deliver(database, checking)
    rows = [stored(database, message) for message in messages]
    assert [(row.status, row.error) for row in rows] == [("failed", NO_ACCOUNT)] * 2
    assert (checking.checked, checking.sent) == ([PHONE], [])


def test_negative_check_expires_after_ten_minutes(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, 2, now=now_ms())
    checking.account_of = lambda _phone: None
    deliver(database, checking)
    with database.write() as connection:
        age = tables.contacts.c.checked_at - contacts.NO_KEPT_MS
        connection.execute(update(tables.contacts).values(checked_at=age))
    checking.account_of = lambda _phone: ACCOUNT
    assert isinstance(deliver(database, checking), Sent)
    assert checking.checked == [PHONE, PHONE]


@pytest.mark.parametrize(
    ("failure", "status", "attempts"),
    [
        (TransientFailure("Nobody answers."), "queued", 1),
        (Snoozed("Too many questions.", 60), "queued", 0),
        (RuntimeError("something within"), "queued", 1),
    ],
)
def test_failed_check_is_classified_like_a_send_and_not_stored(
    database: Database, checking: ScriptedChannel, failure: Exception, status: str, attempts: int
) -> None:
    (message,) = submit(database, now=now_ms())
    checking.check_failure = failure
    with capture_logs():
        deliver(database, checking)
    row = stored(database, message)
    assert (row.status, row.attempts, checking.sent) == (status, attempts, [])
    with database.read() as connection:
        assert contacts.known_account(connection, phone=PHONE, now=now_ms()) is None


def test_database_failure_spends_no_attempt(database: Database, checking: ScriptedChannel) -> None:
    (message,) = submit(database, now=now_ms())
    with database.write() as connection:
        connection.execute(text("ALTER TABLE contacts RENAME TO elsewhere"))
    with capture_logs():
        deliver(database, checking)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO contacts"))
    row = stored(database, message)
    assert (row.status, row.attempts, row.error) == ("queued", 0, NO_DATABASE.english())
    assert checking.sent == []


def test_every_outcome_is_logged_without_the_number(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, 3, now=now_ms())
    with capture_logs() as lines:
        for failure in (None, PermanentFailure("Gone."), TransientFailure("Busy.")):
            checking.failure = failure
            deliver(database, checking)
    assert [line["event"] for line in lines] == ["sent", "failed", "will be retried"]
    assert {line["phone"] for line in lines} == {"+2010*****67"}
    assert {line["request_id"] for line in lines} == {"r"}


def test_code_that_expires_during_the_check_is_not_sent(
    database: Database, checking: ScriptedChannel
) -> None:
    submit(database, now=now_ms())
    claimed = claim(database)
    times = [now_ms()]
    # Its validity passes while WhatsApp is asked.
    checking.on_check = lambda: times.append(claimed.expires_at)
    sender = MessageSender(database, checking, CodeCipher(SECRET), clock=lambda: times[-1])
    outcome = sender.send(claimed)
    assert len(times) == 2
    assert isinstance(outcome, Returned)
    assert checking.sent == []
