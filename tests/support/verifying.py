"""Codes sent and checked at chosen times, without a web server."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from conftest import settings
from hudhud.app import build_resender
from hudhud.auth.caller import ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES, Caller
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import Refused
from hudhud.core.phones import Phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import counters
from hudhud.verification.build import build_countries, build_templates
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.new_verification import Accepted, SendRequest
from hudhud.verification.resend import Resender
from support import queued
from support.queued import NOW, PHONE, SECRET, caller

MOST = 5
SHOP = caller("shop", "send", "verify", "read")
OTHER_SHOP = caller("other", "send", "verify", "read")
PLAIN = caller("plain", "send", "read")  # compares codes itself, as before
ADMIN = caller("root", "admin")
NO_LIMIT_OF_WRONG_CODES = Limits({"wrong_codes": ()})
OF_ENVIRONMENT = Caller(ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES)  # the key of API_KEY


def request(phone: str = PHONE, **changes: Any) -> SendRequest:
    """Return a caller's request, by default for an Egyptian number."""
    return SendRequest(Phone(phone, "EG"), **changes)


def start(
    database: Database,
    *asked: tuple[Caller, SendRequest],
    now: int = NOW,
    starter: queued.Starter | None = None,
) -> list[Accepted | Exception]:
    """Write a group of requests, as for those within milliseconds."""
    used = starter or queued.starter(database, lambda: now)
    group = [
        used.make(one, caller=who, request_id="r", now=now + place)
        for place, (who, one) in enumerate(asked)
    ]
    with database.write() as connection:
        return used.write(connection, group)


def accepted(database: Database, who: Caller = SHOP, *, now: int = NOW, **changes: Any) -> Accepted:
    """Start one verification and return the data of the API's answer."""
    (result,) = start(database, (who, request(**changes)), now=now)
    assert isinstance(result, Accepted)
    return result


def check(
    database: Database,
    *group: Check,
    most: int = MOST,
    now: int = NOW,
    limits: Limits = NO_LIMIT_OF_WRONG_CODES,
) -> list[Checked | Exception]:
    """Check a group, as the API does for simultaneous checks."""
    checker = CodeChecker(CodeCipher(SECRET), limits, most, lambda: now)
    with database.write() as connection:
        return checker.write(connection, group)


def check_code(database: Database, who: Caller, one: str, typed: str) -> Checked:
    """Check one code, which must not be refused."""
    (result,) = check(database, Check(who, typed, verification_id=one))
    assert isinstance(result, Checked), result
    return result


def word(result: object) -> str:
    """Return the word of a refusal."""
    assert isinstance(result, Refused), result
    return str(result.word)


def wrong(code: str) -> str:
    """Return another code of the same length."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def resends(database: Database, **changes: Any) -> Resender:
    """Return a resender of codes, by default on the sandbox."""
    chosen = settings(**{"channel": "sandbox", "session_secret": SECRET, **changes})
    templates, countries = build_templates(chosen), build_countries(chosen, database)
    return build_resender(chosen, database, CodeCipher(SECRET), templates, countries)


def verification(database: Database, one: str) -> Row[Any]:
    """Return a stored verification."""
    with database.read() as connection:
        return connection.execute(
            select(tables.verifications).where(tables.verifications.c.id == one)
        ).one()


def jobs_of(database: Database, one: str) -> Sequence[Row[Any]]:
    """Return the messages of a verification, oldest first."""
    found = (
        select(tables.messages)
        .where(tables.messages.c.verification_id == one)
        .order_by(tables.messages.c.id)
    )
    with database.read() as connection:
        return connection.execute(found).all()


def kept_numbers(database: Database) -> dict[str, int]:
    """Return the counters of messages, after comparing them with a full count."""
    counted = select(tables.messages.c.status, func.count()).group_by(tables.messages.c.status)
    with database.read() as connection:
        kept = {status: count for status, count in counters.counts(connection).items() if count}
        assert kept == {row[0]: row[1] for row in connection.execute(counted)}
    return kept
