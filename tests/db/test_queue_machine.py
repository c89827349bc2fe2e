"""The queue under any order of events: nothing is lost, stuck, sent late or held twice."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from hudhud import messages, queue
from hudhud.db.engine import Database
from hudhud.db.tables import messages as table
from hudhud.db.tables import metadata
from hudhud.messages import Receipt
from hudhud.queue import LAST_CALL_MS, LEASE_MS, Failed, Returned, Sent
from support.queued import NOW, VALIDITY_MS, submit

SENDERS = ["a", "b", "c"]
# The picture in hudhud/messages.py.
ARROWS = {
    ("queued", "sending"),
    ("queued", "expired"),
    ("sending", "queued"),
    ("sending", "sent"),
    ("sending", "failed"),
    ("sent", "delivered"),
    ("sent", "read"),
    ("delivered", "read"),
}
FINAL = {"sent", "delivered", "read", "failed", "expired"}
senders = st.sampled_from(SENDERS)


# What a sender's process believes to hold, and until when.
Claims = dict[int, int]


class QueueMachine(RuleBasedStateMachine):
    """Senders that claim, send, fail, die and come back, while time passes and receipts arrive."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        with database.write() as connection:
            for one in reversed(metadata.sorted_tables):
                connection.execute(one.delete())
        self.now = NOW
        self.accepted: dict[int, int] = {}  # the id, and when its code expires
        self.claims: dict[str, Claims] = {name: {} for name in SENDERS}
        self.provider_ids: dict[str, int] = {}
        self.seen: dict[int, str] = {}

    @rule(count=st.integers(1, 3))
    def submit(self, count: int) -> None:
        for message in submit(self.database, count, now=self.now):
            self.accepted[message] = self.now + VALIDITY_MS
        self.look()

    @rule(sender=senders, limit=st.integers(1, 3))
    def claim(self, sender: str, limit: int) -> None:
        with self.database.write() as connection:
            claimed = queue.claim(
                connection, channel="sandbox", sender=sender, limit=limit, now=self.now
            )
        assert len(claimed) <= limit
        for message in claimed:
            assert self.now < message.expires_at - LAST_CALL_MS
            assert all(claims.get(message.id, 0) <= self.now for claims in self.claims.values())
            self.claims[sender][message.id] = self.now + LEASE_MS
        self.look()

    @precondition(lambda self: any(self.claims.values()))
    @rule(
        sender=senders,
        data=st.data(),
        outcome=st.sampled_from(["sent", "failed", "retry", "snooze"]),
    )
    def record(self, sender: str, data: st.DataObject, outcome: str) -> None:
        if not self.claims[sender]:
            return
        number = data.draw(st.sampled_from(sorted(self.claims[sender])))
        del self.claims[sender][number]
        provider_id = f"{number}-{len(self.provider_ids)}"
        outcomes: dict[str, queue.Outcome] = {
            "sent": Sent(number, provider_id, self.now),
            "failed": Failed(number, "No account.", self.now),
            "retry": Returned(number, self.now + 2000, "Broken.", spends_attempt=True),
            "snooze": Returned(number, self.now + 9000, "Offline.", spends_attempt=False),
        }
        held = self.row(number).sender == sender and self.row(number).status == "sending"
        with self.database.write() as connection:
            queue.record(connection, sender=sender, outcomes=[outcomes[outcome]], now=NOW)
        if outcome == "sent":
            self.provider_ids[provider_id] = number
        if not held:
            assert self.row(number).provider_message_id != provider_id
        self.look()

    @rule(sender=senders)
    def crash_and_come_back(self, sender: str) -> None:
        self.claims[sender] = {}
        with self.database.write() as connection:
            queue.reclaim_of(connection, sender=sender, now=self.now)
        self.look()

    @rule(sender=senders)
    def die_for_good(self, sender: str) -> None:
        self.claims[sender] = {}

    @rule(sender=senders)
    def renew(self, sender: str) -> None:
        with self.database.write() as connection:
            queue.extend(connection, sender=sender, now=self.now)
        for number in self.claims[sender]:
            if self.row(number).sender == sender:
                self.claims[sender][number] = self.now + LEASE_MS
        self.look()

    @rule(milliseconds=st.sampled_from([1, 1000, 5000, LEASE_MS, VALIDITY_MS - LAST_CALL_MS]))
    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds

    @rule()
    def tidy(self) -> None:
        with self.database.write() as connection:
            queue.reclaim(connection, now=self.now)
        for sender, claims in self.claims.items():
            held = [number for number, end in claims.items() if end > self.now]
            assert all(self.row(number).sender == sender for number in held)
        self.look()
        with self.database.write() as connection:
            queue.expire(connection, now=self.now)
        self.look()

    @precondition(lambda self: self.provider_ids)
    @rule(data=st.data(), kind=st.sampled_from(["delivered", "read"]))
    def receipt(self, data: st.DataObject, kind: messages.ReceiptKind) -> None:
        provider_id = data.draw(st.sampled_from(sorted(self.provider_ids)))
        with self.database.write() as connection:
            messages.record_receipts(
                connection, [Receipt(provider_id, kind, self.now)], now=self.now
            )
        self.look()

    def row(self, number: int) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(table).where(table.c.id == number)).one()

    def look(self) -> None:
        """Every message is where an arrow of the picture leads from where it was."""
        with self.database.read() as connection:
            found = {row.id: row for row in connection.execute(select(table))}
        assert found.keys() == self.accepted.keys()
        for number, row in found.items():
            before = self.seen.get(number, "queued")
            assert before == row.status or (before, row.status) in ARROWS
            assert (row.sender is None) == (row.status in ("queued", "expired"))
            assert (row.lease_expires_at is None) == (row.status != "sending")
            assert row.attempts >= 0
            if row.sent_at is not None:
                assert row.status in ("sent", "delivered", "read")
            if row.status == "read":
                assert row.delivered_at is not None
            self.seen[number] = row.status

    def teardown(self) -> None:
        """Whatever happened, every message ends once all codes have expired."""
        self.now = max([self.now, *self.accepted.values()]) + LEASE_MS
        self.tidy()
        assert all(status in FINAL for status in self.seen.values())


def test_nothing_is_lost_stuck_sent_late_or_held_twice(database: Database) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(database),  # type: ignore[arg-type] # a factory is documented too
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
