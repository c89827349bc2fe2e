"""Codes that are sent and checked at times of a test's own, without a web server."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from conftest import settings
from hudhud.app import build_resender
from hudhud.auth.caller import Caller
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import Refused
from hudhud.core.phones import Phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.messages import counters
from hudhud.verification.build import build_countries, build_templates
from hudhud.verification.check import Check, Checked, CodeChecker
from hudhud.verification.new_verification import Accepted, SendRequest
from hudhud.verification.resend import Resender
from support import queued
from support.queued import NOW, PHONE, SECRET, caller

MOST = 5
SHOP = caller("shop", "send", "verify", "read")
OTHER_SHOP = caller("other", "send", "verify", "read")
PLAIN = caller("plain", "send", "read")  # checks codes itself, as callers of the earlier one did
ADMIN = caller("root", "admin")


def request(phone: str = PHONE, **changes: Any) -> SendRequest:
    """What a caller asks for, an Egyptian number unless it is told otherwise."""
    return SendRequest(Phone(phone, "EG"), **changes)


def start(
    database: Database,
    *asked: tuple[Caller, SendRequest],
    now: int = NOW,
    starter: queued.Starter | None = None,
) -> list[Accepted | Exception]:
    """Write a group of requests, as the API does for those that come within milliseconds."""
    used = starter or queued.starter(database, lambda: now)
    group = [
        used.make(one, caller=who, request_id="r", now=now + place)
        for place, (who, one) in enumerate(asked)
    ]
    with database.write() as connection:
        return used.write(connection, group)


def accepted(database: Database, who: Caller = SHOP, *, now: int = NOW, **changes: Any) -> Accepted:
    """Start one verification and return what the API would answer from."""
    (result,) = start(database, (who, request(**changes)), now=now)
    assert isinstance(result, Accepted)
    return result


def check(
    database: Database, *group: Check, most: int = MOST, now: int = NOW
) -> list[Checked | Exception]:
    """Check a group, as the API does with those that come at once."""
    with database.write() as connection:
        return CodeChecker(CodeCipher(SECRET), most, lambda: now).write(connection, group)


def check_code(database: Database, who: Caller, one: str, typed: str) -> Checked:
    """Check one code, which must not be refused."""
    (result,) = check(database, Check(who, typed, verification_id=one))
    assert isinstance(result, Checked), result
    return result


def word(result: object) -> str:
    """The word with which something was refused."""
    assert isinstance(result, Refused), result
    return str(result.word)


def wrong(code: str) -> str:
    """A code of the same length that is another one."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def resends(database: Database, **changes: Any) -> Resender:
    """What sends codes again, on the sandbox unless `changes` say otherwise."""
    chosen = settings(**{"channel": "sandbox", **changes})
    return build_resender(
        chosen, database, build_templates(chosen), build_countries(chosen, database)
    )


def verification(database: Database, one: str) -> Row[Any]:
    """A verification as it is stored."""
    with database.read() as connection:
        return connection.execute(
            select(tables.verifications).where(tables.verifications.c.id == one)
        ).one()


def jobs_of(database: Database, one: str) -> Sequence[Row[Any]]:
    """The messages of a verification, the first one first."""
    found = (
        select(tables.messages)
        .where(tables.messages.c.verification_id == one)
        .order_by(tables.messages.c.id)
    )
    with database.read() as connection:
        return connection.execute(found).all()


def kept_numbers(database: Database) -> dict[str, int]:
    """The kept numbers of messages, which must be the same as counting them all."""
    counted = select(tables.messages.c.status, func.count()).group_by(tables.messages.c.status)
    with database.read() as connection:
        kept = {status: count for status, count in counters.counts(connection).items() if count}
        assert kept == {row[0]: row[1] for row in connection.execute(counted)}
    return kept
