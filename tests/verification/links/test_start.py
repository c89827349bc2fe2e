"""Starting links, and the effects of their texts."""

import json
import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import func, select

from hudhud.auth import api_keys
from hudhud.auth.caller import Caller
from hudhud.channels.base import Account, Inbound
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import BadRequest, Gone, NotAllowed, NotFound, NotReady, TooMany
from hudhud.core.phones import Phone
from hudhud.db.engine import Database
from hudhud.db.tables import conversions, events, link_answers, verifications
from hudhud.messages import counters, whatsapp_accounts
from hudhud.messages.templates.catalog import LinkMode
from hudhud.messages.templates.shipped import CODE_LINE
from hudhud.senders import records
from hudhud.verification import lifecycle
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.links import tokens
from hudhud.verification.links.inbound import ANSWERED_AGAIN_MS
from support.keys import make_key
from support.links import (
    ACCOUNT,
    KEY,
    LINK_MS,
    SENDER,
    code_of,
    link_starter,
    put_linked,
    queued,
    start,
    stored,
    text_of,
    write,
)
from support.queued import NOW, PHONE, SECRET, VALIDITY_MS, accept, caller, link_replies
from support.receivers import add_endpoint

OTHER = "+201001234599"
EGYPT = Phone(PHONE, "EG")
NO_LINK_ID = "v" + "0" * 43


@pytest.fixture(autouse=True)
def _linked(request: pytest.FixtureRequest) -> None:
    """A linked sender to which people can write."""
    if "database" in request.fixturenames:
        put_linked(request.getfixturevalue("database"))


# Start


def test_a_link_opens_a_chat_with_the_linked_number_and_a_text_with_the_token(
    database: Database,
) -> None:
    link = start(database)
    assert link.url.startswith(f"https://wa.me/{ACCOUNT.removeprefix('+')}?text=")
    assert link.url.isascii()
    assert " " not in link.url
    assert link.token in text_of(link.url)
    assert "Hudhud" in text_of(link.url)
    assert link.expires_at == NOW + LINK_MS


def test_stored_link_does_not_reveal_its_token(database: Database) -> None:
    link = start(database, EGYPT, reference="order 7", redirect_url="https://example.com/done")
    row = stored(database, link.verification_id)
    assert (row.phone, row.status, row.link_mode) == (PHONE, "pending", "reply")
    assert (row.reference, row.redirect_url) == ("order 7", "https://example.com/done")
    assert (row.api_key, row.created_at, row.expires_at) == ("k", NOW, NOW + LINK_MS)
    assert (row.code_index, row.code_sealed, row.proved_phone) == (None, None, None)
    everything = repr(tuple(row)).encode()
    for written in (link.token, tokens.canonical(link.token)):
        assert written.encode() not in everything


def test_no_code_is_valid_before_the_text_has_arrived(database: Database) -> None:
    row = stored(database, start(database).verification_id)
    cipher = CodeCipher(SECRET)
    assert not any(cipher.matches(row.code_digest, row.id, f"{n:04d}") for n in range(10_000))


def test_every_link_has_a_unique_token(database: Database) -> None:
    assert len({start(database).token for _ in range(20)}) == 20


def test_validity_of_a_link_is_a_setting(database: Database) -> None:
    assert start(database, changes={"link_ttl_seconds": 60}).expires_at == NOW + 60_000


def test_text_uses_the_requested_language_or_that_of_the_number(database: Database) -> None:
    german = start(database, locale="de")
    egyptian = start(database, EGYPT)
    assert stored(database, german.verification_id).locale == "de"
    assert stored(database, egyptian.verification_id).locale == "ar"
    assert any("\u0600" <= letter <= "\u06ff" for letter in text_of(egyptian.url))


@pytest.mark.parametrize(("wanted", "kept"), [("in_ID", "id"), ("iw", "ar"), ("zh-Hant-TW", "ar")])
def test_language_without_texts_is_replaced(database: Database, wanted: str, kept: str) -> None:
    link = start(database, EGYPT, locale=wanted)
    assert stored(database, link.verification_id).locale == kept


@pytest.mark.parametrize("wanted", [None, "in_ID", "iw"])
@pytest.mark.parametrize("phone", [None, EGYPT])
def test_every_event_of_a_link_has_its_language(
    database: Database, wanted: str | None, phone: Phone | None
) -> None:
    add_endpoint(database, "https://shop.example/hudhud")
    link = start(database, phone, locale=wanted)
    with database.read() as connection:
        (payload,) = connection.scalars(select(events.c.payload)).all()
    kept = "id" if wanted == "in_ID" else "en" if phone is None else "ar"
    assert json.loads(payload)["locale"] == stored(database, link.verification_id).locale == kept


def test_without_a_linked_number_there_is_no_link(database: Database) -> None:
    with database.write() as connection:
        records.forget_device(connection, name=SENDER)
    with pytest.raises(NotReady) as refused:
        start(database)
    assert refused.value.word == "no_linked_sender"


def test_number_that_can_answer_at_once_is_preferred(database: Database) -> None:
    put_linked(database, "off", "+201550000002", "reconnecting")
    put_linked(database, "banned", "+201550000003", "logged_out")
    for _ in range(20):
        assert ACCOUNT[1:] in start(database).url


def test_links_are_spread_over_the_numbers_that_can_answer(database: Database) -> None:
    other = "+201550000002"
    put_linked(database, "restricted", other, "restricted")
    chosen = {start(database).url.partition("?")[0].rpartition("/")[2] for _ in range(60)}
    assert chosen == {ACCOUNT[1:], other[1:]}


def test_paused_or_stopped_number_is_the_last_choice(
    database: Database,
) -> None:
    with database.write() as connection:
        records.pause(connection, name=SENDER, now=NOW)
    assert ACCOUNT[1:] in start(database).url
    other = "+201550000002"
    put_linked(database, "other", other)
    assert other[1:] in start(database).url
    with database.write() as connection:
        records.resume(connection, name=SENDER)
    late = NOW + records.LEASE_MS + 1
    chosen = {start(database, now=late).url.partition("?")[0] for _ in range(60)}
    assert len(chosen) == 2


def test_links_to_a_number_are_limited_apart_from_its_sends(database: Database) -> None:
    limited = caller("k", "send", "verify", limits="per_number=1/1h per_prefix=1/1h links=3/1h")
    for _ in range(3):
        start(database, EGYPT, by=limited)
    with pytest.raises(TooMany) as refused:
        start(database, EGYPT, by=limited)
    assert refused.value.word == "rate_limited"
    assert str(refused.value).startswith("Too many links for this number: at most 3 in 1h.")
    start(database, Phone(OTHER, "EG"), by=limited)
    start(database, by=limited)
    with database.write() as connection:
        rate_limits.forget(connection, EGYPT.number)
    start(database, EGYPT, by=limited)


def test_links_to_all_numbers_of_an_account_are_limited_together(database: Database) -> None:
    limited = caller("k", "send", "verify", limits="links=1/1h")
    with database.write() as connection:
        whatsapp_accounts.remember(connection, phone=PHONE, account=Account(OTHER, None))
    start(database, EGYPT, by=limited)
    with pytest.raises(TooMany):
        start(database, Phone(OTHER, "EG"), by=limited)


def test_limit_of_a_key_applies_to_links_without_a_number(database: Database) -> None:
    limited = caller("k", "send", "verify", limits="per_key=1/1h")
    start(database, by=limited)
    with pytest.raises(TooMany) as refused:
        start(database, by=limited)
    assert refused.value.word == "rate_limited"
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(verifications)) == 1


def test_link_for_a_refused_country_is_refused(database: Database) -> None:
    with pytest.raises(NotAllowed) as refused:
        start(database, EGYPT, changes={"allowed_countries": "SA"})
    assert refused.value.word == "country_not_allowed"


def test_mode_verify_requires_a_permitted_key(database: Database) -> None:
    with pytest.raises(NotAllowed) as refused:
        start(database, EGYPT, mode="verify", by=caller("k", "send", "verify"))
    assert refused.value.word == "link_verify_not_allowed"


def test_mode_verify_requires_an_expected_number(database: Database) -> None:
    with pytest.raises(BadRequest) as refused:
        start(database, mode="verify")
    assert refused.value.word == "invalid_parameter"


# Repeated display


def show(database: Database, verification_id: str, *, by: Caller = KEY, now: int = NOW) -> str:
    return link_starter(database).show(verification_id, caller=by, now=now)


def test_link_is_shown_again_to_its_key_and_to_admins(database: Database) -> None:
    link = start(database)
    assert show(database, link.verification_id) == link.url
    assert show(database, link.verification_id, by=caller("boss", "admin")) == link.url
    for by, number in ((caller("other", "verify"), link.verification_id), (KEY, NO_LINK_ID)):
        with pytest.raises(NotFound):
            show(database, number, by=by)


def test_used_or_ended_link_is_not_shown_again(database: Database) -> None:
    used, old = start(database), start(database)
    write(database, used.token)
    with pytest.raises(Gone):
        show(database, used.verification_id)
    with pytest.raises(Gone):
        show(database, old.verification_id, now=NOW + LINK_MS)


def test_link_of_the_previous_secret_still_works(database: Database) -> None:
    link = start(database)
    changed = {"session_secret": "the secret after it", "session_secret_previous": SECRET}
    starter = link_starter(database, **changed)
    assert starter.show(link.verification_id, caller=KEY, now=NOW) == link.url
    with database.write() as connection:
        link_replies(database, channel="linked", **changed).take(
            connection,
            Inbound("m", PHONE, link.token, NOW),
            numbers=frozenset({PHONE}),
            confirmed=frozenset({PHONE}),
            channel="linked",
            sender=SENDER,
            now=NOW,
        )
    assert stored(database, link.verification_id).proved_phone == PHONE


# Mode reply


def test_the_text_is_answered_with_a_code_in_the_same_chat(database: Database) -> None:
    link = start(database)
    write(database, text_of(link.url), now=NOW + 5)
    row = stored(database, link.verification_id)
    assert (row.status, row.phone, row.proved_phone) == ("pending", PHONE, PHONE)
    assert (row.link_index, row.link_sealed) == (None, None)
    assert CodeCipher(SECRET).matches(row.code_digest, row.id, code_of(row))
    (message,) = queued(database)
    assert (message.verification_id, message.phone) == (row.id, PHONE)
    assert (message.channel, message.only_sender, message.status) == ("linked", SENDER, "queued")
    assert (message.created_at, message.available_at) == (NOW + 5, NOW + 5)
    assert CODE_LINE.search(message.body)


@pytest.mark.parametrize(
    ("of_settings", "own", "digits"), [(None, None, 6), (5, None, 5), (5, 8, 8)]
)
def test_code_of_a_link_is_as_long_as_its_key_wants(
    database: Database, of_settings: int | None, own: int | None, digits: int
) -> None:
    key = make_key(database, code_length=own)
    with database.read() as connection:
        shop = api_keys.caller(api_keys.stored(connection, key))
    link = start(database, EGYPT, by=shop)
    write(database, text_of(link.url), otp_length=of_settings)
    assert len(code_of(stored(database, link.verification_id))) == digits


def test_validity_of_the_code_begins_when_the_text_arrives(database: Database) -> None:
    link = start(database)
    late = NOW + LINK_MS - 1
    write(database, link.token, now=late)
    assert stored(database, link.verification_id).expires_at == late + VALIDITY_MS
    (message,) = queued(database)
    assert message.expires_at == late + VALIDITY_MS


def test_answer_uses_the_language_of_the_link(database: Database) -> None:
    link = start(database, EGYPT, locale="de")
    write(database, link.token)
    (message,) = queued(database)
    assert "Minuten" in message.body


def test_only_the_expected_number_gets_the_code(database: Database) -> None:
    link = start(database, EGYPT)
    before = stored(database, link.verification_id)
    write(database, link.token, OTHER)
    assert stored(database, link.verification_id) == before
    (answer,) = queued(database)
    assert (answer.phone, answer.verification_id) == (OTHER, None)
    write(database, link.token, PHONE)
    assert stored(database, link.verification_id).proved_phone == PHONE


@pytest.mark.parametrize("mode", ["reply", "verify"])
def test_link_accepts_each_number_of_the_persons_account(
    database: Database, mode: LinkMode
) -> None:
    expected, written = "+541112345678", "+5491112345678"
    link = start(database, Phone(expected, "AR"), mode=mode)
    write(database, link.token, written, numbers=frozenset({expected}))
    row = stored(database, link.verification_id)
    assert (row.phone, row.proved_phone) == (expected, expected)
    assert [message.phone for message in queued(database)] == [expected]


def test_a_token_works_once(database: Database) -> None:
    link = start(database)
    write(database, link.token, PHONE)
    before = stored(database, link.verification_id)
    write(database, link.token, OTHER)
    write(database, link.token, PHONE)
    assert stored(database, link.verification_id) == before
    assert [message.verification_id for message in queued(database)] == [before.id, None, None]


def test_token_of_an_ended_link_has_no_effect(database: Database) -> None:
    old, canceled, expired = start(database), start(database), start(database, now=NOW - LINK_MS)
    with database.write() as connection:
        lifecycle.cancel(connection, [canceled.verification_id], reason="caller", now=NOW)
        assert lifecycle.expire(connection, now=NOW) == 1
    for number, (link, now) in enumerate(((old, NOW + LINK_MS), (canceled, NOW), (expired, NOW))):
        write(database, link.token, f"+2010000000{number:02d}", now=now)
        row = stored(database, link.verification_id)
        assert (row.phone, row.proved_phone, row.code_sealed) == ("", None, None)
    assert [message.verification_id for message in queued(database)] == [None] * 3
    assert stored(database, expired.verification_id).status == "expired"


def test_token_is_erased_when_the_link_expires(database: Database) -> None:
    link = start(database)
    with database.write() as connection:
        lifecycle.expire(connection, now=NOW + LINK_MS)
    row = stored(database, link.verification_id)
    assert (row.status, row.link_index, row.link_sealed) == ("expired", None, None)


def test_newer_of_two_tokens_in_a_text_is_used(database: Database) -> None:
    older, newer = start(database, now=NOW - 1), start(database)
    write(database, f"{older.token} {newer.token}")
    assert stored(database, newer.verification_id).proved_phone == PHONE
    assert stored(database, older.verification_id).proved_phone is None


def test_number_of_a_refused_country_gets_no_code(database: Database) -> None:
    link = start(database)
    write(database, link.token, "+966512345678", denied_countries="SA")
    assert stored(database, link.verification_id).proved_phone is None
    write(database, link.token, PHONE, denied_countries="SA")
    assert stored(database, link.verification_id).proved_phone == PHONE


def test_invalid_number_proves_nothing(database: Database) -> None:
    link = start(database)
    write(database, link.token, "+999")
    assert stored(database, link.verification_id).proved_phone is None


def test_link_counts_as_started_once_its_text_has_arrived(database: Database) -> None:
    def started() -> int | None:
        with database.read() as connection:
            total = connection.scalar(select(func.sum(conversions.c.started)))
        return None if total is None else int(total)

    link = start(database)
    assert started() is None
    write(database, link.token)
    assert started() == 1


def test_answers_are_counted_among_the_messages(database: Database) -> None:
    write(database, start(database).token)
    write(database, tokens.new_token())
    with database.read() as connection:
        assert counters.counts(connection) == {"queued": 2}


# Mode verify


def test_text_approves_and_the_person_gets_a_confirmation(database: Database) -> None:
    link = start(database, EGYPT, mode="verify", changes={"brand_name": "Souq"})
    assert "Souq" in text_of(link.url)
    write(database, text_of(link.url), now=NOW + 5, brand_name="Souq")
    row = stored(database, link.verification_id)
    assert (row.status, row.proved_phone, row.ended_at) == ("approved", PHONE, NOW + 5)
    assert (row.link_index, row.link_sealed, row.code_sealed) == (None, None, None)
    (message,) = queued(database)
    assert (message.verification_id, message.phone, message.only_sender) == (row.id, PHONE, SENDER)
    assert "Souq" in message.body
    assert CODE_LINE.search(message.body) is None


def test_text_from_another_number_approves_nothing(database: Database) -> None:
    link = start(database, EGYPT, mode="verify")
    before = stored(database, link.verification_id)
    write(database, link.token, OTHER)
    assert stored(database, link.verification_id) == before
    (answer,) = queued(database)
    assert (answer.phone, answer.verification_id) == (OTHER, None)


def test_the_text_approves_once(database: Database) -> None:
    link = start(database, EGYPT, mode="verify")
    write(database, link.token)
    write(database, link.token, now=NOW + 7)
    assert stored(database, link.verification_id).ended_at == NOW
    assert [message.verification_id for message in queued(database)] == [link.verification_id, None]


# Unusable texts


def test_a_text_without_a_token_is_never_answered(database: Database) -> None:
    start(database)
    for text in ("hello", "", "my code is 1234", "K7MX4RTD9C", "WELL-MADE-AX", "2345-6789-22"):
        write(database, text)
    assert queued(database) == []


def test_an_unknown_token_is_answered_once_an_hour(database: Database) -> None:
    for passed in (0, 1, ANSWERED_AGAIN_MS - 1):
        write(database, tokens.new_token(), now=NOW + passed)
    assert len(queued(database)) == 1
    write(database, tokens.new_token(), now=NOW + ANSWERED_AGAIN_MS)
    write(database, tokens.new_token(), OTHER, now=NOW + 1)
    assert [message.phone for message in queued(database)] == [PHONE, PHONE, OTHER]


def test_valid_token_is_answered_after_unknown_ones(database: Database) -> None:
    write(database, tokens.new_token())
    write(database, start(database).token, now=NOW + 1)
    assert [message.verification_id is None for message in queued(database)] == [True, False]


def test_text_that_arrives_an_hour_late_is_not_answered(database: Database) -> None:
    message = Inbound("m", PHONE, tokens.new_token(), NOW)
    with database.write() as connection:
        link_replies(database, channel="linked").take(
            connection,
            message,
            numbers=frozenset({PHONE}),
            confirmed=frozenset({PHONE}),
            channel="linked",
            sender=SENDER,
            now=NOW + ANSWERED_AGAIN_MS,
        )
    assert queued(database) == []


def test_answer_to_an_unknown_token_uses_the_numbers_language_and_omits_the_token(
    database: Database,
) -> None:
    write(database, tokens.new_token(), "+491701234567")
    (answer,) = queued(database)
    assert answer.body
    assert any(word in answer.body for word in ("Link", "Anfrage", "Bitte", "bitte"))
    assert not tokens.looks_like_one(answer.body)


def at_once(*calls: Callable[[], None]) -> None:
    """Call all of them simultaneously, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_senders_answer_a_simultaneous_unknown_token_once(database: Database) -> None:
    token = tokens.new_token()
    at_once(*(partial(write, database, token, sender=f"s{n}") for n in range(6)))
    assert len(queued(database)) == 1
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(link_answers)) == 1


@pytest.mark.parametrize("mode", ["reply", "verify"])
def test_two_senders_use_a_simultaneous_valid_token_once(database: Database, mode: str) -> None:
    link = start(database, EGYPT, mode=mode)
    at_once(*(partial(write, database, link.token, sender=f"s{n}") for n in range(6)))
    answers = [message.verification_id for message in queued(database)]
    assert sorted(answers, key=str) == [None, link.verification_id]


def test_two_people_with_the_same_token_prove_one_number(database: Database) -> None:
    link = start(database)
    people = [f"+2010000000{n:02d}" for n in range(6)]
    at_once(*(partial(write, database, link.token, phone) for phone in people))
    proved = stored(database, link.verification_id).proved_phone
    codes = [one.phone for one in queued(database) if one.verification_id is not None]
    assert codes == [proved]
    assert len(queued(database)) == len(people)


# Test keys


def test_link_of_a_test_key_accepts_texts_only_over_the_sandbox(database: Database) -> None:
    by = Caller("hh_test_abcdef", "tests", frozenset({"send", "verify"}), is_test=True)
    link = start(database, by=by)
    write(database, link.token)
    assert stored(database, link.verification_id).proved_phone is None
    write(database, link.token, channel="sandbox", sender=None)
    assert stored(database, link.verification_id).proved_phone == PHONE
    (code,) = [one for one in queued(database) if one.verification_id is not None]
    assert (code.channel, code.only_sender) == ("sandbox", None)


def test_live_link_ignores_texts_over_the_sandbox(
    database: Database,
) -> None:
    link = start(database, EGYPT, mode="verify")
    write(database, link.token, channel="sandbox", sender=None)
    assert stored(database, link.verification_id).status == "pending"


def test_sandbox_link_needs_no_linked_number(database: Database) -> None:
    with database.write() as connection:
        records.forget_device(connection, name=SENDER)
    link = start(database, changes={"channel": "sandbox"})
    assert link.url.startswith("https://wa.me/447700900")


def test_unopened_link_is_ignored_by_checks(database: Database) -> None:
    (accepted,) = accept(database, now=now_ms())
    link = start(database, EGYPT, now=now_ms())
    checker = CodeChecker(CodeCipher(SECRET), Limits({}), 5)
    admin = caller("boss", "admin")
    with database.write() as connection:
        by_number, by_link = checker.write(
            connection,
            [
                Check(admin, str(accepted.code), phone=PHONE),
                Check(admin, "1234", verification_id=link.verification_id),
            ],
        )
    assert isinstance(by_number, Checked)
    assert by_number.is_valid
    assert isinstance(by_link, NotFound)
    assert stored(database, link.verification_id).attempts == 0


def test_links_of_test_keys_do_not_count_as_conversions(database: Database) -> None:
    tester = caller("hh_test_abcdef", "send", "verify", is_test=True)
    link = start(database, EGYPT, by=tester)
    write(database, link.token, PHONE, channel="sandbox")
    with database.read() as connection:
        assert connection.execute(select(conversions)).all() == []
