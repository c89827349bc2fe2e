"""Verifications under any order of events, compared with a plain Python model.

No path approves twice, after the validity or beyond the attempts; codes are erased exactly when
required; the counters match the messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import select

from hudhud.auth.caller import Caller
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import Refused
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import queue
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Failed, Outcome, Returned, Sent
from hudhud.verification import job_actions, lifecycle
from hudhud.verification.check import Check, Checked
from hudhud.verification.new_verification import Accepted
from hudhud.verification.resend import Resent
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, SECRET, starter, stored
from support.stored_jobs import forget_everything
from support.verifying import (
    ADMIN,
    MOST,
    OF_ENVIRONMENT,
    OTHER_SHOP,
    PLAIN,
    SHOP,
    check,
    kept_numbers,
    request,
    resends,
    start,
    wrong,
)

pytestmark = pytest.mark.slow

PHONES = ("+201001234567", "+201001234568")
CALLERS = (SHOP, OTHER_SHOP, PLAIN, OF_ENVIRONMENT)
RESEND_WAITS_MS = (30_000, 60_000, 120_000)
TTL_SECONDS = (60, 300, 900)
WAITS_MS = (*[1, 30_000, 60_000, 120_000] * 3, 60_000 - LAST_CALL_MS, 300_000 - LAST_CALL_MS)
# Statuses in which the code may still reach the phone, or has reached it.
HOPEFUL = {"queued", "sending", "sent"}
SPELLINGS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
CIPHER = CodeCipher(SECRET)


@dataclass
class Model:
    """The expected state of a verification; `jobs` are its messages, oldest first."""

    id: str
    caller: Caller
    phone: str
    code: str
    expires_at: int
    status: str = "pending"
    reason: str | None = None
    attempts: int = 0
    resends: int = 0
    has_code: bool = True
    jobs: list[int] = field(default_factory=list)

    def check(self, *, is_right: bool, now: int) -> str:
        """Check a code; return the word of the outcome."""
        if self.status == "approved":
            return "already_used"
        if self.status == "max_attempts_reached":
            return "max_attempts_reached"
        if self.status == "expired" or (self.status == "pending" and now >= self.expires_at):
            return "expired"
        if self.status != "pending":
            return "nothing_pending"
        if is_right:
            self.end("approved")
            return "valid"
        self.attempts += 1
        if self.attempts == MOST:
            self.end("max_attempts_reached")
        return "wrong"

    def end(self, status: str, reason: str | None = None) -> None:
        """End it for good."""
        self.status, self.reason, self.has_code = status, reason, False


class VerificationMachine(RuleBasedStateMachine):
    """Callers, users, an admin and a sender, while time passes."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.now = NOW
        self.starter = starter(database, lambda: self.now)
        self.resends = resends(database)
        forget_everything(database)
        self.all: dict[str, Model] = {}
        self.jobs: dict[int, str] = {}
        self.sent_at: dict[int, int] = {}  # creation time of each message
        self.approved: list[str] = []

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # A single rule: Hypothesis disables some rules in each run, and most paths need many.
        getattr(self, data.draw(st.sampled_from(self.possible())))(data)
        self.look()

    def possible(self) -> list[str]:
        """Return the possible actions, repeating those that lead further."""
        events = ["wait", "tidy", *(["start"] if self.pending() else ["start"] * 9)]
        if self.all:
            events += ["check"] * 4 + ["cancel"] + ["resend"] * 4
        statuses = set(self.jobs.values())
        if "queued" in statuses:
            events += ["claim"] * 4 + ["cancel_job"]
        if "sending" in statuses:
            events += ["record"] * 4 + ["come_back"]
        if "failed" in statuses:
            events += ["retry"] * 2
        return events

    def start(self, data: st.DataObject) -> None:
        asked = data.draw(
            st.lists(
                st.tuples(
                    st.sampled_from(CALLERS), st.sampled_from(PHONES), st.sampled_from(TTL_SECONDS)
                ),
                min_size=1,
                max_size=3,
            )
        )
        # The test chooses the codes, because Hypothesis cannot repeat random ones.
        codes = [f"{len(self.all) + place:04d}" for place in range(len(asked))]
        wanted = [
            (who, request(phone, code=code, ttl_seconds=seconds))
            for (who, phone, seconds), code in zip(asked, codes, strict=True)
        ]
        results = start(self.database, *wanted, now=self.now, starter=self.starter)
        newest = {}
        for (who, phone, seconds), code, result in zip(asked, codes, results, strict=True):
            assert isinstance(result, Accepted)
            assert result.code == code
            one = Model(result.verification_id, who, phone, code, self.now + seconds * 1000)
            self.all[one.id] = newest[who.owner, phone] = one
            self.add_job(one, result.message_id)
            self.now += 1
        for (owner, phone), latest in newest.items():
            for older in self.pending():
                if (older.caller.owner, older.phone) == (owner, phone) and older is not latest:
                    self.supersede(older)

    def supersede(self, older: Model) -> None:
        if older.caller in (
            PLAIN,
            OF_ENVIRONMENT,
        ):  # its code may be compared elsewhere
            older.status, older.reason = "canceled", "superseded"
        else:
            older.end("canceled", "superseded")
            self.cancel_jobs(older)

    def check(self, data: st.DataObject) -> None:
        """Check a group, like simultaneous checks."""
        asked = [self.draw_check(data) for _ in range(data.draw(st.integers(1, 4)))]
        found = [(self.found(one), one) for one in asked]
        results = check(self.database, *asked, now=self.now)
        for (one, asked_for), result in zip(found, results, strict=True):
            self.compare(one, asked_for, result)

    def draw_check(self, data: st.DataObject) -> Check:
        one = self.draw(data)
        typed = data.draw(st.sampled_from([one.code, *[wrong(one.code)] * 5]))
        spelled = data.draw(
            st.sampled_from([typed, typed.translate(SPELLINGS), f" {typed[:2]}\u00a0-{typed[2:]}"])
        )
        who = data.draw(st.sampled_from([one.caller, one.caller, ADMIN, OTHER_SHOP]))
        name = data.draw(st.sampled_from(["id", "job", "phone"]))
        if name == "id":
            return Check(who, spelled, verification_id=one.id)
        if name == "job":
            return Check(who, spelled, job_id=data.draw(st.sampled_from(one.jobs)))
        return Check(who, spelled, phone=one.phone)

    def found(self, asked: Check) -> Model | None:
        """Return the verification that a check refers to."""
        seen = [one for one in self.all.values() if asked.caller.sees(one.caller.owner)]
        if asked.phone is not None:
            of_phone = [one for one in seen if one.phone == asked.phone]
            return max(of_phone, key=self.is_checked_first, default=None)
        return next(
            (one for one in seen if one.id == asked.verification_id or asked.job_id in one.jobs),
            None,
        )

    def is_checked_first(self, one: Model) -> tuple[bool, str]:
        """Return the newest pending one, otherwise the newest."""
        return one.status == "pending" and self.now < one.expires_at, one.id

    def compare(self, one: Model | None, asked: Check, result: Checked | Exception) -> None:
        if one is None:
            assert isinstance(result, Refused)
            assert result.word == "nothing_pending"
            return
        is_right = str(asked.typed).replace(" ", "").replace("\u00a0", "").replace("-", "") in (
            one.code,
            one.code.translate(SPELLINGS),
        )
        outcome = one.check(is_right=is_right, now=self.now)
        if outcome in ("valid", "wrong"):
            assert isinstance(result, Checked), result
            assert result.verification_id == one.id
            assert (result.is_valid, result.status) == (outcome == "valid", one.status)
            assert result.attempts_remaining == MOST - one.attempts
            if one.status != "pending":
                self.cancel_jobs(one)
        else:
            assert isinstance(result, Refused)
            assert result.word == outcome
        if isinstance(result, Checked) and result.is_valid:
            assert self.now < one.expires_at
            self.approved.append(one.id)

    def cancel(self, data: st.DataObject) -> None:
        one = self.draw(data)
        with self.database.write() as connection:
            ended = lifecycle.cancel(connection, [one.id], reason="caller", now=self.now)
            ended.count(connection, now=self.now)
        assert bool(ended.ids) == (one.status in ("pending", "failed"))
        if ended.ids:
            one.end("canceled", "caller")
            assert self.cancel_jobs(one) == ended.canceled

    def resend(self, data: st.DataObject) -> None:
        arrived = [
            one.id
            for one in self.all.values()
            if self.refusal_of_resend(one) in (None, "resend_too_early", "resends_used_up")
        ]
        ids = data.draw(st.sampled_from([arrived or list(self.all), list(self.all)]))
        one = self.all[data.draw(st.sampled_from(ids))]
        if self.refusal_of_resend(one) == "resend_too_early":
            may_at = self.sent_at[one.jobs[-1]] + RESEND_WAITS_MS[one.resends]
            self.now = may_at - data.draw(st.sampled_from([0, 0, 1]))
        expected = self.refusal_of_resend(one)
        if expected is None:
            self.resent(one, self.queue_again(one))
            return
        with pytest.raises(Refused) as refused:
            self.queue_again(one)
        assert refused.value.word == expected

    def queue_again(self, one: Model) -> Resent:
        with self.database.write() as connection:
            return self.resends.queue(
                connection, one.id, caller=one.caller, request_id="r", now=self.now
            )

    def refusal_of_resend(self, one: Model) -> str | None:
        last = one.jobs[-1]
        if one.status == "expired" or self.now >= one.expires_at - LAST_CALL_MS:
            return "expired"
        if one.status not in ("pending", "failed"):
            return "not_pending"
        if self.jobs[last] in ("queued", "sending"):
            return "still_queued"
        if one.resends == len(RESEND_WAITS_MS):
            return "resends_used_up"
        is_early = self.now < self.sent_at[last] + RESEND_WAITS_MS[one.resends]
        return "resend_too_early" if is_early else None

    def resent(self, one: Model, again: Resent) -> None:
        one.status = "pending"
        one.resends += 1
        assert again.resends_left == len(RESEND_WAITS_MS) - one.resends
        self.add_job(one, again.message_id)

    def claim(self, data: st.DataObject) -> None:
        limit = data.draw(st.integers(1, 3))
        with self.database.write() as connection:
            claimed = queue.claim(
                connection, channel="sandbox", sender="main", limit=limit, now=self.now
            )
        for message in claimed:
            one = self.of_job(message.id)
            assert self.jobs[message.id] == "queued"
            assert self.now < message.expires_at - LAST_CALL_MS
            assert message.code_sealed is not None
            assert CIPHER.codes.open(one.id, message.code_sealed) == one.code
            self.jobs[message.id] = "sending"
        assert len(claimed) + self.cancel_void() <= limit
        if data.draw(st.booleans()):
            self.record(data)

    def cancel_void(self) -> int:
        """Record the queued messages that were canceled because their code was erased."""
        void = [
            number
            for number in self.jobs_in("queued")
            if stored(self.database, number).status == "canceled"
        ]
        assert not any(self.of_job(number).has_code for number in void)
        self.jobs.update(dict.fromkeys(void, "canceled"))
        return len(void)

    def record(self, data: st.DataObject) -> None:
        """Record that the channel took, refused or postponed messages."""
        told: list[Outcome] = []
        for number in self.jobs_in("sending"):
            status = data.draw(st.sampled_from(["sent", "sent", "failed", "queued", "sending"]))
            if status != "sending":
                told.append(self.outcome(number, status))
                self.jobs[number] = status
        with self.database.write() as connection:
            record_outcomes(connection, sender="main", outcomes=told, now=self.now)
        for one in {self.of_job(outcome.message_id).id for outcome in told}:
            self.fail_without_hope(self.all[one])

    def outcome(self, number: int, status: str) -> Outcome:
        if status == "sent":
            return Sent(number, f"p-{number}", self.now)
        if status == "failed":
            return Failed(number, other("No account."), self.now)
        return Returned(number, self.now, other("Broken."), spends_attempt=True)

    def fail_without_hope(self, one: Model) -> None:
        if one.status == "pending" and self.is_hopeless(one):
            one.status = "failed"

    def come_back(self, _data: st.DataObject) -> None:
        """Restart the sender after its process was killed."""
        with self.database.write() as connection:
            queue.reclaim_of(connection, sender="main", now=self.now)
        self.jobs.update(dict.fromkeys(self.jobs_in("sending"), "queued"))

    def cancel_job(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.jobs)))
        with self.database.write() as connection:
            answer = job_actions.cancel(connection, number, who="admin", now=self.now)
        assert (answer == "done") == (self.jobs[number] == "queued")
        if answer == "done":
            self.jobs[number] = "canceled"
            one = self.of_job(number)
            if one.status in ("pending", "failed") and self.is_hopeless(one):
                one.end("canceled", "admin")

    def retry(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.jobs_in("failed")))
        with self.database.write() as connection:
            answer = job_actions.retry(connection, number, who="admin", now=self.now)
        one = self.of_job(number)
        is_in_time = self.now < one.expires_at - LAST_CALL_MS
        assert (answer == "done") == (one.has_code and is_in_time)
        if answer == "done":
            self.jobs[number] = "queued"
            one.status = "pending" if one.status == "failed" else one.status

    def wait(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from(WAITS_MS))

    def tidy(self, _data: st.DataObject | None = None) -> None:
        with self.database.write() as connection:
            queue.expire(connection, now=self.now)
        for number, status in self.jobs.items():
            is_over = self.now >= self.of_job(number).expires_at - LAST_CALL_MS
            self.jobs[number] = "expired" if status == "queued" and is_over else status
        with self.database.write() as connection:
            lifecycle.expire(connection, now=self.now)
        for one in self.all.values():
            if self.now >= one.expires_at:
                one.has_code = False
                one.status = "expired" if one.status == "pending" else one.status

    def draw(self, data: st.DataObject) -> Model:
        """Draw one of all, preferring those that can still change."""
        pending = [one.id for one in self.pending()]
        names = data.draw(st.sampled_from([pending or list(self.all), list(self.all)]))
        return self.all[data.draw(st.sampled_from(names))]

    def pending(self) -> Sequence[Model]:
        return [one for one in self.all.values() if one.status == "pending"]

    def of_job(self, number: int) -> Model:
        return next(one for one in self.all.values() if number in one.jobs)

    def add_job(self, one: Model, number: int) -> None:
        one.jobs.append(number)
        self.jobs[number] = "queued"
        self.sent_at[number] = self.now

    def cancel_jobs(self, one: Model) -> int:
        waiting = [number for number in one.jobs if self.jobs[number] == "queued"]
        self.jobs.update(dict.fromkeys(waiting, "canceled"))
        return len(waiting)

    def is_hopeless(self, one: Model) -> bool:
        return not any(self.jobs[number] in HOPEFUL for number in one.jobs)

    def jobs_in(self, status: str) -> list[int]:
        return [number for number, found in self.jobs.items() if found == status]

    def look(self) -> None:
        """Check that the database equals the model."""
        with self.database.read() as connection:
            rows = {row.id: row for row in connection.execute(select(tables.verifications))}
            jobs = {row.id: row.status for row in connection.execute(select(tables.messages))}
        assert rows.keys() == self.all.keys()
        for one in self.all.values():
            self.look_at(one, rows[one.id])
        assert jobs == self.jobs
        kept_numbers(self.database)
        assert len(set(self.approved)) == len(self.approved)

    def look_at(self, one: Model, row: Any) -> None:
        found = (row.status, row.reason, row.attempts, row.resends)
        assert found == (one.status, one.reason, one.attempts, one.resends)
        assert row.attempts <= MOST
        assert row.expires_at == one.expires_at
        assert (row.ended_at is None) == (row.status == "pending")
        assert (row.code_sealed is not None) == one.has_code
        assert (row.code_index is not None) == one.has_code
        assert (row.status == "approved") == (one.id in self.approved)
        if row.status in ("approved", "expired", "max_attempts_reached"):
            assert row.code_sealed is None
        if row.status == "pending":
            assert row.code_sealed is not None

    def teardown(self) -> None:
        """Check that no pending verification and no code remains."""
        self.now += max(TTL_SECONDS) * 1000
        self.tidy()
        self.look()
        assert not self.pending()
        assert not any(one.has_code for one in self.all.values())


def test_no_order_of_events_approves_twice_too_late_or_beyond_the_attempts(
    database: Database,
) -> None:
    run_state_machine_as_test(
        lambda: VerificationMachine(database),  # type: ignore[arg-type] # a factory is documented too
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
