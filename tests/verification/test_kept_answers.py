"""A repeated check, link or resend with one Idempotency-Key is done once and answered again."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from sqlalchemy import Row, func, select, update

from hudhud.auth.caller import Caller
from hudhud.core.crypto import CodeCipher, SealingError
from hudhud.core.errors import Conflict, Contradiction, NotAllowed, Refused, TooMany
from hudhud.core.phones import Phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.verification import kept_answers
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.idempotency import KEPT_MS, IdempotentRequest
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limits
from hudhud.verification.links.start import LinkRequest, StartedLink
from hudhud.verification.new_verification import Accepted
from hudhud.verification.resend import Resent
from support import links
from support.queued import NOW, PHONE, SECRET, caller, change
from support.verifying import (
    MOST,
    OTHER_SHOP,
    SHOP,
    accepted,
    check,
    jobs_of,
    request,
    resends,
    start,
    verification,
    word,
    wrong,
)

BODY = b'{"otp":"1111"}'
OTHER_BODY = b'{"otp":"2222"}'
LATER = NOW + 30_000  # when the first resend is allowed
AT_ONCE = 8
CIPHER = CodeCipher(SECRET)


@pytest.fixture
def other_process(database: Database) -> Iterator[Database]:
    """The same database with its own connections, as in another process."""
    opened = Database(database.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def keyed(
    key: str = "key-1", body: bytes = BODY, who: Caller = SHOP, cipher: CodeCipher = CIPHER
) -> IdempotentRequest:
    return IdempotentRequest.of(who.owner, key, body, cipher)


def asked(one: Accepted, typed: str, request: IdempotentRequest, who: Caller = SHOP) -> Check:
    """A check with an Idempotency-Key."""
    return Check(who, typed, verification_id=one.verification_id, idempotent=request)


def checked(database: Database, *group: Check, now: int = NOW) -> list[Checked]:
    """Check codes, none of which may be refused."""
    results = check(database, *group, now=now)
    assert all(isinstance(result, Checked) for result in results), results
    return [result for result in results if isinstance(result, Checked)]


def sent(database: Database, **changes: Any) -> Accepted:
    """Start a verification whose message was sent."""
    one = accepted(database, **changes)
    change(database, one.message_id, status="sent")
    return one


def resend(
    database: Database, one: Accepted, request: IdempotentRequest, *, now: int = LATER
) -> Resent:
    with database.write() as connection:
        return resends(database).queue(
            connection,
            one.verification_id,
            caller=SHOP,
            request_id="r",
            now=now,
            idempotent=request,
        )


def link(
    database: Database, request: IdempotentRequest, *, now: int = NOW, **changes: Any
) -> StartedLink:
    wanted = LinkRequest(phone=Phone(PHONE, "EG"), idempotent=request)
    return links.link_starter(database, **changes).start(wanted, caller=SHOP, now=now)


def rows(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(tables.kept_answers)))


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def at_once(
    database: Database, other_process: Database, work: Callable[[Database], object]
) -> list[Any]:
    """Let two processes do the same simultaneously; return the results."""
    barrier = threading.Barrier(AT_ONCE)

    def begin(used: Database) -> object:
        barrier.wait()
        return work(used)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(begin, [database, other_process] * (AT_ONCE // 2)))


# Checks


def test_repeated_wrong_code_uses_one_attempt(database: Database) -> None:
    one = accepted(database, code="1111")
    not_right = asked(one, wrong("1111"), keyed())
    (first,) = checked(database, not_right)
    (again,) = checked(database, not_right, now=NOW + 1)
    assert (first.is_valid, first.attempts_remaining, first.is_repeated) == (False, MOST - 1, False)
    assert again == replace(first, is_repeated=True)
    assert verification(database, one.verification_id).attempts == 1


def test_repeated_right_code_is_valid_again(database: Database) -> None:
    one = accepted(database, code="1111")
    right = asked(one, "1111", keyed())
    (first,), (again,) = checked(database, right), checked(database, right, now=one.expires_at)
    assert (first.is_valid, first.status) == (True, "approved")
    assert again == replace(first, is_repeated=True)
    (with_another_key,) = check(database, asked(one, "1111", keyed("key-2")))
    assert word(with_another_key) == "already_used"


def test_check_repeated_in_a_group_is_done_once(database: Database) -> None:
    one = accepted(database, code="1111")
    not_right = asked(one, wrong("1111"), keyed())
    first, again, other = checked(
        database, not_right, not_right, asked(one, wrong("1111"), keyed("key-2"))
    )
    assert again == replace(first, is_repeated=True)
    assert (other.attempts_remaining, other.is_repeated) == (MOST - 2, False)
    assert verification(database, one.verification_id).attempts == 2


def test_last_wrong_code_is_answered_again(database: Database) -> None:
    one = accepted(database, code="1111")
    tries = [asked(one, wrong("1111"), keyed(f"key-{number}")) for number in range(MOST)]
    last = checked(database, *tries)[-1]
    assert (last.status, last.attempts_remaining) == ("max_attempts_reached", 0)
    assert checked(database, tries[-1]) == [replace(last, is_repeated=True)]


def test_answer_to_a_check_includes_the_proved_number_again(database: Database) -> None:
    links.put_linked(database)
    started = links.start(database, by=SHOP)
    links.write(database, started.token)
    code = links.code_of(verification(database, started.verification_id))
    right = Check(SHOP, code, verification_id=started.verification_id, idempotent=keyed())
    (first,), (again,) = checked(database, right), checked(database, right)
    assert first.proved_phone == PHONE
    assert again == replace(first, is_repeated=True)


@pytest.mark.parametrize("together", [True, False])
def test_another_body_under_the_same_key_is_refused_and_uses_no_attempt(
    database: Database, *, together: bool
) -> None:
    one = accepted(database, code="2222")
    not_right, right = asked(one, "1111", keyed()), asked(one, "2222", keyed(body=OTHER_BODY))
    if together:
        _, refused = check(database, not_right, right)
    else:
        check(database, not_right)
        (refused,) = check(database, right)
    assert isinstance(refused, Contradiction)
    assert word(refused) == "idempotency_key_reused"
    row = verification(database, one.verification_id)
    assert (row.status, row.attempts) == ("pending", 1)


def test_refused_check_may_be_repeated_later(database: Database) -> None:
    by_number = Check(SHOP, "1111", phone=PHONE, idempotent=keyed())
    assert [word(one) for one in check(database, by_number, by_number)] == ["nothing_pending"] * 2
    one = accepted(database, code="1111")
    assert [word(late) for late in check(database, by_number, now=one.expires_at)] == ["expired"]
    assert rows(database) == []
    (done,) = checked(database, by_number)
    assert (done.is_valid, done.is_repeated) == (True, False)


def test_keys_are_separate_per_caller(database: Database) -> None:
    mine = accepted(database, code="1111")
    theirs = accepted(database, OTHER_SHOP, code="1111")
    checked(database, asked(mine, "1111", keyed()))
    (other,) = checked(database, asked(theirs, "1111", keyed(who=OTHER_SHOP), OTHER_SHOP))
    assert (other.verification_id, other.is_repeated) == (theirs.verification_id, False)


def test_simultaneous_repetitions_of_a_check_are_done_once(
    database: Database, other_process: Database
) -> None:
    one = accepted(database, code="1111")
    not_right = asked(one, wrong("1111"), keyed())
    groups = at_once(database, other_process, lambda used: checked(used, not_right, not_right))
    answers = [answer for group in groups for answer in group]
    assert {answer.attempts_remaining for answer in answers} == {MOST - 1}
    assert [answer.is_repeated for answer in answers].count(False) == 1
    assert verification(database, one.verification_id).attempts == 1


def test_groups_with_the_same_keys_in_other_orders_do_not_deadlock(
    database: Database, other_process: Database
) -> None:
    group = [
        asked(accepted(database, phone=f"+2010012345{number:02d}"), "x", keyed(f"key-{number}"))
        for number in range(20)
    ]
    barrier = threading.Barrier(2)

    def work(used: Database, ordered: list[Check]) -> list[Checked]:
        barrier.wait()
        return checked(used, *ordered)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(work, database, group)
        other = threads.submit(work, other_process, group[::-1])
    both = [*one.result(), *other.result()]
    assert [answer.is_repeated for answer in both].count(True) == len(group)
    assert {answer.attempts_remaining for answer in both} == {MOST - 1}


# Links


@pytest.fixture
def linked(database: Database) -> Database:
    """A database with a linked sender to which people can write."""
    links.put_linked(database)
    return database


def test_repeated_request_for_a_link_gets_the_same_link(linked: Database) -> None:
    first = link(linked, keyed())
    again = link(linked, keyed(), now=NOW + 1000)
    assert again == replace(first, quota=NO_LIMITS, is_repeated=True)
    assert (again.url, again.token) == (first.url, first.token)
    assert count(linked, tables.verifications) == 1


def test_repeated_request_for_a_link_is_answered_when_it_would_be_refused(
    linked: Database,
) -> None:
    first = link(linked, keyed())
    with pytest.raises(NotAllowed):
        link(linked, keyed("key-2"), denied_countries=("EG",))
    assert link(linked, keyed(), denied_countries=("EG",)).token == first.token


def test_repeated_request_for_a_link_counts_towards_no_limit(linked: Database) -> None:
    limited = caller("shop", "send", "verify", limits="per_key=2/1h")
    starter = links.link_starter(linked)

    def ask(key: str) -> StartedLink:
        return starter.start(LinkRequest(idempotent=keyed(key)), caller=limited, now=NOW)

    assert [policy.remaining for policy in ask("key-1").quota.policies] == [1]
    assert [ask("key-1").quota.policies for _ in range(3)] == [()] * 3
    ask("key-2")
    with pytest.raises(TooMany):
        ask("key-3")
    assert len(rows(linked)) == 2


def test_other_link_under_the_same_key_is_refused(linked: Database) -> None:
    link(linked, keyed())
    with pytest.raises(Contradiction):
        link(linked, keyed(body=OTHER_BODY))
    assert count(linked, tables.verifications) == 1


def test_simultaneous_requests_for_a_link_start_one(
    linked: Database, other_process: Database
) -> None:
    answers = at_once(linked, other_process, lambda used: link(used, keyed()))
    assert len({(answer.token, answer.verification_id) for answer in answers}) == 1
    assert [answer.is_repeated for answer in answers].count(False) == 1
    assert count(linked, tables.verifications) == 1


# Resends


def test_repeated_resend_queues_one_message(database: Database) -> None:
    one = sent(database)
    first = resend(database, one, keyed())
    again = resend(database, one, keyed(), now=LATER + 1)
    assert again == replace(first, is_repeated=True)
    assert (again.verification_id, again.expires_at) == (one.verification_id, one.expires_at)
    assert len(jobs_of(database, one.verification_id)) == 2
    assert verification(database, one.verification_id).resends == 1


def test_refused_resend_may_be_repeated_later(database: Database) -> None:
    one = sent(database)
    with pytest.raises(TooMany):
        resend(database, one, keyed(), now=LATER - 1)
    assert not resend(database, one, keyed()).is_repeated


def test_key_of_a_resend_is_separate_per_verification(database: Database) -> None:
    one, other = sent(database), sent(database, phone="+201001234568")
    first, second = resend(database, one, keyed()), resend(database, other, keyed())
    assert second.verification_id == other.verification_id
    assert (first.is_repeated, second.is_repeated) == (False, False)


def test_simultaneous_repetitions_of_a_resend_queue_one_message(
    database: Database, other_process: Database
) -> None:
    one = sent(database)
    answers = at_once(database, other_process, lambda used: resend(used, one, keyed()))
    assert len({answer.message_id for answer in answers}) == 1
    assert [answer.is_repeated for answer in answers].count(False) == 1
    assert len(jobs_of(database, one.verification_id)) == 2


def test_simultaneous_resends_under_other_keys_queue_one_message(
    database: Database, other_process: Database
) -> None:
    one, keys = sent(database), iter(range(AT_ONCE))

    def work(used: Database) -> Resent | Refused:
        try:
            return resend(used, one, keyed(f"key-{next(keys)}"))
        except Conflict as error:
            return error

    answers = at_once(database, other_process, work)
    assert sum(isinstance(answer, Resent) for answer in answers) == 1
    assert len(rows(database)) == 1


# Endpoints, time and stored rows


def test_one_key_may_be_used_once_at_each_endpoint(linked: Database) -> None:
    (first,) = start(linked, (SHOP, request(code="1111", idempotent=keyed())))
    assert isinstance(first, Accepted)
    change(linked, first.message_id, status="sent")
    again = resend(linked, first, keyed())
    started = link(linked, keyed())
    (done,) = checked(linked, asked(first, "1111", keyed()), now=LATER)
    assert not any(one.is_repeated for one in (first, again, started, done))
    endpoints = {row.endpoint for row in rows(linked)}
    assert endpoints == {"verify", "link", f"resend {first.verification_id}"}


def test_key_can_be_reused_after_a_day(database: Database) -> None:
    one = accepted(database, code="1111")
    (first,) = checked(database, asked(one, wrong("1111"), keyed()))
    (again,) = check(database, asked(one, "1111", keyed()), now=NOW + KEPT_MS - 1)
    assert again == replace(first, is_repeated=True)
    other = accepted(database, now=NOW + KEPT_MS, code="2222")
    reused = asked(other, "2222", keyed(body=OTHER_BODY))
    (later,) = checked(database, reused, now=NOW + KEPT_MS)
    assert (later.is_valid, later.is_repeated) == (True, False)
    assert len(rows(database)) == 1


def test_stored_row_reveals_neither_key_nor_body_nor_answer(linked: Database) -> None:
    started = link(linked, keyed("key-1", b"body of a link"))
    one = accepted(linked, code="4711471147")
    checked(linked, asked(one, "4711471147", keyed("key-1", b'{"otp":"4711471147"}')))
    everything = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in rows(linked)
        for value in row
    )
    for secret in ("key-1", started.token, started.url, PHONE, "4711471147", "otp"):
        assert secret.encode() not in everything
    digests = {row.body_digest for row in rows(linked)}
    assert sha256(b'{"otp":"4711471147"}').digest() not in digests


def test_stored_answer_has_no_code(database: Database) -> None:
    one = accepted(database, code="4711471147")
    checked(database, asked(one, "4711471147", keyed()))
    (row,) = rows(database)
    opened = msgspec.json.decode(CIPHER.answers.open(one.verification_id, row.answer_sealed))
    assert opened["is_valid"] is True
    assert "4711471147" not in str(opened)


def test_repetition_is_recognised_after_a_change_of_the_secret(database: Database) -> None:
    one = accepted(database, code="1111")
    (first,) = checked(database, asked(one, wrong("1111"), keyed()))
    renewed = CodeCipher("the secret after it", previous=SECRET)
    repeated = asked(one, wrong("1111"), keyed(cipher=renewed))
    with database.write() as connection:
        again = CodeChecker(renewed, Limits({}), MOST, lambda: NOW).write(connection, [repeated])
    assert again == [replace(first, is_repeated=True)]


def test_unreadable_answer_is_an_error_of_its_request_alone(database: Database) -> None:
    one = accepted(database, code="1111")
    repeated = asked(one, wrong("1111"), keyed())
    checked(database, repeated)
    with database.write() as connection:
        connection.execute(update(tables.kept_answers).values(answer_sealed=b"damaged"))
    broken, done = check(database, repeated, asked(one, "1111", keyed("key-2")))
    assert isinstance(broken, SealingError)
    assert isinstance(done, Checked)
    assert done.is_valid


def test_old_answers_are_deleted_in_batches(database: Database) -> None:
    one = accepted(database)
    checked(database, *(asked(one, "x", keyed(f"key-{number}")) for number in range(5)))
    with database.write() as connection:
        assert kept_answers.purge(connection, before=NOW - 1, limit=2) == 0
        deleted = [kept_answers.purge(connection, before=NOW, limit=2) for _ in range(4)]
    assert deleted == [2, 2, 1, 0]
