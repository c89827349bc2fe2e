"""Receivers verify each event and get it at least once, in order.

This holds whatever they answer, and whenever a dispatcher is killed.
"""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from sqlalchemy import text, update
from structlog.testing import capture_logs

from hudhud.channels.base import Receipt
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_endpoints
from hudhud.messages import queue, receipts
from hudhud.messages.outcomes import Sent
from hudhud.verification import lifecycle
from hudhud.webhooks import delivery_log, dispatcher, endpoint_health, endpoints, events
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.dispatcher import Dispatcher
from hudhud.worker.outcomes import record_outcomes
from support.queued import submit, verification_of
from support.receivers import (
    CIPHER,
    QUICK,
    SECONDS,
    Received,
    Reply,
    add_endpoint,
    dispatching,
    receiving,
    stored_deliveries,
    wait_for_status,
)
from support.services import free_port, wait_until

TESTS = Path(__file__).parents[1]
# Runs a machine that is killed; another takes its deliveries over after a second.
KILLED = """
import sys, threading
from hudhud.db.engine import Database
from hudhud.webhooks.dispatcher import Timing
from support.receivers import dispatcher
dispatcher(Database(sys.argv[1]), Timing(retry_waits=(0.01,) * 9, lease=1)).run(threading.Event())
"""
NO_RETRY_SOON = replace(QUICK, retry_waits=(3600,) * 9)


def tell(database: Database, *subjects: int) -> None:
    """Write events in turn, each of the message that it names."""
    for subject in subjects:
        with database.write() as connection:
            events.messages_changed(connection, "message.sent", [subject], now=now_ms())
            database.notify(connection)


def sequences(received: list[Received]) -> list[int]:
    return [one.event["sequence"] for one in received]


@contextmanager
def held() -> Iterator[threading.Event]:
    """Return an event to wait for, set at the end."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def test_receiver_verifies_its_events(database: Database) -> None:
    with receiving() as receiver:
        secret = add_endpoint(database, receiver.url).secret
        with dispatching(database):
            (job,) = submit(database, now=now_ms())
            wait_for_status(database, "delivered")
    (got,) = receiver.received
    (row,) = stored_deliveries(database)
    assert got.is_signed_by(secret)
    assert not got.is_signed_by(other_secret(database))
    assert got.headers["content-type"] == "application/json"
    assert got.id == row.event
    assert got.id.startswith("evt_")
    event = got.event
    assert (event["type"], event["sequence"]) == ("verification.created", row.event_id)
    assert event["data"]["verificationId"] == verification_of(database, job).id
    assert (row.attempts, row.last_status, row.last_error) == (1, 204, None)


def other_secret(database: Database) -> str:
    return add_endpoint(database, "https://other.example/").secret


def test_both_secrets_sign_during_a_rotation(database: Database) -> None:
    with receiving() as receiver:
        added = add_endpoint(database, receiver.url, ["verification.created"])
        with database.write() as connection:
            rotated = endpoints.rotate(connection, CIPHER, added.id, now=now_ms())
        assert rotated is not None
        with dispatching(database):
            submit(database, now=now_ms())
            wait_for_status(database, "delivered")
            with database.write() as connection:
                endpoints.rotate(connection, CIPHER, added.id, now=now_ms(), overlap_ms=0)
            submit(database, now=now_ms())
            wait_for_status(database, "delivered", "delivered")
    during, after = receiver.received
    assert during.is_signed_by(added.secret)
    assert during.is_signed_by(rotated.secret)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert not after.is_signed_by(rotated.secret)


def test_failing_receiver_gets_everything_in_order_once_it_works(database: Database) -> None:
    failures = iter([500, 503, 500, 204, 400])

    def reply(_: Received) -> Reply:
        return Reply(next(failures, 204))

    with receiving(reply) as receiver:
        secret = add_endpoint(database, receiver.url, ["message.sent"]).secret
        (job,) = submit(database, now=now_ms())
        with dispatching(database):
            tell(database, job, job, job)
            wait_for_status(database, "delivered", "delivered", "delivered")
    attempts = [(number, len(list(them))) for number, them in groupby(sequences(receiver.received))]
    assert attempts == [(attempts[0][0], 4), (attempts[1][0], 2), (attempts[2][0], 1)]
    assert attempts == sorted(attempts)
    assert len({one.id for one in receiver.received}) == 3
    assert all(one.is_signed_by(secret) for one in receiver.received)
    for _id, same in groupby(receiver.received, key=lambda one: one.id):
        assert len({one.body for one in same}) == 1
    assert [row.attempts for row in stored_deliveries(database)] == [4, 2, 1]


def test_delivery_fails_after_ten_attempts(database: Database) -> None:
    with receiving(lambda _: Reply(500)) as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        (job,) = submit(database, now=now_ms())
        tell(database, job, job)
        with dispatching(database):
            wait_for_status(database, "failed", "failed")
    assert len(receiver.received) == 20
    for row in stored_deliveries(database):
        assert (row.attempts, row.last_status) == (10, 500)
        assert row.last_error == "The receiver answered 500."


def test_slow_receiver_does_not_delay_others(database: Database) -> None:
    with held() as release:

        def hang(_: Received) -> Reply:
            release.wait(SECONDS)
            return Reply()

        with receiving(hang) as slow, receiving() as quick:
            add_endpoint(database, slow.url, ["message.sent"])
            add_endpoint(database, quick.url, ["message.sent"])
            jobs = submit(database, 60, now=now_ms())
            with dispatching(database):
                tell(database, *jobs)
                wait_until(lambda: len(quick.received) == 60, SECONDS, "the quick receiver")
                assert len(slow.received) <= dispatcher.MOST_TO_ONE
                release.set()
                wait_until(lambda: len(slow.received) == 60, SECONDS, "the slow receiver")


def test_many_hanging_receivers_do_not_delay_others(database: Database) -> None:
    with held() as release:

        def hang(_: Received) -> Reply:
            release.wait(SECONDS)
            return Reply()

        with receiving(hang) as slow, receiving() as quick:
            for _ in range(6):
                add_endpoint(database, slow.url, ["message.sent"])
            add_endpoint(database, quick.url, ["message.sent"])
            with database.write() as connection:
                failing = webhook_endpoints.c.url == slow.url
                connection.execute(update(webhook_endpoints).where(failing).values(failing_since=1))
            with dispatching(database, most_at_once=8):
                tell(database, *submit(database, 20, now=now_ms()))
                wait_until(lambda: len(quick.received) == 20, SECONDS, "the quick receiver")
                release.set()


def test_redirect_is_reported_as_a_failure(database: Database) -> None:
    with receiving() as target:
        moved = Reply(308, {"Location": target.url})
        with receiving(lambda _: moved) as receiver:
            add_endpoint(database, receiver.url, ["message.sent"])
            tell(database, *submit(database, now=now_ms()))
            with dispatching(database, NO_RETRY_SOON):
                wait_until(lambda: stored_deliveries(database)[0].attempts == 1, SECONDS, "an end")
        assert target.received == []
    (row,) = stored_deliveries(database)
    assert (row.status, row.last_status) == ("pending", 308)
    assert row.last_error == "The receiver answered with redirect 308, which is not followed."


def test_gone_receiver_is_disabled_and_can_be_enabled(database: Database) -> None:
    answers = iter([410])
    with receiving(lambda _: Reply(next(answers, 204))) as receiver:
        endpoint = add_endpoint(database, receiver.url, ["message.sent"]).id
        (job,) = submit(database, now=now_ms())
        tell(database, job, job)
        with dispatching(database):
            wait_until(lambda: is_disabled(database, endpoint), SECONDS, "the end of the endpoint")
            tell(database, job)
            with database.write() as connection:
                found = endpoints.find(connection, endpoint)
                endpoints.enable(connection, endpoint, now=now_ms())
            wait_for_status(database, "delivered", "delivered")
    assert found is not None
    assert found.disabled_reason == dispatcher.ANSWERED_GONE.english()
    assert len(receiver.received) == 3


def is_disabled(database: Database, endpoint: int) -> bool:
    with database.read() as connection:
        found = endpoints.find(connection, endpoint)
    assert found is not None
    return found.disabled_at is not None


def test_retry_after_postpones_all_waiting_deliveries(database: Database) -> None:
    busy = Reply(429, {"Retry-After": "600"})
    with receiving(lambda _: busy) as receiver, receiving() as other:
        add_endpoint(database, receiver.url, ["message.sent"])
        with dispatching(database):
            tell(database, *submit(database, now=now_ms()))
            wait_until(lambda: stored_deliveries(database)[0].attempts == 1, SECONDS, "an answer")
            add_endpoint(database, other.url, ["message.sent"])
            tell(database, *submit(database, now=now_ms()))
            wait_until(lambda: bool(other.received), SECONDS, "the other receiver")
    assert len(receiver.received) == 1
    first, second, third = stored_deliveries(database)
    assert first.next_at >= first.last_at + 600_000
    assert [(row.status, row.attempts) for row in (second, third)] == [
        ("pending", 0),
        ("delivered", 1),
    ]


def test_failed_delivery_is_delivered_after_a_replay(database: Database) -> None:
    answers = iter([500] * 10)
    with receiving(lambda _: Reply(next(answers, 204))) as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        tell(database, *submit(database, now=now_ms()))
        with dispatching(database):
            wait_for_status(database, "failed")
            with database.write() as connection:
                assert delivery_log.replay(connection, 1, now=now_ms())
                database.notify(connection)
            wait_for_status(database, "delivered")
    assert len(set(receiver.ids)) == 1
    assert len(receiver.received) == 11


def test_private_address_gets_no_events_unless_allowed(database: Database) -> None:
    with receiving() as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        tell(database, *submit(database, now=now_ms()))
        stopping = threading.Event()
        strict = Dispatcher(database, CIPHER, AddressPolicy(allow_private=False), NO_RETRY_SOON)
        thread = threading.Thread(target=strict.run, args=(stopping,))
        thread.start()
        wait_until(lambda: stored_deliveries(database)[0].attempts == 1, SECONDS, "an attempt")
        stopping.set()
        thread.join()
        assert receiver.received == []
    (row,) = stored_deliveries(database)
    assert row.last_status is None
    assert "not on the public internet" in row.last_error


def test_delivery_of_a_killed_machine_is_repeated_by_another(
    database: Database,
) -> None:
    with held() as release:

        def hang(_: Received) -> Reply:
            release.wait(SECONDS)
            return Reply()

        with receiving(hang) as receiver:
            secret = add_endpoint(database, receiver.url, ["message.sent"]).secret
            (job,) = submit(database, now=now_ms())
            tell(database, job, job)
            url = database.url.render_as_string(hide_password=False)
            machine = subprocess.Popen(
                [sys.executable, "-c", KILLED, url],
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
            try:
                wait_until(lambda: bool(receiver.received), SECONDS, "the first request")
            finally:
                machine.kill()
                machine.wait()
            assert [row.status for row in stored_deliveries(database)] == ["pending", "pending"]
            release.set()
            with dispatching(database):
                wait_for_status(database, "delivered", "delivered")
    first, again, following = receiver.received
    assert first.id == again.id != following.id
    assert first.body == again.body
    assert all(one.is_signed_by(secret) for one in receiver.received)


def test_several_machines_deliver_each_event_once(database: Database) -> None:
    with receiving() as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        jobs = submit(database, 30, now=now_ms())
        with dispatching(database), dispatching(database):
            tell(database, *jobs)
            wait_for_status(database, *["delivered"] * 30)
    assert len(receiver.ids) == len(set(receiver.ids)) == 30


def test_stopping_dispatcher_releases_unfinished_deliveries(database: Database) -> None:
    with held() as release:

        def hang(_: Received) -> Reply:
            release.wait(SECONDS)
            return Reply()

        with receiving(hang) as receiver:
            add_endpoint(database, receiver.url, ["message.sent"])
            tell(database, *submit(database, now=now_ms()))
            with dispatching(database, replace(QUICK, stop=0.05)):
                wait_until(lambda: bool(receiver.received), SECONDS, "a request")
            (row,) = stored_deliveries(database)
            assert (row.status, row.attempts, row.lease_expires_at) == ("pending", 0, None)
            assert row.next_at <= now_ms()


def test_deliveries_during_a_database_outage_are_recorded_later(
    database: Database, impatient: Database
) -> None:
    with held() as release:

        def hang(_: Received) -> Reply:
            release.wait(SECONDS)
            return Reply()

        with receiving(hang) as receiver, capture_logs() as logs:
            add_endpoint(database, receiver.url, ["message.sent"])
            tell(database, *submit(database, now=now_ms()))
            with dispatching(impatient):
                wait_until(lambda: bool(receiver.received), SECONDS, "a request")
                with database.write() as connection:
                    if not database.is_sqlite:
                        connection.execute(text("LOCK webhook_deliveries IN EXCLUSIVE MODE"))
                    release.set()
                    wait_until(lambda: "wait for the database" in str(logs), SECONDS, "a complaint")
                wait_for_status(database, "delivered")
        assert len(receiver.received) == 1


def test_unreadable_secret_is_reported(database: Database) -> None:
    with receiving() as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        with database.write() as connection:
            foreign = Cipher(endpoints.PURPOSE, "the secret of yesterday").seal(receiver.url, "x")
            connection.execute(update(webhook_endpoints).values(secret_sealed=foreign))
        tell(database, *submit(database, now=now_ms()))
        with dispatching(database, NO_RETRY_SOON):
            wait_until(lambda: stored_deliveries(database)[0].attempts == 1, SECONDS, "an attempt")
        assert receiver.received == []
    assert stored_deliveries(database)[0].last_error == dispatcher.SECRET_LOST.english()


def test_logs_name_the_endpoint_and_no_number(database: Database) -> None:
    answers = iter([500, 500, 204])

    def reply(got: Received) -> Reply:
        return Reply(next(answers, 410), body=got.body.encode())

    with receiving(reply) as receiver, capture_logs() as logs:
        endpoint = add_endpoint(database, receiver.url, ["message.sent"]).id
        with dispatching(database):
            tell(database, *submit(database, now=now_ms()))
            wait_for_status(database, "delivered")
            tell(database, *submit(database, now=now_ms()))
            wait_until(lambda: is_disabled(database, endpoint), SECONDS, "the end of the endpoint")
    said = [one["event"] for one in logs if one.get("endpoint") == endpoint]
    assert said[:2] == ["webhook deliveries fail", "webhook deliveries arrive again"]
    assert said[-1].startswith("webhook endpoint disabled")
    assert "1001234567" not in str(logs)
    errors = [row.last_error or "" for row in stored_deliveries(database)]
    assert "1001234567" not in "".join(errors)
    assert "The receiver answered 410: " in errors[1]


def test_receivers_answer_is_not_logged(database: Database) -> None:
    with receiving(lambda _: Reply(500, body=b"Mrs X lives here")) as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        tell(database, *submit(database, now=now_ms()))
        with capture_logs() as logs, dispatching(database):
            wait_for_status(database, "failed")
    assert [line["status"] for line in logs if line["event"] == "webhook deliveries fail"] == [500]
    assert "Mrs X" not in str(logs)
    assert stored_deliveries(database)[0].last_error.endswith("500: Mrs X lives here")


def test_endless_answer_does_not_delay_others(database: Database) -> None:
    """The receiver sends interim answers as fast as they are read."""
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 500
    endless = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = endless.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            while True:
                connection.sendall(hints)

    thread = threading.Thread(target=answer)
    thread.start()
    with endless, receiving() as other:
        url = f"http://127.0.0.1:{endless.getsockname()[1]}/"
        add_endpoint(database, url, ["message.sent"])
        add_endpoint(database, other.url, ["message.sent"])
        tell(database, *submit(database, now=now_ms()))
        with dispatching(database, NO_RETRY_SOON):
            wait_until(
                lambda: all(row.attempts for row in stored_deliveries(database)), SECONDS, "both"
            )
        thread.join()
    first, second = stored_deliveries(database)
    assert first.last_error == "The connection ended before the answer: received over 128 KiB."
    assert second.status == "delivered"


def test_repaired_receiver_gets_the_backlog_at_once(database: Database) -> None:
    broken = threading.Event()
    broken.set()
    with receiving(lambda _: Reply(500 if broken.is_set() else 204)) as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        with dispatching(database, NO_RETRY_SOON):
            tell(database, *submit(database, 3, now=now_ms()))
            wait_until(
                lambda: all(row.attempts for row in stored_deliveries(database)), SECONDS, "all"
            )
            with database.write() as connection:
                long_ago = now_ms() - endpoint_health.REPAIRED_AFTER_MS
                connection.execute(update(webhook_endpoints).values(failing_since=long_ago))
            broken.clear()
            tell(database, *submit(database, now=now_ms()))
            wait_for_status(database, *["delivered"] * 4)


def test_backlog_does_not_delay_later_deliveries(database: Database) -> None:
    """A backlog of failing deliveries does not hide due ones."""
    broken: set[str] = set()

    def reply(got: Received) -> Reply:
        return Reply(500 if got.event["data"]["verificationId"] in broken else 204)

    with receiving(reply) as receiver:
        add_endpoint(database, receiver.url, ["message.sent"])
        stuck, free = submit(database, 2, now=now_ms())
        broken.add(verification_of(database, stuck).id)
        tell(database, *[stuck] * 200, free)
        with dispatching(database, NO_RETRY_SOON):
            wait_until(
                lambda: stored_deliveries(database)[-1].status == "delivered", SECONDS, "the last"
            )
    assert len(receiver.received) == 2


def test_all_events_of_a_code_arrive_in_order(database: Database) -> None:
    with receiving() as receiver:
        add_endpoint(database, receiver.url)
        with dispatching(database):
            (job,) = submit(database, now=now_ms())
            send(database, Sent(job, "provider", now_ms()))
            with database.write() as connection:
                receipt = Receipt("provider", "read", now_ms())
                receipts.record_receipts(connection, [receipt], now=now_ms())
                lifecycle.approve(connection, verification_of(database, job).id, now=now_ms())
                database.notify(connection)
            wait_for_status(database, *["delivered"] * 5)
    assert [one.event["type"] for one in receiver.received] == [
        "verification.created",
        "message.sent",
        "message.delivered",
        "message.read",
        "verification.approved",
    ]
    assert sequences(receiver.received) == sorted(sequences(receiver.received))


def send(database: Database, outcome: Sent) -> None:
    now = now_ms()
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="main", limit=1, now=now)
        record_outcomes(connection, sender="main", outcomes=[outcome], now=now)


def test_receiver_example_of_the_documentation_works(database: Database, tmp_path: Path) -> None:
    page = (TESTS.parent / "docs/webhooks.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    port = free_port()
    secret = add_endpoint(database, f"http://127.0.0.1:{port}/", ["message.sent"]).secret
    output = tmp_path / "output"
    with output.open("w") as file:
        receiver = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program.replace("8000", str(port))],
            env={**os.environ, "WEBHOOK_SECRET": secret},
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
        try:
            tell(database, *submit(database, now=now_ms()))
            with dispatching(database, replace(QUICK, retry_waits=(0.1,) * 200)):
                wait_for_status(database, "delivered")
                with database.write() as connection:
                    assert delivery_log.replay(connection, 1, now=now_ms())
                    database.notify(connection)
                wait_for_status(database, "delivered")
        finally:
            receiver.terminate()
            receiver.wait()
    (line,) = output.read_text().splitlines()
    assert line.startswith("message.sent {'jobId': 1, ")
