"""`hudhud send`: queues like the API and follows the message."""

import re
import secrets

import pytest
from sqlalchemy import select

from hudhud.channels.base import Receipt
from hudhud.core.clock import iso, now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.sentences import other
from hudhud.db.tables import verifications
from hudhud.messages.outcomes import Failed, Sent
from hudhud.messages.receipts import record_receipts
from hudhud.verification.build import secret_of
from support.command_line import PHONE, Installation, Run, in_background
from support.queued import put_sender


def test_sent_code_is_queued_and_not_shown(run: Run, installation: Installation) -> None:
    ended = run("send", "00 20 (0) 100-123.4567", "--no-wait")
    assert ended.code == 0
    assert "Job 1 is queued" in ended.out
    assert "No sender is running" in ended.err
    (row,) = installation.rows()
    assert (row.phone, row.status) == (PHONE, "queued")
    assert code_of(installation) not in re.findall(r"\b\d{4}\b", ended.out.split("valid")[0])
    assert "Code" not in ended.out


def test_restricted_senders_refuse_a_stranger(run: Run, installation: Installation) -> None:
    until = now_ms() + 3_600_000
    channel = installation.settings.channel
    put_sender(installation.database, "main", "restricted", channel=channel, until=until)
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 1
    assert f"Not accepted: every sender is restricted until {iso(until)}. Try again" in ended.err
    assert installation.rows() == []


def test_code_is_shown_on_request(run: Run, installation: Installation) -> None:
    ended = run("send", PHONE, "--no-wait", "--show-code")
    assert f"Code: {code_of(installation)}\n" in ended.out


def code_of(installation: Installation) -> str:
    cipher = CodeCipher(secret_of(installation.settings))
    with installation.database.read() as connection:
        row = connection.execute(select(verifications)).one()
    return cipher.codes.open(row.id, row.code_sealed)


@pytest.mark.parametrize("number", ["201001234567", "+20", "me"])
def test_invalid_number_exits_with_two(run: Run, number: str) -> None:
    ended = run("send", number)
    assert ended.code == 2
    assert "is not a phone number" in ended.err


def test_wrong_secret_sends_nothing(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("send", PHONE, "--no-wait")
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 1
    assert "another secret" in ended.err
    assert len(installation.rows()) == 1


def test_full_queue_exits_with_one(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_MIN_SEND_DELAY_MS", "3600000")
    monkeypatch.setenv("WORKER_MAX_SEND_DELAY_MS", "3600000")
    assert run("send", PHONE, "--no-wait").code == 0
    ended = run("send", PHONE, "--no-wait")
    assert ended.code == 1
    assert "Try again in 3600 s" in ended.err
    assert len(installation.rows()) == 1


def test_message_is_followed_until_delivery(run: Run, installation: Installation) -> None:
    def carry() -> None:
        job = installation.claim()
        installation.record(Sent(job, "provider-1", now_ms()))
        with installation.database.write() as connection:
            record_receipts(
                connection, [Receipt("provider-1", "delivered", now_ms())], now=now_ms()
            )
            installation.database.notify(connection)

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "30s")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "Job 1: delivered"


@pytest.mark.parametrize("database_kind", ["sqlite"])  # waits 3 s
def test_message_not_delivered_in_time_counts_as_sent(run: Run, installation: Installation) -> None:
    def carry() -> None:
        installation.record(Sent(installation.claim(), "provider-1", now_ms()))

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "3s")
    assert ended.code == 0
    assert "not delivered within 3s" in ended.err


def test_failed_message_exits_with_one_and_its_reason(run: Run, installation: Installation) -> None:
    def carry() -> None:
        installation.record(Failed(installation.claim(), other("No account."), now_ms()))

    with in_background(carry):
        ended = run("send", PHONE, "--timeout", "30s")
    assert ended.code == 1
    assert "failed. No account." in ended.out


@pytest.mark.usefixtures("installation")
def test_unsent_message_exits_with_one(run: Run) -> None:
    ended = run("send", PHONE, "--timeout", "1s")
    assert ended.code == 1
    assert "still queued after 1s" in ended.err
