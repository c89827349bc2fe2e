"""Resends: only within the validity, after growing waits, at most three times."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hudhud.auth import api_keys
from hudhud.auth.caller import Caller
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import (
    Conflict,
    Gone,
    NotAllowed,
    QueueUnavailable,
    Refused,
    SenderRestricted,
    TooMany,
)
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import contacts, queue
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Failed, Outcome, Sent
from hudhud.verification.limits.rate_limits import LimitReached
from hudhud.verification.new_verification import Accepted
from hudhud.verification.resend import WAITS, Resent
from hudhud.worker.outcomes import record_outcomes
from support.keys import make_key
from support.queued import (
    NOW,
    PHONE,
    SECRET,
    VALIDITY_MS,
    caller,
    change,
    put_sender,
    starter,
    stored,
)
from support.verifying import (
    SHOP,
    accepted,
    check_code,
    jobs_of,
    kept_numbers,
    request,
    resends,
    start,
    verification,
    wrong,
)

SECOND = 1000


def sent(database: Database, who: Caller = SHOP, **changes: Any) -> str:
    """Return a verification whose message has been sent."""
    one = accepted(database, who, **changes)
    send_all(database, one.verification_id)
    return one.verification_id


def send_all(database: Database, one: str, status: str = "sent") -> None:
    """Let the channel take, or refuse, the last message."""
    job = jobs_of(database, one)[-1]
    now = job.created_at
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main", limit=9, now=now)
        took = Sent(job.id, f"p-{job.id}", now)
        broke = Failed(job.id, other("No account."), now)
        outcome: Outcome = took if status == "sent" else broke
        record_outcomes(connection, sender="main", outcomes=[outcome], now=now)


def send_again(
    database: Database, one: str, *, after: int, who: Caller = SHOP, **changes: Any
) -> Resent:
    """Resend the code, `after` milliseconds from the start."""
    with database.write() as connection:
        return resends(database, **changes).queue(
            connection, one, caller=who, request_id="r-2", now=NOW + after
        )


def refused(
    database: Database, one: str, *, after: int, who: Caller = SHOP, **changes: Any
) -> Refused:
    with pytest.raises(Refused) as error:
        send_again(database, one, after=after, who=who, **changes)
    return error.value


def test_resend_carries_the_same_code(database: Database) -> None:
    one = sent(database)
    before = verification(database, one)
    again = send_again(database, one, after=30 * SECOND)
    assert again.resends_left == 2
    first, second = jobs_of(database, one)
    assert (first.id, first.status) == (second.id - 1, "sent")
    assert (second.id, second.status) == (again.message_id, "queued")
    assert (second.phone, second.channel, second.request_id) == (first.phone, "sandbox", "r-2")
    assert (second.created_at, second.available_at) == (NOW + 30 * SECOND, NOW + 30 * SECOND)
    row = verification(database, one)
    assert (row.code_digest, row.code_sealed) == (before.code_digest, before.code_sealed)
    assert (row.status, row.resends, row.attempts) == ("pending", 1, 0)
    assert kept_numbers(database) == {"sent": 1, "queued": 1}
    with database.read() as connection:
        assert second.body_key in connection.scalars(select(tables.texts.c.key)).all()


def test_resent_code_is_sealed_and_opens(database: Database) -> None:
    one = sent(database, code="4711")
    send_again(database, one, after=30 * SECOND)
    with database.write() as connection:
        (claimed,) = queue.claim(
            connection, channel="sandbox", sender="main", limit=9, now=NOW + 30 * SECOND
        )
    assert claimed.code_sealed is not None
    assert CodeCipher(SECRET).codes.open(one, claimed.code_sealed) == "4711"


def test_resend_extends_no_validity_and_restores_no_attempt(database: Database) -> None:
    one = sent(database, code="4711")
    check_code(database, SHOP, one, wrong("4711"))
    again = send_again(database, one, after=30 * SECOND)
    row = verification(database, one)
    assert (row.expires_at, row.attempts) == (NOW + VALIDITY_MS, 1)
    assert stored(database, again.message_id).expires_at == NOW + VALIDITY_MS


def test_three_resends_are_allowed_after_growing_waits(database: Database) -> None:
    one = sent(database, ttl_seconds=900)
    after = 0
    for number, wait in enumerate(WAITS, start=1):
        after += wait * SECOND
        early = refused(database, one, after=after - 1)
        assert isinstance(early, TooMany)
        assert (early.word, early.retry_after) == ("resend_too_early", 1)
        assert send_again(database, one, after=after).resends_left == 3 - number
        send_all(database, one)
    last = refused(database, one, after=500 * SECOND)
    assert isinstance(last, TooMany)
    assert (last.word, last.retry_after) == ("resends_used_up", None)
    assert len(jobs_of(database, one)) == 4


@pytest.mark.parametrize(("after", "left"), [(0, 30), (1, 30), (1000, 29), (29_001, 1)])
def test_early_resend_is_refused_with_retry_after(
    database: Database, after: int, left: int
) -> None:
    early = refused(database, sent(database), after=after)
    assert isinstance(early, TooMany)
    assert early.retry_after == left


@pytest.mark.parametrize("status", ["queued", "sending"])
def test_resend_is_refused_while_a_message_waits_or_is_being_sent(
    database: Database, status: str
) -> None:
    one = accepted(database)
    change(database, one.message_id, status=status)
    error = refused(database, one.verification_id, after=60 * SECOND)
    assert isinstance(error, Conflict)
    assert error.word == "still_queued"


def test_failed_verification_is_pending_again_after_a_resend(database: Database) -> None:
    one = accepted(database).verification_id
    send_all(database, one, "failed")
    assert verification(database, one).status == "failed"
    send_again(database, one, after=30 * SECOND)
    row = verification(database, one)
    assert (row.status, row.ended_at) == ("pending", None)
    assert kept_numbers(database) == {"failed": 1, "queued": 1}


def test_resend_in_the_last_seconds_counts_as_expired(database: Database) -> None:
    one = sent(database)
    error = refused(database, one, after=VALIDITY_MS - LAST_CALL_MS)
    assert isinstance(error, Gone)
    assert error.word == "expired"
    send_again(database, one, after=VALIDITY_MS - LAST_CALL_MS - 1)


@pytest.mark.parametrize("status", ["approved", "canceled", "max_attempts_reached"])
def test_ended_verification_is_not_resent(database: Database, status: str) -> None:
    one = sent(database)
    with database.write() as connection:
        connection.execute(update(tables.verifications).values(status=status, code_sealed=None))
    error = refused(database, one, after=60 * SECOND)
    assert isinstance(error, Conflict)
    assert error.word == "not_pending"


def test_a_refused_resend_changes_nothing(database: Database) -> None:
    one = sent(database)
    refused(database, one, after=0)
    assert verification(database, one).resends == 0
    assert kept_numbers(database) == {"sent": 1}


def test_resend_counts_against_the_limits_of_the_requesting_key(database: Database) -> None:
    limited = caller("shop", "send", "verify", limits="per_number=2/1h per_prefix=0")
    one = sent(database, limited, ttl_seconds=900)
    again = send_again(database, one, after=30 * SECOND, who=limited)
    assert [policy.remaining for policy in again.quota.policies] == [0]
    send_all(database, one)
    error = refused(database, one, after=200 * SECOND, who=limited)
    assert isinstance(error, LimitReached)
    assert verification(database, one).resends == 1


def test_resend_is_refused_if_the_queue_is_full(database: Database) -> None:
    paced: dict[str, Any] = {
        "channel": "linked",
        "otp_ttl_seconds": 60,
        "worker_min_send_delay_ms": 10_000,
        "worker_max_send_delay_ms": 10_000,
    }
    places = 7
    many = [(caller(f"k{number}"), request()) for number in range(places)]
    first, *_ = start(database, *many, starter=starter(database, lambda: NOW, **paced))
    assert isinstance(first, Accepted)
    change(database, first.message_id, status="sent")
    start(database, (caller("another"), request()), starter=starter(database, lambda: NOW, **paced))
    one = first.verification_id
    with pytest.raises(QueueUnavailable):
        send_again(database, one, after=30 * SECOND, **paced)
    for number in range(1, 5):  # the remaining half minute has room for four
        change(database, first.message_id + number, status="canceled")
    send_again(database, one, after=30 * SECOND, **paced)


def test_resend_to_a_stranger_is_refused_while_all_senders_are_restricted(
    database: Database,
) -> None:
    (first,) = start(
        database, (SHOP, request()), starter=starter(database, lambda: NOW, channel="linked")
    )
    assert isinstance(first, Accepted)
    change(database, first.message_id, status="sent")
    put_sender(
        database, "main", "restricted", channel="linked", until=NOW + VALIDITY_MS, now=NOW + 29_000
    )
    one = first.verification_id
    with pytest.raises(SenderRestricted) as error:
        send_again(database, one, after=30 * SECOND, channel="linked")
    assert error.value.retry_after == 270
    with database.write() as connection:
        contacts.remember_wrote(connection, phone=PHONE, at=NOW, proves=True)
    send_again(database, one, after=30 * SECOND, channel="linked")


TEXTS = '''
[templates.otp.en]
wordings = ["""
{brand}: {minutes}
{code}"""]
[keys.bank]
brand = "Bank"
'''


def test_resend_is_worded_for_its_key_and_the_remaining_time(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "templates.toml").write_text(TEXTS)
    owner = api_keys.readable_prefix(make_key(database, "bank"))
    bank = Caller(owner, "bank", frozenset({"send"}), limits="per_number=0")
    asked = (bank, request(locale="en", ttl_seconds=900))
    (first,) = start(database, asked, starter=starter(database, lambda: NOW, data_dir=tmp_path))
    assert isinstance(first, Accepted)
    send_all(database, first.verification_id)
    admin = caller("root", "admin")
    again = send_again(
        database, first.verification_id, after=600 * SECOND, who=admin, data_dir=tmp_path
    )
    bodies = [stored(database, number).body for number in (first.message_id, again.message_id)]
    assert bodies == ["Bank: 15 minutes\n{code}", "Bank: 5 minutes\n{code}"]


def test_resend_falls_back_to_the_default_template(database: Database, tmp_path: Path) -> None:
    (tmp_path / "templates.toml").write_text(TEXTS.replace("otp", "payment"))
    asked = (SHOP, request(locale="en", template="payment"))
    (first,) = start(database, asked, starter=starter(database, lambda: NOW, data_dir=tmp_path))
    assert isinstance(first, Accepted)
    send_all(database, first.verification_id)
    again = send_again(database, first.verification_id, after=30 * SECOND)
    assert "Hudhud" in stored(database, again.message_id).body


def test_resend_to_a_refused_country_is_refused(database: Database) -> None:
    one = sent(database)
    with pytest.raises(NotAllowed):
        send_again(database, one, after=30 * SECOND, denied_countries="EG")
    assert len(jobs_of(database, one)) == 1
