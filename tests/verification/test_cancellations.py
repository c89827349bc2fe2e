"""Why messages were canceled, as their timelines say it."""

from hudhud.core.phones import parse_known_phone
from hudhud.db.engine import Database
from hudhud.verification import lifecycle
from hudhud.verification.cancellations import Cancellation, cancellation
from hudhud.verification.new_verification import Accepted
from support import links
from support.queued import NOW, PHONE, VALIDITY_MS, accept, verification_of
from support.verifying import (
    MOST,
    OTHER_SHOP,
    SHOP,
    accepted,
    check_code,
    request,
    start,
    wrong,
)


def why(database: Database, one: Accepted) -> Cancellation | None:
    row = verification_of(database, one.message_id)
    with database.read() as connection:
        return cancellation(connection, row)


def test_superseded_message_names_the_job_of_the_newer_code(database: Database) -> None:
    older = accepted(database)
    accepted(database, OTHER_SHOP, now=NOW + 1)
    accepted(database, now=NOW + 2, phone="+201001234568")
    # Of two codes of one send, the second supersedes the first and all before them.
    first, second = start(database, (SHOP, request()), (SHOP, request()), now=NOW + 3)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    third = accepted(database, now=NOW + 9)
    assert why(database, older) == Cancellation("superseded", second.message_id)
    assert why(database, first) == Cancellation("superseded", second.message_id)
    assert why(database, second) == Cancellation("superseded", third.message_id)
    assert why(database, third) is None


def test_link_in_between_is_not_the_successor(database: Database) -> None:
    links.put_linked(database)
    older = accepted(database, links.KEY)
    link = links.start(database, parse_known_phone(PHONE), by=links.KEY, now=NOW + 1)
    links.write(database, links.text_of(link.url), now=NOW + 2)
    newer = accepted(database, links.KEY, now=NOW + 3)
    assert len(links.queued(database)) == 3
    assert why(database, older) == Cancellation("superseded", newer.message_id)


def test_message_of_a_checked_code_says_whether_it_was_right(database: Database) -> None:
    used = accepted(database)
    assert used.code is not None
    check_code(database, SHOP, used.verification_id, used.code)
    assert why(database, used) == Cancellation("used")
    guessed = accepted(database)
    assert guessed.code is not None
    for _ in range(MOST):
        check_code(database, SHOP, guessed.verification_id, wrong(guessed.code))
    assert why(database, guessed) == Cancellation("wrong_codes")


def test_other_ends_have_their_own_causes(database: Database) -> None:
    caller, forgotten, expired = accept(database, 3)
    with database.write() as connection:
        lifecycle.cancel(connection, [caller.verification_id], reason="caller", now=NOW)
        lifecycle.cancel(connection, [forgotten.verification_id], reason="forgotten", now=NOW)
        lifecycle.expire(connection, now=NOW + VALIDITY_MS)
    assert why(database, caller) == Cancellation("caller")
    assert why(database, forgotten) == Cancellation("forgotten")
    assert why(database, expired) == Cancellation("expired")
