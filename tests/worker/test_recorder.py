"""The recorder stores a channel's events despite other failures."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from hudhud.channels.base import Account, Receipt, Restart, StateReport, Written
from hudhud.core.clock import now_ms
from hudhud.core.errors import Snoozed
from hudhud.core.phones import parse_phone
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import inbound_messages, messages, verifications
from hudhud.messages import contacts, queue, whatsapp_accounts
from hudhud.messages.outcomes import Sent
from hudhud.senders import records
from hudhud.verification.links import tokens
from hudhud.worker.accounts import Accounts
from hudhud.worker.outcomes import record_outcomes
from hudhud.worker.recorder import Recorder
from hudhud.worker.timing import Timing
from support.links import start
from support.queued import NOW, caller, link_replies, put_sender, stored, submit
from support.scripted_channel import ScriptedChannel
from support.services import wait_until

pytestmark = pytest.mark.slow

PHONE = "+201001234567"
ACCOUNT = Account(PHONE, "100000000000001")
ARGENTINE, ARGENTINE_SHORT = "+5491112345678", "+541112345678"
NEW_NUMBER = "+201559999999"
SECONDS = 10.0


class Watched:
    """A running recorder and the events that it passed on."""

    def __init__(
        self,
        database: Database,
        timing: Timing | None = None,
        channel: ScriptedChannel | None = None,
    ) -> None:
        self.states: list[StateReport] = []
        self.restarts: list[Restart] = []
        self.recorder = Recorder(
            sender="main",
            channel_name="sandbox",
            database=database,
            accounts=Accounts(database, channel or ScriptedChannel()),
            link_replies=link_replies(database),
            on_state=self.states.append,
            on_restart=self.restarts.append,
            timing=timing,
        )
        self.take = self.recorder.take
        self._thread = threading.Thread(target=self.recorder.run)
        self._thread.start()

    def stop(self) -> None:
        self.recorder.stop()
        self._thread.join()

    def flush(self) -> None:
        """Wait until every accepted event is recorded."""
        last = StateReport("connected", "all", detail=other(f"flush {len(self.states)}"))
        self.take(last)
        wait_until(lambda: last in self.states, SECONDS, "the recorder")


@pytest.fixture
def watched(database: Database) -> Iterator[Watched]:
    with watching(database) as at_work:
        yield at_work


@contextmanager
def watching(
    database: Database, timing: Timing | None = None, channel: ScriptedChannel | None = None
) -> Iterator[Watched]:
    put_sender(database, "main", "starting")
    at_work = Watched(database, timing, channel)
    yield at_work
    at_work.stop()


def record_sent(database: Database, message: int, provider_id: str) -> None:
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main", limit=1, now=NOW)
        record_outcomes(
            connection, sender="main", outcomes=[Sent(message, provider_id, NOW)], now=NOW
        )


def texts(database: Database) -> list[str]:
    column = inbound_messages.c.text
    with database.read() as connection:
        return list(connection.scalars(select(column).order_by(inbound_messages.c.id)))


def written(number: int, words: str = "hello", account: Account = ACCOUNT) -> Written:
    return Written(f"m-{number}", account, words, now_ms())


def test_a_state_is_recorded_and_passed_on(database: Database, watched: Watched) -> None:
    report = StateReport("pairing", qr="2@abc", detail=other("Scan it."))
    watched.take(report)
    wait_until(lambda: bool(watched.states), SECONDS, "the state")
    assert watched.states == [report]
    with database.read() as connection:
        row = records.find(connection, "main")
    assert row is not None
    assert (row.state, row.qr, row.detail) == ("pairing", "2@abc", "Scan it.")


def test_events_are_recorded_in_order(database: Database, watched: Watched) -> None:
    for number in range(50):
        watched.take(written(number, str(number)))
    watched.flush()
    assert texts(database) == [str(number) for number in range(50)]


def test_events_accepted_before_the_stop_are_recorded(database: Database) -> None:
    put_sender(database, "main", "starting")
    watched = Watched(database)
    for number in range(5):
        watched.take(written(number, str(number)))
    watched.stop()
    assert texts(database) == ["0", "1", "2", "3", "4"]


def test_inbound_message_is_stored_once_and_noted_for_the_contact(
    database: Database, watched: Watched
) -> None:
    watched.take(written(1))
    watched.take(written(1))
    watched.flush()
    assert texts(database) == ["hello"]
    with database.read() as connection:
        assert contacts.has_written(connection, phone=PHONE)


def test_text_is_searched_for_a_token_once(database: Database, watched: Watched) -> None:
    token = tokens.new_token()
    first, second = written(1, f"hello {token}"), written(1, f"again {tokens.new_token()}")
    watched.take(first)
    watched.take(second)
    watched.flush()
    watched.take(first)
    watched.flush()
    with database.read() as connection:
        answers = connection.execute(select(messages)).all()
    assert [(answer.phone, answer.only_sender) for answer in answers] == [(PHONE, "main")]


def link(database: Database, phone: str | None, mode: str = "reply") -> str:
    """Start a link that expects this number, or any; return its token."""
    number = None if phone is None else parse_phone(phone)
    key = caller("shop", "send", "verify", may_link_verify=True)
    changes = {"channel": "sandbox"}
    return start(database, number, by=key, changes=changes, now=now_ms(), mode=mode).token


def proved(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(verifications.c.proved_phone)))


def test_person_is_kept_under_one_number_whichever_wrote(
    database: Database, watched: Watched
) -> None:
    watched.take(written(1, account=Account("+556191234567", "1")))
    watched.flush()
    with database.read() as connection:
        assert contacts.has_written(connection, phone="+5561991234567")
        assert not contacts.has_written(connection, phone="+556191234567")
        stored_account = whatsapp_accounts.account_of(connection, "+5561991234567")
    assert stored_account == Account("+556191234567", "1")


def test_person_has_written_for_all_numbers_of_the_account(
    database: Database, watched: Watched
) -> None:
    account = Account(ARGENTINE, "2")
    with database.write() as connection:
        contacts.name_account(connection, phone=ARGENTINE_SHORT, account=account)
    watched.take(written(1, account=account))
    watched.flush()
    with database.read() as connection:
        assert contacts.has_written(connection, phone=ARGENTINE)
        assert contacts.has_written(connection, phone=ARGENTINE_SHORT)


def test_writer_with_a_hidden_number_is_known_by_the_lid(
    database: Database, watched: Watched
) -> None:
    with database.write() as connection:
        contacts.name_account(connection, phone=PHONE, account=ACCOUNT)
    with capture_logs() as lines:
        watched.take(written(1, "known", Account(None, ACCOUNT.lid)))
        watched.take(written(2, "unknown", Account(None, "9")))
        watched.flush()
    assert texts(database) == ["known"]
    assert "inbound message dropped: WhatsApp did not reveal the sender's number" in {
        line["event"] for line in lines
    }


def test_expected_number_of_a_link_is_checked_once_if_another_one_wrote(
    database: Database,
) -> None:
    channel = ScriptedChannel(checks_numbers=True)
    channel.account_of = lambda _phone: Account(ARGENTINE, "2")
    token = link(database, ARGENTINE_SHORT)
    with watching(database, channel=channel) as watched:
        watched.take(written(1, token, Account("+5491112345679", "3")))
        watched.flush()
        assert proved(database) == [None]
        watched.take(written(2, token, Account(ARGENTINE, "2")))
        watched.flush()
    assert proved(database) == [ARGENTINE_SHORT]
    assert channel.checked == [ARGENTINE_SHORT]


def test_expected_number_counts_as_another_persons_without_an_answer(database: Database) -> None:
    channel = ScriptedChannel(checks_numbers=True)
    channel.check_failure = Snoozed("Too many questions.", 60)
    token = link(database, ARGENTINE_SHORT)
    with watching(database, channel=channel) as watched:
        watched.take(written(1, token, Account(ARGENTINE, "2")))
        watched.flush()
    assert proved(database) == [None]
    assert texts(database) == [token]


def test_first_receipt_completes_the_account(database: Database, watched: Watched) -> None:
    (message,) = submit(database)
    watched.take(Receipt("p-1", "delivered", NOW + 1, Account(PHONE, "4")))
    watched.flush()
    record_sent(database, message, "p-1")

    def account() -> Account | None:
        with database.read() as connection:
            return whatsapp_accounts.account_of(connection, PHONE)

    wait_until(lambda: account() == Account(PHONE, "4"), SECONDS, "the LID")


def remember(database: Database, phone: str, account: Account, *, at: int | None = None) -> None:
    with database.write() as connection:
        checked = now_ms() if at is None else at
        contacts.remember_account(connection, phone=phone, account=account, now=checked)


@pytest.mark.parametrize("stored_account", [None, Account(None, "1"), Account(PHONE, "1")])
@pytest.mark.parametrize("writer", [Account(NEW_NUMBER, "1"), Account(None, "1")])
def test_former_owner_proves_nothing(
    database: Database, stored_account: Account | None, writer: Account
) -> None:
    """The number has a new owner; the former one kept the LID, and opens an old message."""
    channel = ScriptedChannel(checks_numbers=True)
    channel.account_of = lambda phone: Account(phone, "2")
    (message,) = submit(database)
    if stored_account is not None:
        remember(database, PHONE, stored_account)
    expecting, open_link = link(database, PHONE, "verify"), link(database, None)
    with watching(database, channel=channel) as watched:
        record_sent(database, message, "p-1")
        watched.take(Receipt("p-1", "read", NOW + 1, writer))
        watched.flush()
        watched.take(written(1, expecting, writer))
        watched.take(written(2, open_link, writer))
        watched.flush()
    assert proved(database).count(PHONE) == 0


def test_hidden_number_approves_once_whatsapp_confirms_it(database: Database) -> None:
    hidden = Account(None, ACCOUNT.lid)
    channel = ScriptedChannel(checks_numbers=True)
    channel.account_of = lambda _phone: ACCOUNT
    channel.check_failure = Snoozed("Too many questions.", 60)
    remember(database, PHONE, ACCOUNT)
    token = link(database, PHONE, "verify")
    with watching(database, channel=channel) as watched:
        watched.take(written(1, token, hidden))
        watched.flush()
        assert proved(database) == [None]
        channel.check_failure = None
        watched.take(written(2, token, hidden))
        watched.flush()
    assert proved(database) == [PHONE]


def test_hidden_number_gets_a_code_without_an_answer(database: Database) -> None:
    channel = ScriptedChannel(checks_numbers=True)
    channel.check_failure = Snoozed("Too many questions.", 60)
    remember(database, PHONE, ACCOUNT)
    with watching(database, channel=channel) as watched:
        watched.take(written(1, link(database, PHONE), Account(None, ACCOUNT.lid)))
        watched.flush()
    assert proved(database) == [PHONE]


def test_number_joined_long_ago_is_checked_again_although_its_person_writes(
    database: Database,
) -> None:
    account = Account(ARGENTINE, "2")
    channel = ScriptedChannel(checks_numbers=True)
    channel.account_of = lambda phone: Account(phone, "9")
    remember(database, ARGENTINE_SHORT, account, at=now_ms() - contacts.YES_KEPT_MS)
    token = link(database, ARGENTINE_SHORT, "verify")
    with watching(database, channel=channel) as watched:
        watched.take(written(1, account=account))
        watched.take(written(2, token, account))
        watched.flush()
    assert channel.checked == [ARGENTINE_SHORT]
    assert proved(database) == [None]


def test_few_numbers_are_checked_for_a_new_text_and_none_for_a_repeated_one(
    database: Database,
) -> None:
    channel = ScriptedChannel(checks_numbers=True)
    channel.check_failure = Snoozed("Too many questions.", 60)
    numbers = [f"+20100123457{last}" for last in range(4)]
    text = written(1, " ".join(link(database, number) for number in numbers))
    with watching(database, channel=channel) as watched:
        watched.take(text)
        watched.flush()
        watched.take(text)
        watched.flush()
    assert channel.checked == [numbers[3], numbers[2]]


def test_text_is_kept_if_a_check_breaks(database: Database) -> None:
    channel = ScriptedChannel(checks_numbers=True)
    channel.check_failure = ValueError("an answer that cannot be read")
    token = link(database, ARGENTINE_SHORT)
    with watching(database, channel=channel) as watched, capture_logs() as lines:
        watched.take(written(1, token))
        watched.flush()
    assert texts(database) == [token]
    assert "a number could not be checked" in {line["event"] for line in lines}


def test_logout_forgets_the_device_and_requests_a_new_process(
    database: Database, watched: Watched
) -> None:
    watched.take(StateReport("connected", "all", phone=PHONE, device="d"))
    restart = Restart("Logged out.", forget_device=True)
    watched.take(restart)
    wait_until(lambda: watched.restarts == [restart], SECONDS, "the restart")
    with database.read() as connection:
        row = records.find(connection, "main")
    assert row is not None
    assert (row.phone, row.device) == (None, None)


def test_a_receipt_is_recorded(database: Database, watched: Watched) -> None:
    (message,) = submit(database)
    record_sent(database, message, "p-1")
    watched.take(Receipt("p-1", "delivered", NOW + 1))
    watched.flush()
    assert stored(database, message).status == "delivered"


def test_early_receipts_are_held_until_their_send_is_recorded(
    database: Database, watched: Watched
) -> None:
    (message,) = submit(database)
    watched.take(Receipt("p-1", "read", NOW + 2))
    watched.take(Receipt("p-1", "delivered", NOW - 1))
    watched.flush()
    assert stored(database, message).status == "queued"
    record_sent(database, message, "p-1")
    wait_until(lambda: stored(database, message).status == "read", SECONDS, "the held receipts")
    row = stored(database, message)
    assert (row.sent_at, row.delivered_at, row.read_at) == (NOW, NOW, NOW + 2)


def test_unknown_receipt_is_dropped_after_a_while(database: Database) -> None:
    with watching(database, Timing(receipt_held=0.0)) as watched:
        (message,) = submit(database)
        watched.take(Receipt("p-1", "delivered", NOW + 1))
        watched.flush()
        record_sent(database, message, "p-1")
        watched.flush()
    assert stored(database, message).status == "sent"


def test_held_receipts_take_no_lock(database: Database, watched: Watched) -> None:
    watched.take(Receipt("unknown", "delivered", NOW + 1))
    watched.flush()
    bell = database.doorbell()
    bell.wait(0)
    # Several polls of the recorder; each would ring if it wrote.
    assert not bell.wait(4 * Timing().record_poll)
    bell.close()


@pytest.mark.parametrize("letter", ["\0", "\ud800", "\U0010ffff"])
def test_characters_that_the_database_refuses_block_no_event(
    database: Database, watched: Watched, letter: str
) -> None:
    watched.take(written(1, "before"))
    watched.take(Written(f"m{letter}", Account(f"+2{letter}", f"9{letter}"), f"bad{letter}", NOW))
    watched.take(Receipt(f"p{letter}", "read", NOW))
    watched.take(StateReport("connected", "all", detail=other(f"detail{letter}")))
    watched.take(written(3, "after"))
    watched.flush()
    found = texts(database)
    assert [found[0], found[-1]] == ["before", "after"]
    assert found[1].startswith("bad")


def test_unrecordable_event_does_not_affect_others(database: Database, watched: Watched) -> None:
    with database.write() as connection:
        if database.is_sqlite:
            connection.execute(
                text(
                    "CREATE TRIGGER no_poison BEFORE INSERT ON inbound_messages "
                    "WHEN NEW.text = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END"
                )
            )
        else:
            connection.execute(
                text("ALTER TABLE inbound_messages ADD CONSTRAINT c CHECK (text <> 'poison')")
            )
    with capture_logs() as lines:
        for number, words in enumerate(["one", "poison", "two", "poison", "three"]):
            watched.take(written(number, words))
        watched.flush()
    assert texts(database) == ["one", "two", "three"]
    lost = [line for line in lines if line["event"] == "event lost: it cannot be recorded"]
    assert len(lost) == 2


def test_unrecordable_state_is_still_passed_on(database: Database, watched: Watched) -> None:
    with database.write() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("ALTER TABLE senders RENAME TO elsewhere"))
    report = StateReport("reconnecting")
    with capture_logs():
        watched.take(report)
        wait_until(lambda: watched.states == [report], SECONDS, "the state")


def test_events_wait_while_the_database_is_locked(database: Database, impatient: Database) -> None:
    put_sender(database, "main", "starting")
    watched = Watched(impatient)
    waiting = "events cannot be recorded, trying again"
    with capture_logs() as lines:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("LOCK TABLE senders, inbound_messages, contacts"))
            watched.take(written(1))
            wait_until(
                lambda: [line["event"] for line in lines].count(waiting) >= 2, SECONDS, waiting
            )
        watched.stop()
    assert texts(database) == ["hello"]
