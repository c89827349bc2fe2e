"""Alerts to a real target: each problem and its end once."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, update

from conftest import settings
from hudhud.app import alert_targets_of
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.db.tables import alerts as alert_states
from hudhud.db.tables import senders
from hudhud.maintenance.alerts.send import (
    MOST_ATTEMPTS,
    Alerts,
    unusable_targets,
)
from hudhud.maintenance.alerts.state import UNTOLD, AlertState, read_all
from support.inbox import Inbox
from support.services import wait_until

# apprise imports this deprecated module of Python if it exists.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A reachable target."""
    opened = Inbox()
    yield opened
    opened.close()


@pytest.fixture
def second_inbox() -> Iterator[Inbox]:
    """Another target."""
    opened = Inbox()
    yield opened
    opened.close()


def alerts_to(database: Database, *inboxes: Inbox, first_wait_ms: int = 60_000) -> Alerts:
    """Return alerts that go to these targets."""
    addresses = [inbox.address for inbox in inboxes]
    return Alerts(database, addresses, most_reconnects=5, first_wait_ms=first_wait_ms)


def set_state(database: Database, state: str, **columns: Any) -> None:
    values = {"state": state, "state_since": now_ms(), "failed_reconnects": 0, **columns}
    with database.write() as connection:
        changed = connection.execute(
            update(senders).where(senders.c.name == "main").values(**values)
        )
        if changed.rowcount == 0:
            connection.execute(insert(senders).values(name="main", channel="linked", **values))


def recorded(database: Database) -> AlertState:
    """What the database says of the sender `main`."""
    with database.read() as connection:
        return read_all(connection).get("sender main", UNTOLD)


def settle(alerts: Alerts) -> None:
    """Check the senders once and wait for the resulting deliveries."""
    alerts.check()
    alerts.wait(20)


def settle_until_sent(alerts: Alerts, database: Database) -> None:
    """Repeat the check until the alert about a logout is recorded as sent."""

    def is_sent() -> bool:
        settle(alerts)
        return recorded(database) == AlertState("logged_out")

    wait_until(is_sent, 30, "the alert")


@pytest.mark.parametrize("state", ["logged_out", "restricted", "outdated", "replaced"])
def test_problem_and_its_end_are_each_alerted_once(
    database: Database, inbox: Inbox, state: str
) -> None:
    alerts = alerts_to(database, inbox)
    set_state(database, state, detail="This happened. Do that.")
    for _ in range(3):
        settle(alerts)
    assert len(inbox.messages) == 1
    assert "main" in inbox.messages[0]["title"]
    assert inbox.messages[0]["message"] == "This happened. Do that."
    assert recorded(database) == AlertState(state)
    set_state(database, "connected", detail="Connected.")
    for _ in range(3):
        settle(alerts)
    assert inbox.titles()[1:] == ["Hudhud: sender main is connected again"]
    assert recorded(database) == UNTOLD


def test_sender_without_problems_causes_no_alert(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox)
    for state in ("starting", "pairing", "connected", "reconnecting", "connected", "stopped"):
        set_state(database, state)
        settle(alerts)
    assert inbox.tries == 0


def test_alerts_of_the_previous_version_are_not_repeated(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox)
    set_state(database, "logged_out", alerted_state="logged_out")
    for _ in range(3):
        settle(alerts)
    assert recorded(database) == AlertState("logged_out")
    set_state(database, "connected", alerted_state=None)
    for _ in range(3):
        settle(alerts)
    assert recorded(database) == UNTOLD
    assert inbox.tries == 0


def test_alert_is_taken_over_when_the_previous_version_fails_to_send_it(
    database: Database, inbox: Inbox
) -> None:
    alerts = alerts_to(database, inbox)
    set_state(database, "logged_out", alerted_state=f"- logged_out 1 {now_ms() + 60_000}")
    settle(alerts)
    assert inbox.tries == 0
    set_state(database, "logged_out", alerted_state=f"- logged_out 1 {now_ms() - 1}")
    for _ in range(3):
        settle(alerts)
    assert inbox.tries == 1
    assert recorded(database) == AlertState("logged_out")


def test_new_qr_code_after_a_logout_does_not_end_the_problem(
    database: Database, inbox: Inbox
) -> None:
    alerts = alerts_to(database, inbox)
    for state in ("logged_out", "starting", "pairing", "logged_out", "pairing", "connected"):
        set_state(database, state)
        settle(alerts)
    assert inbox.titles() == [
        "Hudhud: sender main is logged out",
        "Hudhud: sender main is connected again",
    ]


def test_reconnecting_is_alerted_after_the_configured_number_of_failures(
    database: Database, inbox: Inbox
) -> None:
    alerts = alerts_to(database, inbox)
    for failures in (0, 4, 5, 6, 50):
        set_state(database, "reconnecting", failed_reconnects=failures)
        settle(alerts)
    assert inbox.titles() == ["Hudhud: sender main cannot connect"]
    assert "5 times" in inbox.messages[0]["message"]


def test_changed_problem_is_alerted_again(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox)
    for state in ("restricted", "logged_out"):
        set_state(database, state)
        settle(alerts)
    assert len(inbox.messages) == 2
    assert recorded(database) == AlertState("logged_out")


def test_state_without_its_own_sentence_names_a_remedy(database: Database, inbox: Inbox) -> None:
    set_state(database, "outdated", detail=None)
    settle(alerts_to(database, inbox))
    assert "Update Hudhud" in inbox.messages[0]["message"]


def test_only_one_of_several_machines_sends_an_alert(database: Database, inbox: Inbox) -> None:
    machines = [alerts_to(database, inbox) for _ in range(4)]
    set_state(database, "logged_out")
    threads = [threading.Thread(target=machine.check) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for machine in machines:
        machine.wait(20)
        settle(machine)
    assert len(inbox.messages) == 1


def test_slow_target_does_not_delay_the_check(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox)
    set_state(database, "logged_out")
    inbox.open.clear()
    alerts.check()
    wait_until(lambda: inbox.tries == 1, 20, "the sending to begin")
    alerts.check()
    assert inbox.messages == []
    assert recorded(database).told is None, "not told before it is sent"
    inbox.open.set()
    alerts.wait(20)
    assert inbox.tries == 1
    assert recorded(database) == AlertState("logged_out")


def test_a_failed_alert_is_repeated_until_it_succeeds(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox, first_wait_ms=1)
    set_state(database, "logged_out")
    inbox.answer = 500

    def failed_three_times() -> bool:
        settle(alerts)
        return inbox.tries >= 3

    wait_until(failed_three_times, 30, "three tries")
    inbox.answer = 200
    settle_until_sent(alerts, database)
    settle(alerts)
    assert len(inbox.messages) == 1


def test_a_failed_alert_is_not_repeated_at_once(database: Database, inbox: Inbox) -> None:
    alerts = alerts_to(database, inbox)
    set_state(database, "logged_out")
    inbox.answer = 500
    for _ in range(3):
        settle(alerts)
    assert inbox.tries == 1
    state = recorded(database)
    assert (state.told, state.telling, state.attempts) == (None, "logged_out", 1)
    assert state.next_attempt_at > now_ms()


def test_a_restart_goes_on_with_what_was_not_sent(database: Database, inbox: Inbox) -> None:
    set_state(database, "logged_out")
    inbox.answer = 500
    settle(alerts_to(database, inbox, first_wait_ms=1))
    inbox.answer = 200
    restarted = alerts_to(database, inbox)
    settle_until_sent(restarted, database)
    assert len(inbox.messages) == 1


def test_repetition_skips_targets_that_got_the_alert(
    database: Database, inbox: Inbox, second_inbox: Inbox
) -> None:
    alerts = alerts_to(database, inbox, second_inbox, first_wait_ms=1)
    set_state(database, "logged_out")
    second_inbox.answer = 500

    def failed_twice() -> bool:
        settle(alerts)
        return second_inbox.tries >= 2

    wait_until(failed_twice, 30, "two tries")
    second_inbox.answer = 200
    settle_until_sent(alerts, database)
    assert (len(inbox.messages), len(second_inbox.messages)) == (1, 1)


def test_problem_that_ended_before_its_delivery_is_not_alerted(
    database: Database, inbox: Inbox
) -> None:
    alerts = alerts_to(database, inbox, first_wait_ms=1)
    set_state(database, "logged_out")
    inbox.answer = 500
    settle(alerts)
    inbox.answer = 200
    set_state(database, "connected")

    def forgotten() -> bool:
        settle(alerts)
        return recorded(database) == UNTOLD

    wait_until(forgotten, 30, "the record to be clear")
    assert inbox.messages == []


def test_undeliverable_alert_is_dropped_after_a_day(database: Database, inbox: Inbox) -> None:
    set_state(database, "logged_out", alerted_state="logged_out")
    with database.write() as connection:
        worn_out = AlertState(None, "logged_out", MOST_ATTEMPTS, now_ms() - 1)
        connection.execute(insert(alert_states).values(subject="sender main", **worn_out._asdict()))
    settle(alerts_to(database, inbox))
    assert inbox.tries == 0
    assert recorded(database) == AlertState("logged_out")


def test_without_targets_no_alert_is_recorded(database: Database) -> None:
    set_state(database, "logged_out")
    settle(Alerts(database, [], most_reconnects=5))
    assert recorded(database) == UNTOLD


def test_unknown_target_hides_its_secret_and_does_not_affect_others(
    database: Database, inbox: Inbox, capsys: pytest.CaptureFixture[str]
) -> None:
    set_state(database, "logged_out")
    addresses = ["nosuch://hunter2", "tgram://hunter2/1", inbox.address]
    settle(Alerts(database, addresses, most_reconnects=5))
    assert len(inbox.messages) == 1
    said = "".join(capsys.readouterr())
    assert "nosuch://…" in said
    assert "hunter2" not in said


def test_telegram_is_a_target_if_both_its_variables_are_set() -> None:
    token = "123456789:AbCdEfGhIjKlMnOpQrStUvWxYz012345678"
    both = alert_targets_of(settings(telegram_bot_token=token, telegram_chat_id="-1001234"))
    assert both == [f"tgram://{token}/-1001234/"]
    assert unusable_targets(both) == []
    assert alert_targets_of(settings(telegram_bot_token=token)) == []
    assert alert_targets_of(settings(telegram_chat_id="1")) == []


def test_invalid_targets_are_named_without_their_secrets() -> None:
    lines = unusable_targets(["nosuch://hunter2", "tgram://hunter2/1", "json://h"])
    assert len(lines) == 2
    assert "nosuch://…" in lines[0]
    assert "hunter2" not in "".join(lines)
