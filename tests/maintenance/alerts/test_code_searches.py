"""The alert about many searches for codes: one for all of a day."""

from collections.abc import Iterator

import pytest

from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.maintenance.alerts.send import Alerts
from hudhud.maintenance.alerts.state import read_all
from hudhud.messages import code_searches
from support.inbox import Inbox

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


def search(database: Database, count: int, *, now: int) -> None:
    cipher = CodeCipher("s" * 32)
    with database.write() as connection:
        for number in range(count):
            code_searches.take(connection, cipher, who="key shop", code=f"{number:04}", now=now)


def test_one_alert_covers_all_searches_of_a_day(database: Database, inbox: Inbox) -> None:
    start = now_ms() - code_searches.KEPT_MS + 60_000
    search(database, code_searches.MOST, now=start)
    settle(database, inbox)
    assert inbox.titles() == []
    for window in range(3):
        search(database, code_searches.MOST + 1, now=start + window * code_searches.WINDOW_MS)
        settle(database, inbox)
    assert inbox.titles() == ["Hudhud: key shop searches for many codes"]
    assert "revoke the key" in str(inbox.messages[0]["message"])
    with database.write() as connection:
        code_searches.purge(connection, before=now_ms(), limit=99)
    settle(database, inbox)
    with database.read() as connection:
        assert read_all(connection) == {}
