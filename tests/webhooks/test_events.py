"""Events: written with their cause, only for subscribers, and without secrets."""

import json
from typing import Any

import pytest
from sqlalchemy import Row, select, text, update

from hudhud.channels.base import Receipt, ReceiptKind, State, StateReport
from hudhud.core.phones import Phone
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import queue, receipts
from hudhud.messages.outcomes import Failed, Outcome, Returned, Sent
from hudhud.senders import records
from hudhud.verification import lifecycle
from hudhud.verification.new_verification import Accepted, SendRequest
from hudhud.webhooks import delivery_log, endpoints, events
from hudhud.webhooks.event_types import KINDS
from hudhud.worker.outcomes import record_outcomes
from support.queued import NOW, PHONE, VALIDITY_MS, accept, caller, starter
from support.receivers import CIPHER, add_endpoint

URL = "https://shop.example/hudhud"
OTHER = "+447700900118"


def told(database: Database, kinds: str = "") -> list[Row[Any]]:
    """Return the events whose kinds have this prefix, oldest first."""
    with database.read() as connection:
        rows = connection.execute(select(tables.events).order_by(tables.events.c.id)).all()
    return [row for row in rows if row.kind.startswith(kinds)]


def kinds_of(database: Database, kinds: str = "") -> list[str]:
    return [row.kind for row in told(database, kinds)]


def data(row: Row[Any]) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(row.payload)
    return payload


def send(database: Database, number: str = PHONE, **request: Any) -> Accepted:
    """Start a verification with its message, as the API does."""
    start = starter(database)
    owner = request.pop("owner", "k")
    new = start.make(
        SendRequest(Phone(number, "EG"), **request), caller=caller(owner), request_id="r", now=NOW
    )
    with database.write() as connection:
        (result,) = start.write(connection, [new])
    assert isinstance(result, Accepted)
    return result


def claim(database: Database, count: int = 1) -> None:
    with database.write() as connection:
        taken = queue.claim(connection, channel="sandbox", sender="main", limit=count, now=NOW)
    assert len(taken) == count


def record(database: Database, *outcomes: Outcome, sender: str = "main") -> None:
    with database.write() as connection:
        record_outcomes(connection, sender=sender, outcomes=outcomes, now=NOW)


def receipt(database: Database, kind: ReceiptKind) -> None:
    with database.write() as connection:
        receipts.record_receipts(connection, [Receipt("provider", kind, NOW + 9)], now=NOW + 9)


def report(database: Database, *states: State) -> None:
    for state in states:
        with database.write() as connection:
            records.register(connection, name="main", channel="sandbox", now=NOW)
            records.report(connection, name="main", new=StateReport(state), now=NOW)


def report_and_fail(database: Database) -> None:
    with database.write() as connection:
        records.register(connection, name="main", channel="sandbox", now=NOW)
        records.report(connection, name="main", new=StateReport("connected"), now=NOW)
        raise ZeroDivisionError


def test_no_event_is_written_without_an_endpoint(database: Database) -> None:
    sent = send(database)
    claim(database)
    record(database, Sent(sent.message_id, "provider", NOW))
    receipt(database, "read")
    report(database, "connected")
    assert told(database) == []


def test_only_subscribed_kinds_are_written(database: Database) -> None:
    add_endpoint(database, URL, ["message.sent", "verification.approved"])
    sent = send(database)
    claim(database)
    record(database, Sent(sent.message_id, "provider", NOW))
    receipt(database, "read")
    assert kinds_of(database) == ["message.sent"]


def test_disabled_endpoint_gets_no_events(database: Database) -> None:
    added = add_endpoint(database, URL)
    with database.write() as connection:
        endpoints.disable(connection, added.id, reason=other("r"), now=NOW)
    send(database)
    assert told(database) == []


def test_a_verification_is_described_without_its_code(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(
        database,
        code="73519462",
        reference="order 7",
        metadata_json='{"cart": [1, "é"]}',
        locale="ar",
    )
    (row,) = told(database, "verification.created")
    assert row.subject == sent.verification_id
    assert data(row) == {
        "verificationId": sent.verification_id,
        "status": "pending",
        "phoneNumber": PHONE,
        "whatsappNumber": None,
        "channel": "sandbox",
        "reference": "order 7",
        "metadata": {"cart": [1, "é"]},
        "template": "otp",
        "locale": "ar",
        "createdAt": "2026-11-24T01:31:18.036Z",
        "expiresAt": "2026-11-24T01:36:18.036Z",
        "endedAt": None,
        "reason": None,
        "provedNumber": None,
        "linkMode": None,
        "redirectUrl": None,
    }
    assert "73519462" not in "".join(each.payload for each in told(database))


@pytest.mark.parametrize(("wanted", "kept"), [(None, "ar"), ("in_ID", "id"), ("iw", "ar")])
def test_events_have_the_language_of_the_message(
    database: Database, wanted: str | None, kept: str
) -> None:
    add_endpoint(database, URL)
    sent = send(database, locale=wanted)
    with database.write() as connection:
        lifecycle.approve(connection, sent.verification_id, now=NOW)
    found = told(database, "verification.")
    assert [row.kind for row in found] == ["verification.created", "verification.approved"]
    assert [data(row)["locale"] for row in found] == [kept, kept]


def test_every_end_of_a_verification_is_an_event(database: Database) -> None:
    add_endpoint(database, URL)
    sent = [send(database, owner=f"owner {number}").verification_id for number in range(4)]
    with database.write() as connection:
        lifecycle.approve(connection, sent[0], now=NOW)
        lifecycle.cancel(connection, [sent[1]], reason="caller", now=NOW)
        lifecycle.exhaust_attempts(connection, sent[2], now=NOW)
        lifecycle.expire(connection, now=NOW + VALIDITY_MS)
    ended = {data(row)["verificationId"]: row for row in told(database, "verification.")[4:]}
    assert [ended[one].kind for one in sent] == [
        "verification.approved",
        "verification.canceled",
        "verification.failed",
        "verification.expired",
    ]
    assert [data(ended[one])["status"] for one in sent] == [
        "approved",
        "canceled",
        "max_attempts_reached",
        "expired",
    ]
    assert data(ended[sent[1]])["reason"] == "caller"


def test_message_events_are_written_up_to_read(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database, reference="order 7")
    claim(database)
    record(database, Sent(sent.message_id, "provider", NOW + 3))
    receipt(database, "delivered")
    receipt(database, "read")
    receipt(database, "read")
    rows = told(database, "message.")
    assert [row.kind for row in rows] == ["message.sent", "message.delivered", "message.read"]
    assert {row.subject for row in rows} == {sent.verification_id}
    assert data(rows[2]) == {
        "jobId": sent.message_id,
        "verificationId": sent.verification_id,
        "status": "read",
        "phoneNumber": PHONE,
        "whatsappNumber": None,
        "channel": "sandbox",
        "reference": "order 7",
        "metadata": None,
        "error": None,
        "createdAt": "2026-11-24T01:31:18.036Z",
        "sentAt": "2026-11-24T01:31:18.039Z",
        "deliveredAt": "2026-11-24T01:31:18.045Z",
        "readAt": "2026-11-24T01:31:18.045Z",
        "finishedAt": None,
    }


def test_read_message_also_has_a_delivered_event(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    claim(database)
    record(database, Sent(sent.message_id, "provider", NOW))
    receipt(database, "read")
    delivered, read = told(database, "message.")[1:]
    assert (delivered.kind, data(delivered)["status"]) == ("message.delivered", "delivered")
    assert data(delivered)["readAt"] is None
    assert (read.kind, data(read)["status"]) == ("message.read", "read")


def test_failure_event_with_its_error_precedes_its_consequences(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    claim(database)
    record(database, Failed(sent.message_id, other("No such account."), NOW + 1))
    assert kinds_of(database)[1:] == ["message.failed", "verification.failed"]
    failed = data(told(database, "message.failed")[0])
    assert (failed["status"], failed["error"]) == ("failed", "No such account.")


def test_returned_message_causes_no_event(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    claim(database)
    record(database, Returned(sent.message_id, NOW, other("Later."), spends_attempt=True))
    assert told(database, "message.") == []


def test_outcome_after_a_lost_lease_causes_no_event(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    claim(database)
    record(database, Sent(sent.message_id, "provider", NOW), sender="another")
    record(database, Sent(sent.message_id, "provider", NOW))
    record(database, Sent(sent.message_id, "provider", NOW))
    assert kinds_of(database, "message.") == ["message.sent"]


def test_expired_message_causes_a_failed_event(database: Database) -> None:
    add_endpoint(database, URL)
    send(database)
    with database.write() as connection:
        assert queue.expire(connection, now=NOW + VALIDITY_MS) == 1
    failed = data(told(database, "message.failed")[0])
    assert (failed["status"], failed["error"]) == ("expired", queue.TOO_OLD.english())
    assert failed["finishedAt"] == "2026-11-24T01:36:18.036Z"


def test_sender_event_is_written_only_when_its_meaning_changes(database: Database) -> None:
    add_endpoint(database, URL)
    report(database, "starting", "pairing", "connected", "connected")
    report(database, "reconnecting", "starting", "replaced", "stopped")
    report(database, "starting", "connected", "restricted", "connected", "logged_out", "pairing")
    assert kinds_of(database) == [
        "sender.connected",
        "sender.disconnected",
        "sender.connected",
        "sender.restricted",
        "sender.connected",
        "sender.logged_out",
    ]
    disconnected = data(told(database, "sender.disconnected")[0])
    assert disconnected == {
        "name": "main",
        "state": "reconnecting",
        "detail": records.usual("reconnecting").english(),
        "until": None,
    }


def test_sender_that_never_connected_causes_no_disconnected_event(database: Database) -> None:
    add_endpoint(database, URL)
    report(database, "starting", "reconnecting", "stopped")
    assert told(database) == []


def test_silent_sender_causes_a_disconnected_event(database: Database) -> None:
    add_endpoint(database, URL)
    report(database, "connected")
    with database.write() as connection:
        records.beat(connection, name="main", now=NOW)
        records.note_silence(connection, name="main", now=NOW + 10 * records.LATE_MS)
    report(database, "starting", "connected")
    assert kinds_of(database) == ["sender.connected", "sender.disconnected", "sender.connected"]


def test_sandbox_of_test_keys_causes_no_sender_events(database: Database) -> None:
    add_endpoint(database, URL)
    with database.write() as connection:
        records.register(connection, name="phone", channel="linked", now=NOW)
    report(database, "connected", "stopped", "connected")
    with database.write() as connection:
        records.beat(connection, name="main", now=NOW)
        records.note_silence(connection, name="main", now=NOW + 10 * records.LATE_MS)
        records.report(connection, name="phone", new=StateReport("connected"), now=NOW)
    assert [data(row)["name"] for row in told(database)] == ["phone"]


def test_endpoint_of_a_key_gets_only_its_events(database: Database) -> None:
    everything = add_endpoint(database, URL)
    own = add_endpoint(database, URL, owner="shop")
    mine, others = send(database, owner="shop"), send(database, owner="bank")
    report(database, "connected")
    with database.read() as connection:
        to_all = delivery_log.page(connection, endpoint_id=everything.id, limit=10)
        to_one = delivery_log.page(connection, endpoint_id=own.id, limit=10)
    assert {row.subject for row in to_all} == {
        mine.verification_id,
        others.verification_id,
        "main",
    }
    assert {row.subject for row in to_one} == {mine.verification_id}


def test_events_of_other_keys_are_not_written(database: Database) -> None:
    add_endpoint(database, URL, owner="shop")
    send(database, owner="bank")
    assert told(database) == []


def test_events_of_a_group_are_written_in_order(database: Database) -> None:
    add_endpoint(database, URL)
    add_endpoint(database, URL)
    count = events.AT_ONCE + 7
    accepted = accept(database, count)
    rows = told(database)
    assert {row.subject for row in rows} == {one.verification_id for one in accepted}
    assert len({row.event_id for row in rows}) == count
    with database.read() as connection:
        planned = connection.execute(
            select(tables.webhook_deliveries).order_by(tables.webhook_deliveries.c.id)
        ).all()
    assert len(planned) == 2 * count
    assert [row.event_id for row in planned] == sorted(row.event_id for row in planned)


def test_rolled_back_change_leaves_no_event(database: Database) -> None:
    add_endpoint(database, URL)
    with pytest.raises(ZeroDivisionError):
        report_and_fail(database)
    assert told(database) == []


def test_old_events_are_deleted_with_their_deliveries_in_batches(database: Database) -> None:
    add_endpoint(database, URL)
    accept(database, 5)
    with database.write() as connection:
        connection.execute(update(tables.webhook_deliveries).values(status="delivered"))
        connection.execute(update(tables.events).values(created_at=NOW))
        connection.execute(
            update(tables.events)
            .where(tables.events.c.id.in_(select(tables.events.c.id).limit(3)))
            .values(created_at=NOW - 10)
        )
    counts = []
    for _ in range(3):
        with database.write() as connection:
            found = events.find_old(connection, NOW)
            counts.append(events.delete_old(connection, found[:2]))
    assert counts == [2, 1, 0]
    with database.read() as connection:
        left = connection.scalars(select(tables.webhook_deliveries.c.event_id)).all()
    assert sorted(left) == [row.id for row in told(database)]
    assert len(left) == 2


@pytest.mark.parametrize("comes_first", [True, False])
def test_forgetting_a_number_removes_it_from_events(database: Database, comes_first: bool) -> None:  # noqa: FBT001 -- a case
    add_endpoint(database, URL)
    sent = send(database, reference="Mrs X", metadata_json='{"email": "x@example.com"}')
    kept = send(database, OTHER, reference="stays", owner="bank")
    claim(database, 2)
    record(
        database,
        Failed(sent.message_id, other(f"{PHONE.removeprefix('+')}@s.whatsapp.net is unknown"), NOW),
        Sent(kept.message_id, "provider", NOW),
    )
    if comes_first:
        with database.write() as connection:
            connection.execute(
                update(tables.verifications)
                .where(tables.verifications.c.id == sent.verification_id)
                .values(phone="forgotten-1")
            )
    counts = []
    for _ in range(3):
        with database.write() as connection:
            counts.append(events.forget(connection, [PHONE], "forgotten-1", 2))
    assert counts == [2, 1, 0]
    payloads = "".join(row.payload for row in told(database))
    assert PHONE.removeprefix("+") not in payloads
    assert "Mrs X" not in payloads
    assert "x@example.com" not in payloads
    assert payloads.count('"forgotten-1"') == 3
    assert payloads.count(OTHER) == 2
    assert payloads.count('"stays"') == 2


def test_forgetting_a_number_removes_receivers_answers(
    database: Database,
) -> None:
    add_endpoint(database, URL)
    send(database)
    send(database, OTHER)
    with database.write() as connection:
        connection.execute(update(tables.webhook_deliveries).values(last_error="Mrs X, you again?"))
        assert events.forget(connection, [PHONE], "forgotten-1", 10) == 1
        kept = connection.scalars(
            select(tables.webhook_deliveries.c.last_error).order_by(tables.webhook_deliveries.c.id)
        ).all()
    assert kept == [None, "Mrs X, you again?"]


def test_forgetting_a_number_removes_it_as_proved_number(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    with database.write() as connection:
        lifecycle.approve(connection, sent.verification_id, now=NOW, proved_phone=OTHER)
        assert events.forget(connection, [OTHER], "forgotten-2", 10) == 1
    approved = data(told(database, "verification.approved")[0])
    assert (approved["phoneNumber"], approved["provedNumber"]) == (PHONE, "forgotten-2")


def test_forgetting_a_number_removes_the_redirect_url_of_its_link(
    database: Database,
) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    with database.write() as connection:
        of_this = update(tables.verifications).where(
            tables.verifications.c.id == sent.verification_id
        )
        connection.execute(of_this.values(phone="", redirect_url="https://shop.example/?user=7"))
        events.verification_changed(
            connection, "verification.expired", [sent.verification_id], now=NOW
        )
        connection.execute(of_this.values(phone=PHONE))
        assert events.forget(connection, [PHONE], "forgotten-4", 10) == 2
        assert events.forget(connection, [PHONE], "forgotten-4", 10) == 0
    (expired,) = told(database, "verification.expired")
    assert (data(expired)["phoneNumber"], data(expired)["redirectUrl"]) == (None, None)


def test_event_without_a_verification_is_written_and_forgotten(database: Database) -> None:
    add_endpoint(database, URL)
    sent = send(database)
    with database.write() as connection:
        connection.execute(text("UPDATE messages SET verification_id = NULL"))
        events.messages_changed(connection, "message.sent", [sent.message_id], now=NOW)
    (row,) = told(database, "message.sent")
    assert (row.subject, row.api_key) == (f"job {sent.message_id}", None)
    with database.write() as connection:
        assert events.forget(connection, [PHONE], "forgotten-3", 10) == 2
    assert data(told(database, "message.sent")[0])["phoneNumber"] == "forgotten-3"


def test_every_kind_can_be_subscribed_to(database: Database) -> None:
    with database.write() as connection:
        added = endpoints.add(connection, CIPHER, url=URL, kinds=KINDS, owner=None, now=NOW)
        found = endpoints.find(connection, added.id)
    assert found is not None
    assert tuple(found.kinds.split()) == KINDS
