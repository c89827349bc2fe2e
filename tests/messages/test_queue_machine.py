"""The queue loses, delays and repeats no message under any order."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import func, select

from hudhud.channels.base import Receipt, ReceiptKind
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import queue, timeline
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.counters import HAPPENINGS
from hudhud.messages.outcomes import Failed, Outcome, Returned, Sent
from hudhud.messages.queue import LEASE_MS
from hudhud.messages.receipts import record_receipts
from hudhud.verification import job_actions, lifecycle
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, VALIDITY_MS, submit
from support.stored_jobs import forget_everything

pytestmark = pytest.mark.slow

SENDERS = ["a", "b", "c"]
# The transitions of hudhud/messages/states.py, and the events that each one counts.
ARROWS: dict[tuple[str, str], tuple[str, ...]] = {
    ("queued", "sending"): (),
    ("queued", "expired"): ("expired",),
    ("queued", "canceled"): ("canceled",),
    ("sending", "queued"): (),
    ("sending", "sent"): ("sent",),
    ("sending", "failed"): ("failed",),
    ("sent", "delivered"): ("delivered",),
    ("sent", "read"): ("delivered", "read"),
    ("delivered", "read"): ("read",),
    ("failed", "queued"): (),
}
FINAL = {"sent", "delivered", "read", "failed", "expired", "canceled"}
WAITS = {"queued", "expired", "canceled"}
WAITS_MS = (1, 1000, 2000, 5000, 9000, VALIDITY_MS - LAST_CALL_MS)
KINDS: tuple[ReceiptKind, ...] = ("delivered", "read")
outcomes = st.sampled_from(["sent", "failed", "retry", "snooze"])
senders = st.sampled_from(SENDERS)


# The messages that a sender's process believes to hold, and until when.
Claims = dict[int, int]


class QueueMachine(RuleBasedStateMachine):
    """Senders that claim, send, fail and die, while time passes."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        forget_everything(database)
        self.now = NOW
        self.accepted: dict[int, int] = {}  # the id, and when its code expires
        self.claims: dict[str, Claims] = {name: {} for name in SENDERS}
        self.provider_ids: dict[str, int] = {}
        self.seen: dict[int, str] = {}
        self.happened: Counter[str] = Counter()
        self.begun: Counter[int] = Counter()

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # A single rule: Hypothesis disables some rules in each run, and most paths need many.
        getattr(self, data.draw(st.sampled_from(self.possible())))(data)

    def possible(self) -> list[str]:
        """Return the possible actions, repeating those that lead further."""
        events = ["submit", "wait", "tidy"]
        statuses = set(self.seen.values())
        if "queued" in statuses:
            events += ["claim", "claim", "claim", "cancel"]
        if any(self.claims.values()):
            events += ["record", "record", "record", "record", "renew"]
            events += ["lose_leases", "crash_and_come_back", "die_for_good"]
        if self.provider_ids:
            events += ["receipts", "receipts"]
        if "failed" in statuses:
            events += ["retry", "retry", "retry_all"]
        return events

    def submit(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, 3))
        for message in submit(self.database, count, now=self.now):
            self.accepted[message] = self.now + VALIDITY_MS
            self.happened["accepted"] += 1
        self.look()

    def claim(self, data: st.DataObject) -> None:
        sender, limit = data.draw(senders), data.draw(st.integers(1, 3))
        with self.database.write() as connection:
            claimed = queue.claim(
                connection, channel="sandbox", sender=sender, limit=limit, now=self.now
            )
        assert len(claimed) <= limit
        for message in claimed:
            assert self.now < message.expires_at - LAST_CALL_MS
            assert all(claims.get(message.id, 0) <= self.now for claims in self.claims.values())
            self.claims[sender][message.id] = self.now + LEASE_MS
            self.begun[message.id] += 1
        self.look()

    def record(self, data: st.DataObject) -> None:
        sender = data.draw(st.sampled_from([one for one in SENDERS if self.claims[one]]))
        some = data.draw(st.lists(outcomes, min_size=1, max_size=3))
        claims = self.claims[sender]
        numbers = data.draw(st.permutations(sorted(claims)))[: len(some)]
        told: list[Outcome] = []
        lost: list[tuple[int, str]] = []
        for number, outcome in zip(numbers, some, strict=False):
            del claims[number]
            provider_id = f"{number}-{len(self.provider_ids)}"
            told.append(self.outcome(number, outcome, provider_id))
            if outcome == "sent":
                self.provider_ids[provider_id] = number
            if (self.row(number).sender, self.row(number).status) != (sender, "sending"):
                lost.append((number, provider_id))
        with self.database.write() as connection:
            record_outcomes(connection, sender=sender, outcomes=told, now=self.now)
        assert all(self.row(number).provider_message_id != one for number, one in lost)
        self.look()

    def outcome(self, number: int, name: str, provider_id: str) -> Outcome:
        if name == "sent":
            return Sent(number, provider_id, self.now)
        if name == "failed":
            return Failed(number, other("No account."), self.now)
        if name == "retry":
            return Returned(number, self.now + 2000, other("Broken."), spends_attempt=True)
        return Returned(number, self.now + 9000, other("Offline."), spends_attempt=False)

    def crash_and_come_back(self, data: st.DataObject) -> None:
        sender = data.draw(senders)
        self.claims[sender] = {}
        with self.database.write() as connection:
            queue.reclaim_of(connection, sender=sender, now=self.now)
        self.look()

    def die_for_good(self, data: st.DataObject) -> None:
        sender = data.draw(senders)
        self.claims[sender] = {}

    def renew(self, data: st.DataObject) -> None:
        sender = data.draw(senders)
        with self.database.write() as connection:
            queue.extend(connection, sender=sender, now=self.now)
        for number in self.claims[sender]:
            if self.row(number).sender == sender:
                self.claims[sender][number] = self.now + LEASE_MS
        self.look()

    def lose_leases(self, _data: st.DataObject) -> None:
        """Let every lease expire; the holders may still record their outcomes."""
        self.now += LEASE_MS
        self.tidy(_data)

    def wait(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from(WAITS_MS))

    def tidy(self, _data: st.DataObject | None = None) -> None:
        with self.database.write() as connection:
            queue.reclaim(connection, now=self.now)
        for sender, claims in self.claims.items():
            held = [number for number, end in claims.items() if end > self.now]
            assert all(self.row(number).sender == sender for number in held)
        self.look()
        with self.database.write() as connection:
            queue.expire(connection, now=self.now)
            lifecycle.expire(connection, now=self.now)
        self.look()

    def receipts(self, data: st.DataObject) -> None:
        kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
        provider_ids = st.sampled_from(sorted(self.provider_ids))
        told = [Receipt(data.draw(provider_ids), kind, self.now) for kind in kinds]
        with self.database.write() as connection:
            record_receipts(connection, told, now=self.now)
        self.look()

    def retry(self, data: st.DataObject) -> None:
        failed = [number for number, status in self.seen.items() if status == "failed"]
        number = data.draw(st.sampled_from(sorted(failed)))
        with self.database.write() as connection:
            answer = job_actions.retry(connection, number, who="admin", now=self.now)
        in_time = self.accepted[number] > self.now + LAST_CALL_MS
        assert answer == ("done" if in_time else "expired")
        self.look()

    def retry_all(self, _data: st.DataObject) -> None:
        before = list(self.seen.values()).count("queued")
        with self.database.write() as connection:
            count = job_actions.count_retryable(connection, now=self.now)
            assert job_actions.retry_all(connection, who="admin", now=self.now, most=None) == count
        self.look()
        assert list(self.seen.values()).count("queued") == before + count

    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.accepted)))
        before = self.row(number).status
        with self.database.write() as connection:
            answer = job_actions.cancel(connection, number, who="admin", now=self.now)
        assert answer == ("done" if before == "queued" else "not_queued")
        self.look()

    def row(self, number: int) -> Any:
        with self.database.read() as connection:
            return connection.execute(
                select(tables.messages).where(tables.messages.c.id == number)
            ).one()

    def look(self) -> None:
        """Check that every message moved along an allowed transition."""
        with self.database.read() as connection:
            found = {row.id: row for row in connection.execute(select(tables.messages))}
        assert found.keys() == self.accepted.keys()
        for number, row in found.items():
            before = self.seen.get(number, "queued")
            if before != row.status:
                self.happened.update(ARROWS[before, row.status])
                if (before, row.status) == ("failed", "queued"):  # a retried message has not failed
                    self.happened["failed"] -= 1
            assert (row.sender is None) == (row.status in WAITS)
            assert (row.lease_expires_at is None) == (row.status != "sending")
            assert row.attempts >= 0
            if row.sent_at is not None:
                assert row.status in ("sent", "delivered", "read")
            if row.status == "read":
                assert row.delivered_at is not None
            self.seen[number] = row.status
        self.look_at_the_kept_numbers()

    def look_at_the_kept_numbers(self) -> None:
        """Check the counters against the messages and their events."""
        sums = [func.sum(tables.traffic.c[name]).label(name) for name in HAPPENINGS]
        with self.database.read() as connection:
            columns = select(tables.message_counts.c.status, tables.message_counts.c.count)
            counts = connection.execute(columns).all()
            units = connection.execute(
                select(tables.traffic.c.unit, *sums).group_by(tables.traffic.c.unit)
            ).all()
            times = select(tables.delivery_times.c.unit, func.sum(tables.delivery_times.c.count))
            arrived = connection.execute(times.group_by(tables.delivery_times.c.unit)).all()
        assert all(amount >= 0 for _status, amount in counts)
        kept = {status: amount for status, amount in counts if amount}
        assert kept == Counter(self.seen.values())
        for row in units:
            assert {name: getattr(row, name) for name in HAPPENINGS} == {
                name: self.happened[name] for name in HAPPENINGS
            }
        assert {row.unit for row in units} == ({"minute", "hour"} if self.happened else set())
        delivered = self.happened["delivered"]
        assert {unit: int(count) for unit, count in arrived} == (
            {"minute": delivered, "hour": delivered} if delivered else {}
        )

    def look_at_the_timelines(self) -> None:
        """Check that timelines show every attempt once and end correctly."""
        with self.database.read() as connection:
            for row in connection.execute(select(tables.messages)).all():
                kinds = [step.kind for step in timeline.steps_of(connection, row)]
                assert kinds[0] == "accepted"
                assert kinds.count("accepted") == kinds.count(kinds[-1]) == 1
                assert kinds.count("sending") == self.begun[row.id]
                assert kinds[-1] == row.status

    def teardown(self) -> None:
        """Check that every message ends once all codes have expired."""
        self.now = max([self.now, *self.accepted.values()]) + LEASE_MS
        self.tidy()
        assert all(status in FINAL for status in self.seen.values())
        self.look_at_the_timelines()


def test_no_message_is_lost_stuck_sent_late_or_held_twice(database: Database) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(database),  # type: ignore[arg-type] # a factory is documented too
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
