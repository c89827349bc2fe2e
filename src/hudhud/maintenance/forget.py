"""Forget a phone number by replacing it with a pseudonym.

Contacts and inbound messages are deleted, codes and callers' data erased, and queued messages
canceled; rows and times are kept.

The pseudonym is an HMAC of the number with a key that is not stored: the rows of one person remain
connected, but cannot be traced to the number.
"""

import hmac
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    or_,
    select,
    tuple_,
    update,
)

from hudhud.auth import audit_log
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed
from hudhud.core.stored_sentences import replaced, stored, with_mark
from hudhud.db import phone_index, tables
from hudhud.db.batches import Batches
from hudhud.db.engine import Database
from hudhud.db.locks import lift_time_limit
from hudhud.maintenance import phone_traces
from hudhud.maintenance.phone_traces import PhoneMatcher, Trace, has_params
from hudhud.messages import text_store, whatsapp_accounts
from hudhud.messages.states import CANCELED, QUEUED, SENDING, next_step_at
from hudhud.verification import lifecycle
from hudhud.verification.lifecycle import FAILED, PENDING, Ended
from hudhud.webhooks import events

KEY_BYTES = 32
PSEUDONYM_DIGITS = 16
# Repeat, because a code may be requested for the number, or its owner may write, during the work.
ROUNDS = 3

# Names and addresses that operators chose and use: reported, but not changed.
CHOSEN: Final = frozenset(
    {"admins", "api_keys", "recovery_codes", "second_factors", "sessions", "webhook_endpoints"}
)
# Rows that are only about the number. Changed texts are stored as new ones.
DELETED: Final = (
    tables.contacts.c.phone,
    tables.inbound_messages.c.phone,
    tables.limit_counts.c.subject,  # one pseudonym would join counts of several numbers
    tables.link_answers.c.phone,
    tables.whatsapp_accounts.c.phone,
    tables.whatsapp_accounts.c.whatsapp_phone,
)
ERASED: Final[Mapping[str, Any]] = {
    **lifecycle.ERASED,
    "code_digest": b"",
    "reference": None,
    "metadata_json": None,
    "redirect_url": None,
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits in seconds."""

    sending: float = 10.0
    """How long to wait for sends, whose outcomes may contain the number."""
    poll: float = 0.1
    between_rounds: float = 1.0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Numbers of the person, changed rows by table, and places with remaining traces."""

    numbers: Sequence[str]
    pseudonym: str
    rows: Mapping[str, int]
    left: Sequence[str]


def forget(database: Database, number: str, *, who: str, timing: Timing | None = None) -> Forgotten:
    """Replace `number` with a pseudonym, cancel its messages, and search for traces.

    The same for other spellings of the number, and other numbers of the same WhatsApp account.
    Works in small transactions while the service runs.
    Raises CommandFailed for the number of a sender.
    """
    timing = timing or Timing()
    with database.read() as connection:
        known = sorted(whatsapp_accounts.known_forms(connection, number))
        numbers = sorted(whatsapp_accounts.all_forms(connection, number))
    forgetting = _Forgetting(database, number, numbers, timing)
    forgetting.begin(who)
    for _ in range(ROUNDS):
        forgetting.cancel()
        forgetting.wait_for_sends()
        forgetting.replace()
        left = forgetting.search()
        if CHOSEN.issuperset(left):
            break
        time.sleep(timing.between_rounds)
    forgetting.clean_index()
    if not forgetting.empty_log():
        left = [*left, "the database's log, which another process is reading"]
    return Forgotten(known, forgetting.pseudonym, forgetting.rows, left)


def new_pseudonym(number: str) -> str:
    """Return a pseudonym that cannot be computed from the number again."""
    digest = hmac.digest(secrets.token_bytes(KEY_BYTES), number.encode(), "sha256")
    return f"forgotten-{digest.hex()[:PSEUDONYM_DIGITS]}"


def _delete(table: Table, connection: Connection, keys: Sequence[Any]) -> None:
    for key in keys:
        this = tuple_(*table.primary_key.columns) == tuple_(*key)
        connection.execute(delete(table).where(this))


_KEYED = ("body", "error")


class _Forgetting:
    """One run of forgetting a number."""

    def __init__(
        self, database: Database, number: str, numbers: Sequence[str], timing: Timing
    ) -> None:
        self.pseudonym = new_pseudonym(number)
        self.rows: Counter[str] = Counter()
        self._database = database
        self._numbers = numbers
        self._matcher = PhoneMatcher(numbers)
        self._batches = Batches(database)
        self._timing = timing

    def begin(self, who: str) -> None:
        """Audit the request. Raises CommandFailed for the number of a sender."""
        with self._database.write() as connection:
            for row in connection.execute(select(tables.senders.c.name, tables.senders.c.phone)):
                if self._matcher.is_in(row.phone or "") or self._matcher.is_in(row.name):
                    raise CommandFailed(
                        f"This is the number of the sender {row.name} and cannot be forgotten. "
                        "To stop sending from it, log the sender out."
                    )
            audit_log.note(
                connection,
                who=who,
                address=None,
                what="number_forgotten",
                subject=self.pseudonym,
                now=now_ms(),
            )

    def cancel(self) -> None:
        """Cancel open verifications and queued messages."""
        with self._database.write() as connection:
            now = now_ms()
            open_ones = select(tables.verifications.c.id).where(
                tables.verifications.c.phone.in_(self._numbers),
                tables.verifications.c.status.in_((PENDING, FAILED)),
            )
            ids = connection.scalars(open_ones).all()
            ended = lifecycle.cancel(connection, ids, reason="forgotten", now=now)
            waiting = update(tables.messages).where(self._of_person(QUEUED))
            canceled = waiting.values(status=CANCELED, finished_at=next_step_at(now))
            others = connection.execute(canceled).rowcount
            Ended(ended.ids, ended.canceled + others).count(connection, now=now)
            self._database.notify(connection)

    def wait_for_sends(self) -> None:
        """Wait for current sends to finish, up to `timing.sending` seconds."""
        sending = select(tables.messages.c.id).where(self._of_person(SENDING)).limit(1)
        deadline = time.monotonic() + self._timing.sending
        while self._read(sending) and time.monotonic() < deadline:
            time.sleep(self._timing.poll)

    def replace(self) -> None:
        """Replace the number with the pseudonym in all tables."""
        self._release_idempotency_keys()
        self._forget_events()
        # The texts last: by then no message refers to those that are deleted.
        for table in sorted(
            tables.metadata.tables.values(), key=lambda table: table is tables.texts
        ):
            if table.name not in CHOSEN:
                with self._database.read() as connection:
                    lift_time_limit(connection)
                    found = phone_traces.find(connection, self._matcher, table)
                self._batches.each(found, partial(self._change, table))
                self.rows[table.name] += len(found)
        self._release_idempotency_keys()  # also those used since

    def clean_index(self) -> None:
        """Merge the search index until it contains no deleted data."""
        is_first, goes_on = True, True
        while goes_on:
            with self._database.write() as connection:
                goes_on = phone_index.merge_some(connection, is_first=is_first)
            is_first = False
            time.sleep(self._batches.pause_seconds)

    def empty_log(self) -> bool:
        """Empty the database's log; return False if another process prevents it."""
        return any(self._database.empty_log() for _ in range(ROUNDS))

    def search(self) -> Sequence[str]:
        """Return the places that still contain the number."""
        with self._database.read() as connection:
            lift_time_limit(connection)
            return phone_traces.places(connection, self._matcher)

    def _of_person(self, status: str) -> ColumnElement[bool]:
        either = tables.messages.c.phone.in_((*self._numbers, self.pseudonym))
        return and_(either, tables.messages.c.status == status)

    def _read(self, statement: Select[Any]) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(statement).all()

    def _release_idempotency_keys(self) -> None:
        """Delete idempotency keys, whose digests are of bodies with the number, and answers."""
        names = (*self._numbers, self.pseudonym)
        of_person = select(tables.verifications.c.id).where(
            or_(
                tables.verifications.c.phone.in_(names),
                tables.verifications.c.proved_phone.in_(names),
            )
        )
        for table in (tables.idempotency_keys, tables.kept_answers):
            key = list(table.primary_key.columns)
            places = self._read(select(*key).where(table.c.verification_id.in_(of_person)))
            self._batches.each(places, partial(_delete, table))
            self.rows[table.name] += len(places)

    def _forget_events(self) -> None:
        done = -1
        while done != 0:
            done = self._batches.write(
                lambda connection, rows: events.forget(
                    connection, self._numbers, self.pseudonym, rows
                )
            )
            self.rows["events"] += done
            time.sleep(self._batches.pause_seconds)

    def _change(self, table: Table, connection: Connection, found: Sequence[Trace]) -> None:
        """Change or delete rows that contain the number."""
        for trace in found:
            row = tuple_(*table.primary_key.columns) == tuple_(*trace.key)
            if table is tables.texts or any(column in trace.texts for column in DELETED):
                connection.execute(delete(table).where(row))
            else:
                values = self._values(trace)
                connection.execute(update(table).where(row).values(values))
                self._keep_texts(connection, trace, values)
        if table is tables.messages:
            phone_index.merge_after(connection, len(found))

    def _without_number(self, column: Column[Any], text: str) -> str:
        def pseudonymized(part: str) -> str:
            return self._matcher.replaced(part, self.pseudonym)

        return replaced(text, pseudonymized) if has_params(column) else pseudonymized(text)

    def _values(self, trace: Trace) -> dict[str, Any]:
        """Return the row's new texts and dependent values."""
        values: dict[str, Any] = {
            column.name: self._without_number(column, text) for column, text in trace.texts.items()
        }
        values |= {
            f"{column.name}_params": with_mark(
                values[f"{column.name}_params"], before=text, now=values[column.name]
            )
            for column, text in trace.texts.items()
            if f"{column.name}_params" in values
        }
        if trace.table is tables.messages:
            values |= {
                f"{name}_key": text_store.key(values[name]) for name in _KEYED if name in values
            }
        if (
            tables.verifications.c.phone in trace.texts
            or tables.verifications.c.proved_phone in trace.texts
        ):
            values |= ERASED
        return values

    def _keep_texts(self, connection: Connection, trace: Trace, values: Mapping[str, Any]) -> None:
        """Store the new texts, so that searches find the message."""
        if "body_key" in values:
            text_store.keep(connection, [values["body"]])
        if "error_key" in values:
            changed = select(tables.messages).where(tables.messages.c.id == trace.key[0])
            found = [stored(row, "error") for row in connection.execute(changed)]
            text_store.keep_errors(connection, [error for error in found if error is not None])
