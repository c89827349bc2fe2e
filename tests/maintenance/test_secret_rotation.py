"""During a change, data of the old and new secrets works."""

from dataclasses import replace
from typing import Any

import pyotp
import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from conftest import settings
from hudhud.app import build_admin_password
from hudhud.auth import second_factor, sessions
from hudhud.auth.admin_password import AdminPassword
from hudhud.channels.base import Inbound
from hudhud.core.clock import iso, now_ms
from hudhud.core.crypto import Cipher, CodeCipher
from hudhud.core.phones import Phone
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.tables import kept_answers, second_factors, verifications, webhook_endpoints
from hudhud.maintenance import secret_rotation
from hudhud.maintenance.secret_rotation import DONE, RotationStatus
from hudhud.messages import search
from hudhud.verification.build import (
    build_countries,
    build_link_replies,
    build_templates,
    secret_of,
)
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.idempotency import KEPT_MS, IdempotentRequest
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.links.start import LinkRequest
from hudhud.verification.new_verification import Accepted
from hudhud.webhooks import endpoints
from hudhud.webhooks.event_types import KINDS
from support.links import link_starter_of, put_linked
from support.queued import PHONE, build_starter, verification_of
from support.verifying import SHOP, request, start, verification

OLD = "the secret before, of the tests"
NEW = "the secret after, of the tests"
URL = "https://shop.example/hooks"


def chosen(secret: str, previous: str | None = None, **changes: Any) -> Settings:
    return settings(session_secret=secret, session_secret_previous=previous, **changes)


BEFORE = chosen(OLD)
CHANGING = chosen(NEW, OLD)
AFTER = chosen(NEW)
# The first step on several machines: every machine knows the next secret before any uses it.
PREPARED = chosen(OLD, NEW)


def cipher(used: Settings) -> CodeCipher:
    assert used.session_secret is not None
    return CodeCipher(used.session_secret, used.session_secret_previous)


def of_purpose(purpose: str, used: Settings) -> Cipher:
    assert used.session_secret is not None
    return Cipher(purpose, used.session_secret, used.session_secret_previous)


def take_over(database: Database, used: Settings) -> None:
    """One start with these settings."""
    secret_rotation.take_over(
        database,
        build_admin_password(used),
        secret=secret_of(used),
        previous_secret=used.session_secret_previous,
    )


def accept(database: Database, used: Settings, phone: str = PHONE) -> Accepted:
    """Request a code under these settings."""
    starter = build_starter(database, used)
    (result,) = start(database, (SHOP, request(phone)), now=now_ms(), starter=starter)
    assert isinstance(result, Accepted)
    return result


def check(database: Database, used: Settings, accepted: Accepted) -> Checked | Exception:
    asked = Check(SHOP, accepted.code or "", verification_id=accepted.verification_id)
    with database.write() as connection:
        (result,) = CodeChecker(cipher(used), Limits({}), 5).write(connection, [asked])
    return result


PAIRS = pytest.mark.parametrize(
    ("made", "used"),
    [(BEFORE, CHANGING), (CHANGING, CHANGING), (CHANGING, AFTER), (CHANGING, PREPARED)],
    ids=["old", "new", "new afterwards", "on a machine that is not changed yet"],
)


@PAIRS
def test_code_is_checked_sent_and_found(database: Database, made: Settings, used: Settings) -> None:
    accepted = accept(database, made)
    row = verification_of(database, accepted.message_id)
    assert accepted.code == cipher(used).codes.open(row.id, row.code_sealed)
    with database.read() as connection:
        found = search.messages_with(connection, cipher(used), str(accepted.code))
    assert found == [accepted.message_id]
    result = check(database, used, accepted)
    assert isinstance(result, Checked)
    assert result.is_valid


@PAIRS
def test_text_of_a_link_is_recognised(database: Database, made: Settings, used: Settings) -> None:
    put_linked(database)
    starter = link_starter_of(database, made)
    now = now_ms()
    link = starter.start(LinkRequest(phone=Phone(PHONE, "EG")), caller=SHOP, now=now)
    taking = build_link_replies(
        used, database, cipher(used), build_templates(used), build_countries(used, database)
    )
    text = Inbound("m", PHONE, f"Hello {link.token}", now)
    with database.write() as connection:
        taking.take(
            connection,
            text,
            numbers=frozenset({PHONE}),
            channel="linked",
            sender="main",
            now=now,
        )
    assert verification(database, link.verification_id).proved_phone == PHONE


def turn_second_factor_on(database: Database, used: Settings) -> str:
    sealing = of_purpose(second_factor.PURPOSE, used)
    with database.write() as connection:
        second_factor.begin_setup(connection, sealing, "admin")
        setup = second_factor.pending(connection, sealing, "admin")
        assert setup is not None
        code = pyotp.TOTP(setup.secret).at(now_ms() // 1000 - 60)
        assert second_factor.confirm(connection, sealing, "admin", code, now=now_ms() - 60_000)
    return setup.secret


def log_in_with(database: Database, used: Settings, secret: str) -> bool:
    code = pyotp.TOTP(secret).at(now_ms() // 1000)
    sealing = of_purpose(second_factor.PURPOSE, used)
    with database.write() as connection:
        return bool(second_factor.spend(connection, sealing, "admin", code, now=now_ms()))


def add_webhook(database: Database, used: Settings) -> str:
    with database.write() as connection:
        added = endpoints.add(
            connection,
            of_purpose(endpoints.PURPOSE, used),
            url=URL,
            kinds=KINDS,
            owner=None,
            now=now_ms(),
        )
    return added.secret


def webhook_secret(database: Database, used: Settings) -> str:
    with database.read() as connection:
        sealed = connection.scalar(select(webhook_endpoints.c.secret_sealed))
    assert sealed is not None
    return of_purpose(endpoints.PURPOSE, used).open(URL, sealed)


def test_second_factor_and_webhooks_are_resealed_at_the_start(database: Database) -> None:
    secret, signs = turn_second_factor_on(database, BEFORE), add_webhook(database, BEFORE)
    assert webhook_secret(database, CHANGING) == signs
    take_over(database, CHANGING)
    assert webhook_secret(database, AFTER) == signs
    assert log_in_with(database, AFTER, secret)


def test_second_factor_works_before_it_is_resealed(database: Database) -> None:
    secret = turn_second_factor_on(database, BEFORE)
    assert log_in_with(database, CHANGING, secret)


def test_session_survives_the_change(database: Database) -> None:
    before, changing, after = map(build_admin_password, (BEFORE, CHANGING, AFTER))
    with database.write() as connection:
        token, _ = sessions.begin(
            connection,
            username="admin",
            password_mark=before.mark(connection),
            is_complete=True,
            address="192.0.2.1",
            now=now_ms(),
        )

    def is_in(password: AdminPassword) -> bool:
        with database.read() as connection:
            marks = password.marks(connection)
            found = sessions.find(connection, token, password_marks=marks, now=now_ms())
        return found is not None

    assert is_in(before)
    assert is_in(changing)
    assert not is_in(after)
    take_over(database, CHANGING)
    assert is_in(changing)
    assert is_in(after)


def test_new_password_ends_sessions_during_the_change(
    database: Database,
) -> None:
    old = build_admin_password(chosen(OLD, admin_password="the first password"))
    new = build_admin_password(chosen(NEW, OLD, admin_password="the second password"))
    with database.read() as connection:
        assert old.mark(connection) not in new.marks(connection)


# End of the need for the former secret


def left(database: Database) -> RotationStatus:
    with database.read() as connection:
        return secret_rotation.find_left(connection, secret=NEW, previous_secret=OLD)


def logged_at_start(database: Database, used: Settings) -> list[str]:
    with capture_logs() as logs:
        take_over(database, used)
    return [line["event"] for line in logs]


def test_without_a_former_secret_no_notice_is_logged(database: Database) -> None:
    assert logged_at_start(database, AFTER) == []


def test_former_secret_is_needed_until_its_last_code_expires(database: Database) -> None:
    last = accept(database, BEFORE)
    accept(database, CHANGING, "+201001230000")
    assert left(database) == RotationStatus(last.expires_at, 0)
    (line,) = logged_at_start(database, CHANGING)
    assert f"is needed until {iso(last.expires_at)}" in line
    with database.write() as connection:
        connection.execute(update(verifications).values(code_sealed=None, code_index=None))
    assert left(database) == RotationStatus(None, 0)
    assert logged_at_start(database, CHANGING) == [DONE]


def test_codes_of_the_new_secret_do_not_need_the_former_one(database: Database) -> None:
    accept(database, CHANGING)
    assert left(database).is_nothing


def test_pending_link_needs_the_former_secret(database: Database) -> None:
    put_linked(database)
    link = link_starter_of(database, BEFORE).start(LinkRequest(), caller=SHOP, now=now_ms())
    assert left(database).until == link.expires_at


def test_answer_to_a_repeated_request_needs_the_former_secret_for_a_day(
    database: Database,
) -> None:
    put_linked(database)
    now = now_ms()
    wanted = LinkRequest(idempotent=IdempotentRequest.of("shop", "key-1", b"{}", cipher(BEFORE)))
    first = link_starter_of(database, BEFORE).start(wanted, caller=SHOP, now=now)
    assert left(database) == RotationStatus(now + KEPT_MS, 0)
    assert "answers to repeated requests" in left(database).sentence
    repeated = replace(
        wanted, idempotent=IdempotentRequest.of("shop", "key-1", b"{}", cipher(CHANGING))
    )
    again = link_starter_of(database, CHANGING).start(repeated, caller=SHOP, now=now)
    assert (again.token, again.is_repeated) == (first.token, True)
    with database.write() as connection:
        connection.execute(update(verifications).values(link_index=None, link_sealed=None))
        connection.execute(update(kept_answers).values(created_at=now - KEPT_MS))
    assert left(database).is_nothing


def test_data_not_yet_resealed_needs_the_former_secret(database: Database) -> None:
    add_webhook(database, BEFORE)
    turn_second_factor_on(database, BEFORE)
    assert left(database) == RotationStatus(None, 2)
    assert "next start" in left(database).sentence
    assert logged_at_start(database, CHANGING) == [DONE]


def test_unreadable_second_factor_does_not_stop_the_start(database: Database) -> None:
    signs = add_webhook(database, BEFORE)
    turn_second_factor_on(database, chosen("a third secret, of the tests"))
    lines = logged_at_start(database, CHANGING)
    assert lines[0] == "second factor unreadable, run: hudhud admin reset-second-factor"
    assert webhook_secret(database, AFTER) == signs
    with database.read() as connection:
        assert connection.scalar(select(second_factors.c.secret_sealed)) is not None
