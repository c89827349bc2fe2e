"""`hudhud forget`: reports its changes and any remaining traces."""

from typing import Any

import pytest
from sqlalchemy import insert, select

from hudhud.channels.base import Account, StateReport
from hudhud.core.clock import now_ms
from hudhud.db.tables import verifications, webhook_endpoints
from hudhud.messages import whatsapp_accounts
from support.command_line import PHONE, Installation, Run
from support.queued import submit


def phones(installation: Installation) -> list[Any]:
    with installation.database.read() as connection:
        return list(connection.scalars(select(verifications.c.phone)))


def test_forget_removes_a_number(run: Run, installation: Installation) -> None:
    submit(installation.database, 2, now=now_ms())
    ended = run("forget", PHONE)
    assert ended.code == 0
    assert "Rows changed or deleted: 2 messages, 2 verifications." in ended.out
    assert "No trace is left." in ended.out
    (name,) = set(phones(installation))
    assert name.startswith("forgotten-")
    assert name in ended.out
    assert PHONE[1:] not in ended.out + ended.err


@pytest.mark.parametrize("written", ["+556191234567", "00 55 61 99123-4567"])
def test_other_numbers_of_the_account_are_named(
    run: Run, installation: Installation, written: str
) -> None:
    account = Account(phone="+556191234567", lid=None)
    with installation.database.write() as connection:
        whatsapp_accounts.remember(connection, phone="+5561991234567", account=account)
    submit(installation.database, now=now_ms(), phone="+5561991234567")
    ended = run("forget", written)
    assert ended.code == 0
    assert "Also forgotten, of the same WhatsApp account: +5561*****67." in ended.out
    assert "No trace is left." in ended.out


def test_number_that_is_refused_now_is_forgotten(run: Run, installation: Installation) -> None:
    submit(installation.database, now=now_ms(), phone="+12530000")
    assert run("forget", "+12530000").code == 0
    assert phones(installation) != ["+12530000"]


def test_unknown_number_is_no_failure(run: Run, installation: Installation) -> None:
    assert phones(installation) == []
    ended = run("forget", PHONE)
    assert ended.code == 0
    assert "Rows changed or deleted: none." in ended.out


def test_remaining_traces_are_named_and_fail_the_command(
    run: Run, installation: Installation
) -> None:
    with installation.database.write() as connection:
        endpoint = {"url": f"https://shop/{PHONE[1:]}", "kinds": "k", "secret_sealed": b"x"}
        connection.execute(insert(webhook_endpoints), endpoint | {"created_at": 1})
    ended = run("forget", PHONE)
    assert ended.code == 1
    assert "The number is left in: webhook_endpoints." in ended.err
    assert "No trace" not in ended.out


def test_number_of_a_sender_is_refused(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", phone=PHONE))
    ended = run("forget", PHONE)
    assert ended.code == 1
    assert "This is the number of the sender" in ended.err


@pytest.mark.parametrize("text", ["201001234567", "+20", "nobody"])
def test_invalid_number_is_wrong_use(run: Run, installation: Installation, text: str) -> None:
    del installation
    ended = run("forget", text)
    assert ended.code == 2
    assert "is not a phone number" in ended.err
