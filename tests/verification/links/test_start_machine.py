"""Links under any order of events, compared with a plain Python model.

No token works twice, for another number or after its time, and no number gets more than one refusal
an hour.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import select

from hudhud.core.phones import Phone
from hudhud.db.engine import Database
from hudhud.db.tables import verifications
from hudhud.verification import lifecycle
from hudhud.verification.links import tokens
from hudhud.verification.links.inbound import ANSWERED_AGAIN_MS
from support.links import LINK_MS, put_linked, queued, start, write
from support.queued import NOW, VALIDITY_MS
from support.stored_jobs import forget_everything
from support.verifying import kept_numbers

pytestmark = pytest.mark.slow

PHONES = ("+201001234567", "+201001234568", "+201001234569")
SENDERS = ("main", "other")
# Well-formed tokens of no link, as many as a run may need.
UNKNOWN = "ACDE-FH23-45"
WAITS_MS = (1, 1000, VALIDITY_MS, LINK_MS - 1, LINK_MS, ANSWERED_AGAIN_MS)


@dataclass
class Model:
    """The expected state of a link."""

    id: str
    token: str
    mode: str
    phone: str
    expires_at: int
    status: str = "pending"
    proved: str | None = None

    def takes(self, phone: str, now: int) -> bool:
        """Return whether this person's text uses the link up now."""
        is_open = self.status == "pending" and self.proved is None and now < self.expires_at
        return is_open and self.phone in ("", phone)


class LinkMachine(RuleBasedStateMachine):
    """Callers and people, while time passes."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.now = NOW
        forget_everything(database)
        put_linked(database)
        self.all: dict[str, Model] = {}
        self.told_at: dict[str, int] = {}
        # Recipient, sender and link of each queued message.
        self.messages: list[tuple[str, str, str | None]] = []

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # A single rule: Hypothesis disables some rules in each run, and most paths need many.
        events = ["begin"] * (1 if self.all else 9) + ["write_unknown", "wait", "tidy"]
        if self.all:
            events += ["write"] * 6 + ["cancel"]
        getattr(self, data.draw(st.sampled_from(events)))(data)
        self.look()

    def begin(self, data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(["reply", "reply", "verify"]))
        expected = PHONES if mode == "verify" else ("", *PHONES)
        number = data.draw(st.sampled_from(expected))
        phone = Phone(number, "EG") if number else None
        link = start(self.database, phone, now=self.now, mode=mode)
        one = Model(link.verification_id, link.token, mode, number, self.now + LINK_MS)
        self.all[one.id] = one
        self.now += 1

    def write(self, data: st.DataObject) -> None:
        one = self.draw(data)
        phone = data.draw(st.sampled_from([one.phone or PHONES[0], *PHONES]))
        text = data.draw(st.sampled_from([one.token, one.token.lower(), f"Hello!\n{one.token}."]))
        sender = data.draw(st.sampled_from(SENDERS))
        write(self.database, text, phone, now=self.now, sender=sender)
        if not one.takes(phone, self.now):
            self.refuse(phone, sender)
            return
        one.phone = one.proved = phone
        self.messages.append((phone, sender, one.id))
        if one.mode == "verify":
            one.status = "approved"
        else:
            one.expires_at = self.now + VALIDITY_MS

    def write_unknown(self, data: st.DataObject) -> None:
        phone = data.draw(st.sampled_from(PHONES))
        sender = data.draw(st.sampled_from(SENDERS))
        text = data.draw(st.sampled_from([UNKNOWN, UNKNOWN.lower(), "hello", ""]))
        write(self.database, text, phone, now=self.now, sender=sender)
        if tokens.looks_like_one(text):
            self.refuse(phone, sender)

    def refuse(self, phone: str, sender: str) -> None:
        if self.now - self.told_at.get(phone, 0) >= ANSWERED_AGAIN_MS:
            self.told_at[phone] = self.now
            self.messages.append((phone, sender, None))

    def cancel(self, data: st.DataObject) -> None:
        one = self.draw(data)
        with self.database.write() as connection:
            ended = lifecycle.cancel(connection, [one.id], reason="caller", now=self.now)
            ended.count(connection, now=self.now)
        assert bool(ended.ids) == (one.status == "pending")
        one.status = "canceled" if ended.ids else one.status

    def wait(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from(WAITS_MS))

    def tidy(self, _data: st.DataObject | None = None) -> None:
        with self.database.write() as connection:
            lifecycle.expire(connection, now=self.now)
        for one in self.all.values():
            if one.status == "pending" and self.now >= one.expires_at:
                one.status = "expired"

    def draw(self, data: st.DataObject) -> Model:
        """Draw one of all, preferring those that can still be used."""
        pending = [one.id for one in self.all.values() if one.status == "pending"]
        ids = data.draw(st.sampled_from([pending or list(self.all), list(self.all)]))
        return self.all[data.draw(st.sampled_from(ids))]

    def look(self) -> None:
        """Check that the database equals the model."""
        with self.database.read() as connection:
            rows = {row.id: row for row in connection.execute(select(verifications))}
        assert rows.keys() == self.all.keys()
        for one in self.all.values():
            self.look_at(one, rows[one.id])
        found = [(row.phone, row.only_sender, row.verification_id) for row in queued(self.database)]
        assert found == self.messages
        kept_numbers(self.database)

    def look_at(self, one: Model, row: Any) -> None:
        found = (row.status, row.phone, row.proved_phone, row.expires_at)
        assert found == (one.status, one.phone, one.proved, one.expires_at)
        is_open = one.status == "pending" and one.proved is None
        assert (row.link_index is not None, row.link_sealed is not None) == (is_open, is_open)
        waits_for_code = one.status == "pending" and one.proved is not None
        assert (row.code_sealed is not None) == waits_for_code

    def teardown(self) -> None:
        """Check that in the end no token and no code remains."""
        self.now += LINK_MS
        self.tidy()
        self.look()
        assert not any(one.status == "pending" for one in self.all.values())


def test_no_order_of_events_misuses_a_token(
    database: Database,
) -> None:
    run_state_machine_as_test(
        lambda: LinkMachine(database),  # type: ignore[arg-type] # a factory is documented too
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
