"""Forgetting a number removes every trace and keeps other numbers."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, LargeBinary, Table, Text, func, insert, select, update

from hudhud.auth.audit_log import note
from hudhud.auth.caller import Caller
from hudhud.channels.base import Account, Inbound, StateReport
from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import CommandFailed
from hudhud.core.phones import Phone
from hudhud.core.rates import Rate
from hudhud.core.sentences import other, say
from hudhud.core.stored_sentences import columns
from hudhud.core.stored_sentences import stored as sentence_of
from hudhud.db import phone_index, tables
from hudhud.db.engine import Database
from hudhud.db.tables import metadata
from hudhud.maintenance.forget import CHOSEN, Forgotten, Timing, forget, new_pseudonym
from hudhud.maintenance.phone_traces import PhoneMatcher
from hudhud.messages import contacts, counters, queue, text_store, timeline, whatsapp_accounts
from hudhud.messages.outcomes import Failed
from hudhud.senders import records
from hudhud.verification.check import Check
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.rate_limits import Limit
from hudhud.webhooks import event_types, events
from hudhud.worker.outcomes import record_outcomes
from support import links
from support.queued import PHONE, SECRET, accept, put_sender, stored, submit, verification_of
from support.stored_jobs import StoredJob, index_phones, put_jobs
from support.verifying import SHOP, check, request, start

pytestmark = pytest.mark.slow

OTHER = "+201001234568"
LONGER = "+2010012345678"
PSEUDONYM = re.compile(r"forgotten-[0-9a-f]{16}")
# What is to be waited for is waited for briefly.
QUICK = Timing(sending=0.2, between_rounds=0.0)


def done(database: Database, phone: str = PHONE, timing: Timing = QUICK) -> Forgotten:
    return forget(database, phone, who="cli", timing=timing)


def dump(database: Database) -> str:
    """Return the whole database as one text."""
    with database.read() as connection:
        return "\n".join(
            repr(tuple(row))
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
        )


def rows(database: Database, table: Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def found_by_search(database: Database, piece: str) -> list[int]:
    with database.read() as connection:
        parts = phone_index.holding(connection, piece, alone=True)
        return [number for part in parts for number in connection.scalars(part)]


def test_rows_of_one_person_get_one_pseudonym_and_others_keep_their_number(
    database: Database,
) -> None:
    mine, others = submit(database, 2, now=now_ms()), submit(database, now=now_ms(), phone=OTHER)
    forgotten = done(database)
    assert PSEUDONYM.fullmatch(forgotten.pseudonym)
    assert not forgotten.left
    for message in mine:
        assert stored(database, message).phone == forgotten.pseudonym
        assert verification_of(database, message).phone == forgotten.pseudonym
    assert stored(database, others[0]).phone == verification_of(database, others[0]).phone == OTHER
    assert {name: count for name, count in forgotten.rows.items() if count} == {
        "messages": 2,
        "verifications": 2,
    }


def test_pseudonym_reveals_nothing_of_the_number(database: Database) -> None:
    assert new_pseudonym(PHONE) != new_pseudonym(PHONE)
    first = done(database).pseudonym
    assert done(database).pseudonym != first


def test_open_verifications_are_canceled_first(database: Database) -> None:
    (waiting,) = submit(database, now=now_ms())
    done(database)
    row = verification_of(database, waiting)
    assert (row.status, row.reason) == ("canceled", "forgotten")
    assert stored(database, waiting).status == "canceled"
    with database.read() as connection:
        assert counters.counts(connection) == {"queued": 0, "canceled": 1}


def test_codes_references_and_metadata_are_erased(database: Database) -> None:
    (message,) = submit(database, now=now_ms())
    values = {"reference": "order 7", "metadata_json": "{}", "redirect_url": "https://shop"}
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(values | {"link_index": b"x"}))
    done(database)
    row = verification_of(database, message)
    assert (row.code_sealed, row.code_index, row.link_index, row.code_digest) == (None,) * 3 + (
        b"",
    )
    assert (row.reference, row.metadata_json, row.redirect_url) == (None, None, None)


def test_number_that_was_only_proved_is_found(database: Database) -> None:
    (message,) = submit(database, now=now_ms(), phone=OTHER)
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(proved_phone=PHONE, reference="me"))
    forgotten = done(database)
    row = verification_of(database, message)
    assert (row.phone, row.proved_phone) == (OTHER, forgotten.pseudonym)
    assert row.reference is None


def test_search_finds_the_pseudonym_but_not_the_number(database: Database) -> None:
    mine, others = submit(database, now=now_ms()), submit(database, now=now_ms(), phone=OTHER)
    digits = PHONE.removeprefix("+")
    assert found_by_search(database, digits) == mine
    forgotten = done(database)
    assert found_by_search(database, digits) == []
    assert found_by_search(database, digits[:-1]) == others
    assert found_by_search(database, forgotten.pseudonym[-16:]) == mine


def test_errors_and_steps_that_name_the_number_are_rewritten(database: Database) -> None:
    error = f"No session with {PHONE[1:]}@s.whatsapp.net, called {PHONE}."
    (message,) = put_jobs(database, StoredJob(status="failed", error=error, phone=OTHER))
    with database.write() as connection:
        steps = select(tables.messages.c.id)
        timeline.keep_attempts(connection, steps, kind="attempt_failed", at=1, error=other(error))
    forgotten = done(database)
    name = forgotten.pseudonym
    row = stored(database, message)
    assert row.error == f"No session with {name}@s.whatsapp.net, called {name}."
    assert row.error_key == text_store.key(row.error)
    with database.read() as connection:
        assert text_store.find(connection, PHONE[1:]) == []
        assert text_store.find(connection, name) == [row.error_key]
        (step,) = [
            one for one in timeline.steps_of(connection, row) if one.kind == "attempt_failed"
        ]
    assert step.error == other(row.error)


def test_number_after_a_json_escape_is_found(database: Database) -> None:
    error = say("job.not_taken", detail=f"\x10{PHONE[1:]}")
    (message,) = put_jobs(database, StoredJob(status="failed", phone=OTHER))
    with database.write() as connection:
        connection.execute(
            update(tables.messages)
            .where(tables.messages.c.id == message)
            .values(columns("error", error))
        )
    name = done(database).pseudonym
    row = stored(database, message)
    assert PHONE[1:] not in row.error_params
    assert sentence_of(row, "error") == say("job.not_taken", detail=f"\x10{name}")


def test_inbound_messages_are_deleted(database: Database) -> None:
    with database.write() as connection:
        for number, phone in enumerate((PHONE, OTHER)):
            said = Inbound(f"m-{number}", phone, f"my other number is {PHONE}", now_ms())
            contacts.keep_inbound(connection, sender="main", message=said)
            contacts.remember_wrote(connection, phone=phone, at=1, proves=True)
    forgotten = done(database)
    (kept,) = rows(database, tables.inbound_messages)
    assert (kept.phone, kept.text) == (OTHER, f"my other number is {forgotten.pseudonym}")
    assert [row.phone for row in rows(database, tables.contacts)] == [OTHER]


def test_idempotency_keys_are_deleted(database: Database) -> None:
    submit(database, now=now_ms())
    submit(database, now=now_ms(), phone=OTHER)
    for number, row in enumerate(rows(database, tables.verifications)):
        key = {"api_key": "k", "key_digest": str(number).encode(), "body_digest": b""}
        with database.write() as connection:
            more = {"verification_id": row.id, "created_at": now_ms()}
            connection.execute(insert(tables.idempotency_keys), key | more)
    done(database)
    (kept,) = rows(database, tables.idempotency_keys)
    (other,) = [row for row in rows(database, tables.verifications) if row.phone == OTHER]
    assert kept.verification_id == other.id


def keyed(number: int, who: Caller = SHOP) -> IdempotentRequest:
    """The key and body of a request."""
    return IdempotentRequest.of(who.owner, str(number), b"{}", CodeCipher(SECRET))


def test_answers_to_repeated_requests_are_deleted(database: Database) -> None:
    links.put_linked(database)
    now = now_ms()
    for number, phone in enumerate((PHONE, OTHER)):
        link = links.start(database, Phone(phone, "EG"), by=SHOP, now=now, idempotent=keyed(number))
        links.write(database, link.token, phone, now=now)
        wrong = Check(SHOP, "x", verification_id=link.verification_id, idempotent=keyed(number))
        check(database, wrong, now=now)
    assert len(rows(database, tables.kept_answers)) == 4
    forgotten = done(database)
    assert forgotten.rows["kept_answers"] == 2
    kept = rows(database, tables.kept_answers)
    (others,) = [row.id for row in rows(database, tables.verifications) if row.phone == OTHER]
    assert [(row.endpoint, row.verification_id) for row in kept] == [
        ("link", others),
        ("verify", others),
    ]


def test_answer_of_a_number_that_was_only_proved_is_deleted(database: Database) -> None:
    (message,) = submit(database, now=now_ms(), phone=OTHER)
    one = verification_of(database, message).id
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(proved_phone=PHONE, api_key="shop"))
    check(database, Check(SHOP, "x", verification_id=one, idempotent=keyed(1)), now=now_ms())
    assert len(rows(database, tables.kept_answers)) == 1
    done(database)
    assert rows(database, tables.kept_answers) == []


@pytest.fixture
def someone_asks_with_keys(database: Database) -> Iterator[None]:
    """Concurrent code requests for the number, each with its own Idempotency-Key."""
    stopping = threading.Event()

    def ask() -> None:
        number = 0
        while not stopping.wait(0.001):
            number += 1
            start(database, (SHOP, request(idempotent=keyed(number))), now=now_ms())

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("someone_asks_with_keys")
def test_keys_used_during_the_run_are_deleted_with_the_number(database: Database) -> None:
    forgotten = done(database)
    kept = {row.verification_id for row in rows(database, tables.idempotency_keys)}
    of_person = {
        row.id for row in rows(database, tables.verifications) if row.phone == forgotten.pseudonym
    }
    assert of_person
    assert kept.isdisjoint(of_person)


def test_number_reference_and_metadata_are_removed_from_events(database: Database) -> None:
    with database.write() as connection:
        endpoint = {
            "url": "https://shop",
            "kinds": " ".join(event_types.KINDS),
            "secret_sealed": b"x",
        }
        connection.execute(insert(tables.webhook_endpoints), endpoint | {"created_at": 1})
    submit(database, now=now_ms())
    with database.write() as connection:
        values = {"reference": "order 7", "metadata_json": '{"name":"Amal"}'}
        connection.execute(update(tables.verifications).values(values))
        ids = connection.scalars(select(tables.verifications.c.id)).all()
        events.verification_changed(connection, "verification.approved", ids, now=now_ms())
    forgotten = done(database)
    payloads = [json.loads(row.payload) for row in rows(database, tables.events)]
    assert len(payloads) >= 2
    assert {one["phoneNumber"] for one in payloads} == {forgotten.pseudonym}
    assert {one["metadata"] for one in payloads} == {None}
    assert "order 7" not in dump(database)


def test_audit_records_the_action_without_the_number(database: Database) -> None:
    with database.write() as connection:
        note(connection, who="admin", address=None, what="code_search", subject=PHONE, now=1)
    forgotten = done(database)
    first, last = rows(database, tables.audit)
    assert first.subject == forgotten.pseudonym
    assert (last.what, last.who, last.outcome) == ("number_forgotten", "cli", "ok")
    assert last.subject == forgotten.pseudonym


def test_no_text_column_keeps_the_number(database: Database) -> None:
    put_sender(database, "main")
    submit(database, now=now_ms(), phone=OTHER)
    for table in metadata.sorted_tables:
        if table.name not in CHOSEN and table.name not in ("senders", "verifications"):
            put_row_about(database, table, PHONE)
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(reference=f"customer {PHONE}"))
    assert PHONE in dump(database)
    forgotten = done(database)
    assert not forgotten.left
    assert PHONE[1:] not in dump(database)
    assert forgotten.pseudonym in dump(database)


def put_row_about(database: Database, table: Table, phone: str) -> None:
    """Insert a row with the number in every text column."""
    with database.write() as connection:
        row: dict[str, Any] = {}
        for column in table.columns:
            if column.foreign_keys:
                row[column.name] = _any_of(connection, next(iter(column.foreign_keys)))
            elif isinstance(column.type, LargeBinary):
                row[column.name] = b"x"
            elif isinstance(column.type, Text) or "Text" in type(column.type).__name__:
                row[column.name] = f"{column.name} of {phone} and {phone[1:]}"
            elif not (column.primary_key and column.name == "id"):
                row[column.name] = 1
        connection.execute(insert(table), row)


def _any_of(connection: Any, key: ForeignKey) -> Any:
    return connection.scalar(select(key.column).limit(1))


def test_longer_number_with_the_same_prefix_is_kept(database: Database) -> None:
    (message,) = submit(database, now=now_ms(), phone=LONGER)
    forgotten = done(database)
    assert stored(database, message).phone == LONGER
    assert not forgotten.left


@pytest.mark.parametrize(
    ("text", "is_in"),
    [
        (PHONE, True),
        (PHONE[1:], True),
        (f"00{PHONE[1:]}", True),
        (f"tel:{PHONE};x", True),
        (f"{PHONE}0", False),
        (f"1{PHONE[1:]}", False),
        (PHONE[:-1], False),
    ],
)
def test_matcher_finds_only_the_whole_number(text: str, *, is_in: bool) -> None:
    matcher = PhoneMatcher([PHONE])
    assert matcher.is_in(text) is is_in
    assert (PHONE[1:] in matcher.replaced(text, "x")) is (not is_in and PHONE[1:] in text)


@pytest.mark.parametrize("phone", [PHONE, PHONE[1:]])
def test_number_of_a_sender_is_refused(database: Database, phone: str) -> None:
    put_sender(database, "main")
    with database.write() as connection:
        report = StateReport("connected", phone=phone)
        records.report(connection, name="main", new=report, now=now_ms())
    before = dump(database)
    with pytest.raises(CommandFailed, match="the number of the sender main"):
        done(database)
    assert dump(database) == before


def test_operators_values_are_reported_and_not_changed(database: Database) -> None:
    with database.write() as connection:
        endpoint = {"url": f"https://shop/{PHONE[1:]}", "kinds": "k", "secret_sealed": b"x"}
        connection.execute(insert(tables.webhook_endpoints), endpoint | {"created_at": 1})
    assert done(database).left == ["webhook_endpoints"]
    assert PHONE[1:] in rows(database, tables.webhook_endpoints)[0].url


def test_message_being_sent_is_completed_first(database: Database) -> None:
    submit(database, now=now_ms())
    with database.write() as connection:
        (claimed,) = queue.claim(
            connection, channel="sandbox", sender="main@m", limit=1, now=now_ms()
        )
    patient = replace(QUICK, sending=20.0)
    thread = threading.Thread(target=done, args=(database, PHONE, patient))
    thread.start()
    error = say("job.not_taken", detail=f"{'long ' * 40}{PHONE}")
    while not rows(database, tables.audit):
        assert thread.is_alive()
    assert stored(database, claimed.id).phone == PHONE
    with database.write() as connection:
        failed = Failed(claimed.id, error, now_ms())
        record_outcomes(connection, sender="main@m", outcomes=[failed], now=now_ms())
    thread.join()
    assert stored(database, claimed.id).status == "failed"
    assert PHONE[1:] not in dump(database)


def test_returned_message_is_not_sent_to_a_pseudonym(database: Database) -> None:
    (message,) = submit(database, now=now_ms())
    with database.write() as connection:
        connection.execute(update(tables.messages).values(status="sending", sender="gone@m"))
    forgotten = done(database)
    with database.write() as connection:
        queue.reclaim_of(connection, sender="gone@m", now=now_ms())
    assert stored(database, message).phone == forgotten.pseudonym
    assert verification_of(database, message).code_sealed is None


def test_many_rows_are_changed_in_batches(database: Database) -> None:
    accept(database, 60, now=now_ms())
    forgotten = done(database)
    with database.read() as connection:
        of_person = select(func.count()).where(tables.messages.c.phone == forgotten.pseudonym)
        assert connection.scalar(of_person) == 60
    assert forgotten.rows["messages"] == 60


def test_forgotten_number_can_return_as_a_new_one(database: Database) -> None:
    submit(database, now=now_ms())
    done(database)
    (again,) = submit(database, now=now_ms())
    assert stored(database, again).phone == PHONE
    assert verification_of(database, again).status == "pending"


@pytest.fixture
def someone_asks_on(database: Database) -> Iterator[None]:
    """Concurrent code requests for the number."""
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.wait(0.01):
            submit(database, now=now_ms())

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("someone_asks_on")
def test_tables_filled_during_the_run_are_reported(database: Database) -> None:
    timing = replace(QUICK, between_rounds=0.3)
    assert {"messages", "verifications"} <= set(done(database, timing=timing).left)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_database_files_do_not_contain_the_number(database: Database) -> None:
    submit(database, 3)
    submit(database, 40, phone=OTHER)
    with database.write() as connection:
        index_phones(connection, 30)
    log, file = (Path(f"{database.url.database}{ending}") for ending in ("-wal", ""))
    assert PHONE.encode() in log.read_bytes() + file.read_bytes()
    assert done(database).left == []
    assert PHONE.encode() not in log.read_bytes() + file.read_bytes()
    with database.read() as connection:
        segments = connection.exec_driver_sql(
            "SELECT count(DISTINCT segid) FROM message_phones_idx"
        ).scalar_one()
    assert segments == 1


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_write_ahead_log_held_by_a_reader_is_reported(
    database: Database, impatient: Database
) -> None:
    submit(database)
    with database.read() as connection:
        connection.execute(select(tables.messages)).all()
        assert done(impatient).left == ["the database's log, which another process is reading"]
    assert done(impatient).left == []


def test_counts_of_two_numbers_of_one_person_are_deleted(database: Database) -> None:
    """Both count the same send at the same time, and get one pseudonym."""
    short, long = "+541112345678", "+5491112345678"
    with database.write() as connection:
        account = Account(phone=long, lid="77")
        whatsapp_accounts.remember(connection, phone=short, account=account)
        numbers = whatsapp_accounts.numbers_of(connection, [short])[short]
        limits = [Limit("per_number", f"per_number {short}", (Rate(5, HOUR_MS),), 1)]
        applying = rate_limits.for_each_number(limits, short, numbers)
        rate_limits.take(connection, [applying], now=now_ms())
    assert len(rows(database, tables.limit_counts)) == 2
    assert not done(database, long).left
    assert rows(database, tables.limit_counts) == []


@pytest.mark.parametrize("phone", ["+5561991234567", "+5561991111111"])
def test_all_forms_of_a_number_and_its_account_are_forgotten(
    database: Database, phone: str
) -> None:
    own, whatsapps = "+5561991234567", "+556191234567"
    account = Account(phone=whatsapps, lid="100000000000077")
    with database.write() as connection:
        for number in (own, "+5561991111111"):
            whatsapp_accounts.remember(connection, phone=number, account=account)
        contacts.remember_wrote(connection, phone=whatsapps, at=1, proves=True)
    submit(database, now=now_ms(), phone=own)
    submit(database, now=now_ms(), phone="+5561991111111")
    put_jobs(database, StoredJob(phone="+5505561991234567", status="sent"))  # not a form of it
    put_jobs(database, StoredJob(phone="+55061991234567", status="sent"))  # with the prefix
    forgotten = done(database, phone)
    assert set(forgotten.numbers) == {own, whatsapps, "+5561991111111"}
    assert not forgotten.left
    text = dump(database)
    traces = ("61991234567", "6191234567", "61991111111", "100000000000077")
    assert [one for one in traces if one in text] == ["61991234567"]
    assert "+5505561991234567" in text
