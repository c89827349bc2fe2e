"""Alerts about disabled or failing endpoints, and about their recovery."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from hudhud.core.clock import now_ms
from hudhud.core.sentences import other
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_endpoints
from hudhud.maintenance.alerts.send import Alerts
from hudhud.maintenance.alerts.state import AlertState, read_all
from hudhud.maintenance.alerts.webhooks import FAILING_MS
from hudhud.webhooks import endpoints
from support.inbox import Inbox
from support.receivers import add_endpoint

# apprise imports this deprecated module of Python if it exists.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A reachable target."""
    opened = Inbox()
    yield opened
    opened.close()


def settle(database: Database, inbox: Inbox, machines: int = 2) -> None:
    """Check on several machines and wait for the resulting deliveries."""
    for _ in range(machines):
        alerts = Alerts(database, [inbox.address], most_reconnects=5)
        alerts.check()
        alerts.wait(20)


def fail_since(database: Database, moment: int | None) -> None:
    with database.write() as connection:
        connection.execute(update(webhook_endpoints).values(failing_since=moment))


def test_disabled_endpoint_and_its_return_are_each_alerted_once(
    database: Database, inbox: Inbox
) -> None:
    added = add_endpoint(database, "https://shop.example/hudhud?token=secret")
    settle(database, inbox)
    with database.write() as connection:
        endpoints.disable(connection, added.id, reason=other("It answered 410."), now=now_ms())
    settle(database, inbox)
    assert inbox.titles() == ["Hudhud: webhook endpoint 1 is disabled"]
    body = str(inbox.messages[0]["message"])
    assert "It answered 410." in body
    assert "hudhud webhooks enable 1" in body
    assert "secret" not in body
    with database.write() as connection:
        endpoints.enable(connection, added.id, now=now_ms())
    settle(database, inbox)
    assert inbox.titles()[1:] == ["Hudhud: webhook endpoint 1 works again"]


def test_what_was_told_of_an_endpoint_is_forgotten_with_it(
    database: Database, inbox: Inbox
) -> None:
    added = add_endpoint(database, "https://shop.example/hudhud")
    fail_since(database, now_ms() - FAILING_MS)
    settle(database, inbox)
    with database.write() as connection:
        assert read_all(connection) == {"endpoint 1": AlertState("failing")}
        endpoints.remove(connection, added.id)
    settle(database, inbox)
    with database.read() as connection:
        assert read_all(connection) == {}


def test_endpoint_that_fails_for_a_day_is_alerted_once(database: Database, inbox: Inbox) -> None:
    add_endpoint(database, "https://shop.example/hudhud")
    fail_since(database, now_ms() - FAILING_MS + 3_600_000)
    settle(database, inbox)
    assert inbox.tries == 0
    fail_since(database, now_ms() - FAILING_MS)
    settle(database, inbox)
    assert inbox.titles() == ["Hudhud: webhook endpoint 1 is failing"]
    fail_since(database, None)
    settle(database, inbox)
    assert len(inbox.messages) == 2
