"""A repeated request with one Idempotency-Key yields one message."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import func, select, text

from hudhud.auth.caller import Caller
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import Contradiction, QueueUnavailable
from hudhud.db.engine import Database
from hudhud.db.tables import idempotency_keys, messages
from hudhud.db.upserts import insert_rows
from hudhud.verification import idempotency, lifecycle
from hudhud.verification.check import Check
from hudhud.verification.idempotency import KEPT_MS, IdempotentRequest
from hudhud.verification.new_verification import Accepted, SendRequest
from support.plans import postgres_rows, sqlite_steps, statements_of
from support.queued import NOW, PHONE, SECRET, VALIDITY_MS, caller, starter
from support.verifying import (
    OTHER_SHOP,
    SHOP,
    check,
    kept_numbers,
    request,
    start,
    verification,
    word,
)

BODY = b'{"phoneNumber":"+201001234567"}'
OTHER_BODY = b'{"phoneNumber":"+201001234568"}'
# Ten messages wait, one each second; the eleventh waits exactly for its validity.
PACED = {
    "channel": "linked",
    "otp_ttl_seconds": 10,
    "worker_min_send_delay_ms": 900,
    "worker_max_send_delay_ms": 1100,
}


@dataclass
class Clock:
    """The time of the moment."""

    now: int = NOW


@pytest.fixture
def clock() -> Clock:
    """The time that a test lets pass."""
    return Clock()


@pytest.fixture
def other_process(database: Database) -> Iterator[Database]:
    """The same database with its own connections, as in another process."""
    opened = Database(database.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def keyed(
    who: Caller = SHOP, key: str = "order-1", body: bytes = BODY, **changes: Any
) -> tuple[Caller, SendRequest]:
    """A request with an Idempotency-Key."""
    cipher = CodeCipher(SECRET)
    wanted = IdempotentRequest.of(who.owner, key, body, cipher)
    return who, request(**{"idempotent": wanted, **changes})


def ask(database: Database, *asked: tuple[Caller, SendRequest], now: int) -> list[Accepted]:
    """Start requests that must all be accepted."""
    results = start(database, *asked, now=now)
    assert all(isinstance(result, Accepted) for result in results), results
    return [result for result in results if isinstance(result, Accepted)]


def told(answer: Accepted) -> tuple[object, ...]:
    """Return the parts of an answer that the caller reads."""
    return answer.verification_id, answer.message_id, answer.code, answer.expires_at


def message_count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(messages)) or 0


def test_repeated_request_gets_the_same_answer_and_no_second_message(
    database: Database, clock: Clock
) -> None:
    (first,) = ask(database, keyed(), now=clock.now)
    clock.now += 60_000
    (again,) = ask(database, keyed(), now=clock.now)
    assert told(again) == told(first)
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert message_count(database) == 1
    assert kept_numbers(database) == {"queued": 1}


def test_request_repeated_in_a_group_counts_once(database: Database, clock: Clock) -> None:
    first, again, other = ask(database, keyed(), keyed(), keyed(key="order-2"), now=clock.now)
    assert told(again) == told(first)
    assert again.is_repeated
    assert other.verification_id != first.verification_id
    assert message_count(database) == 2


def test_simultaneous_repetition_in_two_processes_counts_once(
    database: Database, other_process: Database, clock: Clock
) -> None:
    barrier = threading.Barrier(8)

    def work(used: Database) -> list[Accepted]:
        barrier.wait()
        return ask(used, keyed(), keyed(), now=clock.now)

    with ThreadPoolExecutor(8) as threads:
        groups = list(threads.map(work, [database, other_process] * 4))
    answers = [one for group in groups for one in group]
    assert len({told(one) for one in answers}) == 1
    assert [one.is_repeated for one in answers].count(False) == 1
    assert message_count(database) == 1
    assert kept_numbers(database) == {"queued": 1}


def test_groups_with_the_same_keys_in_other_orders_do_not_deadlock(
    database: Database, other_process: Database, clock: Clock
) -> None:
    group = [keyed(key=f"order-{number}", phone=f"+2010012345{number:02d}") for number in range(40)]
    barrier = threading.Barrier(2)

    def work(used: Database, asked: list[tuple[Caller, SendRequest]]) -> list[Accepted]:
        barrier.wait()
        return ask(used, *asked, now=clock.now)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(work, database, group)
        other = threads.submit(work, other_process, group[::-1])
    assert [told(answer) for answer in one.result()] == [
        told(answer) for answer in reversed(other.result())
    ]
    assert message_count(database) == len(group)


@pytest.mark.parametrize("together", [True, False])
def test_another_body_under_the_same_key_is_refused(
    database: Database, clock: Clock, *, together: bool
) -> None:
    other = keyed(body=OTHER_BODY, phone="+201001234568")
    if together:
        first, refused = start(database, keyed(), other, now=clock.now)
    else:
        (first,) = start(database, keyed(), now=clock.now)
        (refused,) = start(database, other, now=clock.now)
    assert isinstance(first, Accepted)
    assert isinstance(refused, Contradiction)
    assert word(refused) == "idempotency_key_reused"
    assert message_count(database) == 1
    (again,) = ask(database, keyed(), now=clock.now)
    assert told(again) == told(first)


def test_idempotency_keys_are_separate_per_caller(database: Database, clock: Clock) -> None:
    (mine,) = ask(database, keyed(), now=clock.now)
    (theirs,) = ask(database, keyed(OTHER_SHOP, body=OTHER_BODY), now=clock.now)
    assert mine.verification_id != theirs.verification_id


def test_idempotency_keys_are_case_sensitive(database: Database, clock: Clock) -> None:
    keys = ["order-1", "ORDER-1", "order-1 ", "x" * 255, "y" * 255]
    answers = ask(database, *(keyed(key=key) for key in keys), now=clock.now)
    assert len({one.verification_id for one in answers}) == len(keys)


def test_request_refused_by_a_limit_can_be_retried(database: Database, clock: Clock) -> None:
    limited = caller("shop", "send", "verify", limits="per_number=1/30s")
    ask(database, (limited, request()), now=clock.now)
    refused = start(database, keyed(limited), keyed(limited), now=clock.now)
    assert [word(one) for one in refused] == ["rate_limited"] * 2
    clock.now += 30_000
    (accepted,) = ask(database, keyed(limited), now=clock.now)
    assert not accepted.is_repeated


def test_request_refused_by_a_full_queue_can_be_retried(database: Database, clock: Clock) -> None:
    paced = starter(database, lambda: clock.now, **PACED)
    full = [(caller(f"k{number}"), request()) for number in range(11)]
    start(database, *full, now=clock.now, starter=paced)
    (refused,) = start(database, keyed(), now=clock.now, starter=paced)
    assert isinstance(refused, QueueUnavailable)
    (accepted,) = ask(database, keyed(), now=clock.now)
    assert not accepted.is_repeated


def test_key_can_be_reused_after_a_day(database: Database, clock: Clock) -> None:
    (first,) = ask(database, keyed(), now=clock.now)
    clock.now += KEPT_MS - 1
    (again,) = ask(database, keyed(), now=clock.now)
    assert again.verification_id == first.verification_id
    clock.now += 1
    (later,) = ask(database, keyed(body=OTHER_BODY), now=clock.now)
    assert later.verification_id != first.verification_id
    assert not later.is_repeated


@pytest.mark.parametrize("how", ["expired", "approved", "superseded"])
def test_repeated_answer_omits_an_erased_code(database: Database, clock: Clock, how: str) -> None:
    (first,) = ask(database, keyed(), now=clock.now)
    if how == "approved":
        check(database, Check(SHOP, str(first.code), phone=PHONE), now=clock.now)
    if how == "superseded":
        ask(database, (SHOP, request()), now=clock.now + 1)
    if how == "expired":
        clock.now += VALIDITY_MS
        with database.write() as connection:
            lifecycle.expire(connection, now=clock.now)
    assert verification(database, first.verification_id).code_sealed is None
    (again,) = ask(database, keyed(), now=clock.now)
    assert again.code is None
    assert (again.verification_id, again.message_id, again.expires_at) == (
        first.verification_id,
        first.message_id,
        first.expires_at,
    )


def test_hidden_code_stays_hidden(database: Database, clock: Clock) -> None:
    wanted = keyed(hides_code=True)
    assert [one.code for one in ask(database, wanted, wanted, now=clock.now)] == [None, None]
    assert [one.code for one in ask(database, wanted, now=clock.now)] == [None]


def test_repetition_counts_against_no_limit_and_supersedes_nothing(
    database: Database, clock: Clock
) -> None:
    limited = caller("shop", "send", "verify", limits="per_number=2/1h")
    (first,) = ask(database, keyed(limited), now=clock.now)
    ask(database, *[keyed(limited)] * 5, now=clock.now)
    assert verification(database, first.verification_id).status == "pending"
    ask(database, (limited, request()), now=clock.now)
    (refused,) = start(database, (limited, request()), now=clock.now)
    assert word(refused) == "rate_limited"


def test_repetition_is_recognised_after_a_change_of_the_secret(
    database: Database, clock: Clock
) -> None:
    (first,) = ask(database, keyed(), now=clock.now)
    renewed = CodeCipher("the secret after it", previous=SECRET)
    wanted = IdempotentRequest.of(SHOP.owner, "order-1", BODY, renewed)
    (again,) = ask(database, (SHOP, request(idempotent=wanted)), now=clock.now)
    assert again.verification_id == first.verification_id


def test_stored_row_reveals_neither_key_nor_body(database: Database, clock: Clock) -> None:
    """With a plain digest, anyone who knows the rest of a body could try all codes."""
    ask(database, keyed(), now=clock.now)
    with database.read() as connection:
        (row,) = connection.execute(select(idempotency_keys)).all()
    assert BODY not in row.body_digest
    assert row.body_digest != sha256(BODY).digest()
    assert b"order-1" not in row.key_digest


def test_old_keys_are_deleted_in_batches(database: Database, clock: Clock) -> None:
    ask(database, *(keyed(key=f"order-{number}") for number in range(5)), now=clock.now)
    with database.write() as connection:
        assert idempotency.purge(connection, before=clock.now - 1, limit=2) == 0
        deleted = [idempotency.purge(connection, before=clock.now, limit=2) for _ in range(4)]
    assert deleted == [2, 2, 1, 0]


def test_cost_of_a_lookup_does_not_grow_with_the_number_of_keys(
    database: Database, clock: Clock
) -> None:
    rows = [
        {
            "api_key": SHOP.owner,
            "key_digest": sha256(str(number).encode()).digest(),
            "body_digest": b"",
            "verification_id": "v",
            "created_at": clock.now,
        }
        for number in range(4000)
    ]
    group = [keyed(key="order-1"), keyed(OTHER_SHOP, key="order-2"), keyed(key="order-3")]
    wanted = [(one.idempotent, f"v{place}") for place, (_, one) in enumerate(group)]
    asked = [(one, name) for one, name in wanted if one is not None]
    with database.write() as connection:
        insert_rows(connection, idempotency_keys, rows)
        if database.is_sqlite:
            with sqlite_steps(connection) as steps:
                idempotency.claim(connection, asked, now=clock.now)
            assert steps[0] < 20
        else:
            connection.execute(text("ANALYZE idempotency_keys"))
            with statements_of(connection) as statements:
                idempotency.claim(connection, asked, now=clock.now)
            reading = [one for one in statements if one[0].startswith("SELECT")]
            assert postgres_rows(connection, reading) < 20
