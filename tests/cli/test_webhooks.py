"""`hudhud webhooks`: add, list, rotate and remove endpoints; list and replay deliveries."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select, update

from hudhud import app
from hudhud.auth import api_keys, audit_log
from hudhud.core.clock import DAY_MS, now_ms
from hudhud.core.sentences import other
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import webhook_deliveries, webhook_endpoints
from hudhud.webhooks import endpoints, events
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.event_types import KINDS
from support.command_line import Installation, Run, rows
from support.queued import submit

URL = "https://shop.example/hudhud"


@pytest.fixture(autouse=True)
def _names_lead_to_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve no real host name."""

    def resolve(host: str, _port: int) -> Sequence[str]:
        return ["10.0.0.1" if host == "intranet.example" else "93.184.215.14"]

    monkeypatch.setattr(
        app,
        "build_address_policy",
        lambda settings: AddressPolicy(
            allow_private=settings.webhook_allow_private, resolve=resolve
        ),
    )


def stored_secrets(installation: Installation) -> list[str]:
    """Return the decrypted secrets of the only endpoint."""
    cipher = app.build_webhook_cipher(installation.settings)
    with installation.database.read() as connection:
        row = connection.execute(select(webhook_endpoints)).one()
    sealed = [row.secret_sealed, row.previous_secret_sealed]
    return [cipher.open(row.url, one) for one in sealed if one is not None]


def put_deliveries(installation: Installation, count: int, status: str = "failed") -> None:
    """Insert deliveries of an hour ago with this result."""
    jobs = submit(installation.database, count, now=now_ms())
    with installation.database.write() as connection:
        events.messages_changed(connection, "message.sent", jobs, now=now_ms() - DAY_MS // 24)
        ended = {
            "status": status,
            "attempts": 10,
            "last_at": now_ms() - DAY_MS // 24,
            "last_error": "The receiver answered 500.",
        }
        of_these = webhook_deliveries.c.status == "pending"
        connection.execute(update(webhook_deliveries).where(of_these).values(**ended))


def statuses(installation: Installation) -> list[str]:
    by_id = select(webhook_deliveries.c.status).order_by(webhook_deliveries.c.id)
    with installation.database.read() as connection:
        return list(connection.scalars(by_id))


def test_secret_of_a_new_endpoint_is_printed_once(run: Run, installation: Installation) -> None:
    ended = run("webhooks", "add", URL)
    assert ended.code == 0
    secret = ended.out.strip()
    assert secret.startswith("whsec_")
    assert stored_secrets(installation) == [secret]
    listed = run("webhooks", "list").out
    assert listed == (
        "ID  URL                          EVENTS  OF        STATE          PENDING  FAILED\n"
        f"1   {URL}  all     all keys  not tried yet  0        0\n"
    )
    assert secret not in ended.err


@pytest.mark.usefixtures("installation")
def test_endpoint_may_subscribe_to_some_events_of_one_key(
    run: Run, installation: Installation
) -> None:
    with installation.database.write() as connection:
        lock(connection, Lock.API_KEYS)
        api_keys.create(connection, "webshop", now=now_ms())
    add = ("webhooks", "add", URL)
    assert run(*add, "--key", "webshop", "--event", "message.read").code == 0
    assert run(*add, "--key", "API_KEY").code == 0
    some, own = rows(run("webhooks", "list"))
    assert some[:4] == ["1", URL, "message.read", "webshop"]
    assert own[3] == "API_KEY"
    assert KINDS[0] in own[2]
    assert "sender.connected" not in own[2]
    unknown = run(*add, "--key", "nobody")
    assert (unknown.code, "hudhud keys list" in unknown.err) == (1, True)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://shop.example/"], "must look like"),
        ([URL, "--event", "message.lost"], "message.failed"),
        (["https://intranet.example/"], "WEBHOOK_ALLOW_PRIVATE=true"),
    ],
)
def test_invalid_endpoint_exits_with_two_and_a_reason(
    run: Run, arguments: Sequence[str], said: str
) -> None:
    ended = run("webhooks", "add", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert run("webhooks", "list").out == ""


@pytest.mark.usefixtures("installation")
def test_private_address_can_be_allowed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "true")
    assert run("webhooks", "add", "https://intranet.example/").code == 0


def test_new_secret_signs_together_with_the_former_one(
    run: Run, installation: Installation
) -> None:
    first = run("webhooks", "add", URL).out.strip()
    ended = run("webhooks", "rotate", "1", "--overlap", "2h")
    assert ended.code == 0
    assert "also signs for 2h." in ended.err
    assert stored_secrets(installation) == [ended.out.strip(), first]
    assert run("webhooks", "rotate", "1", "--overlap", "31d").code == 2
    without_unit = run("webhooks", "rotate", "1", "--overlap", "2")
    assert (without_unit.code, "like 90d, 24h, 30m" in without_unit.err) == (2, True)


def test_second_rotation_is_refused_while_the_former_secret_signs(
    run: Run, installation: Installation
) -> None:
    run("webhooks", "add", URL)
    run("webhooks", "rotate", "1")
    before = stored_secrets(installation)
    ended = run("webhooks", "rotate", "1")
    assert (ended.code, ended.out) == (1, "")
    assert "The secret has already been replaced" in ended.err
    assert stored_secrets(installation) == before
    assert run("webhooks", "rotate", "1", "--overlap", "0s").code == 0


def test_replay_says_which_delivery_is_ahead(run: Run, installation: Installation) -> None:
    run("webhooks", "add", f"{URL}?token=abc123", "--event", "message.sent")
    (job,) = submit(installation.database, 1, now=now_ms())
    with installation.database.write() as connection:
        for _ in range(2):
            events.messages_changed(connection, "message.sent", [job], now=now_ms())
    said = run("webhooks", "replay", "2").out
    assert said == "Delivery 2 is queued again, behind delivery 1.\n"
    assert rows(run("webhooks", "deliveries"))[0][-1] == "behind 1"
    assert f"{URL}?…" in run("webhooks", "list").out
    with installation.database.read() as connection:
        assert "abc123" not in str(audit_log.page(connection, limit=9))


def test_replay_of_all_hastens_pending_retries(run: Run, installation: Installation) -> None:
    run("webhooks", "add", URL, "--event", "message.sent")
    put_deliveries(installation, 2, "pending")
    with installation.database.write() as connection:
        later = now_ms() + DAY_MS
        connection.execute(update(webhook_deliveries).values(attempts=3, next_at=later))
    run("webhooks", "replay", "--endpoint", "1")
    with installation.database.read() as connection:
        times = connection.scalars(select(webhook_deliveries.c.next_at)).all()
    assert max(times) <= now_ms()


def test_wrong_secret_seals_nothing(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = run("webhooks", "add", URL).out.strip()
    monkeypatch.setenv("SESSION_SECRET", "x" * 64)
    ended = run("webhooks", "add", URL)
    assert (ended.code, ended.out) == (1, "")
    assert "belongs to another secret" in ended.err
    assert run("webhooks", "rotate", "1").code == 1
    assert stored_secrets(installation) == [secret]


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("command", ["remove", "enable", "rotate", "replay"])
def test_unknown_endpoint_is_reported(run: Run, command: str) -> None:
    named = ["--endpoint", "7"] if command == "replay" else ["7"]
    ended = run("webhooks", command, *named)
    assert ended.code == 1
    assert "There is no endpoint 7. See: hudhud webhooks list" in ended.err


def test_disabled_endpoint_can_be_enabled(run: Run, installation: Installation) -> None:
    run("webhooks", "add", URL)
    with installation.database.write() as connection:
        endpoints.disable(connection, 1, reason=other("It answered 410."), now=now_ms())
    assert "(It answered 410.)" in run("webhooks", "list").out
    assert run("webhooks", "enable", "1").out == "Endpoint 1 is enabled.\n"
    assert run("webhooks", "enable", "1").out == "Endpoint 1 is already enabled.\n"
    assert rows(run("webhooks", "list"))[0][4] == "not tried yet"


def test_deliveries_can_be_listed_and_filtered_by_failure(
    run: Run, installation: Installation
) -> None:
    run("webhooks", "add", URL, "--event", "message.sent")
    put_deliveries(installation, 2)
    put_deliveries(installation, 1, "delivered")
    newest, *_, oldest = rows(run("webhooks", "deliveries"))
    assert newest[:3] == ["3", "1", "message.sent"]
    assert newest[3].startswith("evt_")
    assert newest[4:7] == ["delivered", "10", "1 h ago"]
    assert oldest[:2] == ["1", "1"]
    assert oldest[-1] == "The receiver answered 500."
    assert [row[0] for row in rows(run("webhooks", "deliveries", "--failed"))] == ["2", "1"]
    (page,) = rows(run("webhooks", "deliveries", "1", "--limit", "1", "--before", "3"))
    assert page[0] == "2"
    assert rows(run("webhooks", "list"))[0][4:] == ["works", "0", "2"]


def test_empty_lists_name_the_next_command(run: Run, installation: Installation) -> None:
    def said(*command: str) -> str:
        ended = run("webhooks", *command)
        assert (ended.code, ended.out) == (0, "")
        return ended.err.strip()

    assert said("list") == "There is no endpoint yet. Add one with: hudhud webhooks add URL"
    assert said("deliveries").endswith("Add one with: hudhud webhooks add URL")
    run("webhooks", "add", URL, "--event", "message.sent")
    assert said("deliveries").endswith("send a code: hudhud send PHONE")
    put_deliveries(installation, 1, "delivered")
    assert said("deliveries", "--failed").endswith("To list all: hudhud webhooks deliveries")
    assert said("deliveries", "9") == "There is no endpoint 9. See: hudhud webhooks list"


def test_one_or_all_failed_deliveries_can_be_replayed(run: Run, installation: Installation) -> None:
    run("webhooks", "add", URL, "--event", "message.sent")
    put_deliveries(installation, 3)
    assert run("webhooks", "replay", "2").out == "Delivery 2 is queued again.\n"
    assert statuses(installation) == ["failed", "pending", "failed"]
    assert run("webhooks", "replay", "99").code == 1
    late = run("webhooks", "replay", "--endpoint", "1", "--since", "0h")
    assert late.out == "Deliveries queued again: 0.\n"
    everything = run("webhooks", "replay", "--endpoint", "1", "--since", "2026-01-01T00:00")
    assert everything.out == "Deliveries queued again: 2.\n"
    assert statuses(installation) == ["pending"] * 3


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    "arguments",
    [[], ["1", "--endpoint", "1"], ["--endpoint", "1", "--since", "yesterday"]],
)
def test_replay_requires_a_delivery_or_failed(run: Run, arguments: Sequence[str]) -> None:
    assert run("webhooks", "replay", *arguments).code == 2


def test_changes_are_audited(run: Run, installation: Installation) -> None:
    run("webhooks", "add", URL, "--event", "message.sent")
    put_deliveries(installation, 1)
    run("webhooks", "rotate", "1")
    run("webhooks", "replay", "1")
    run("webhooks", "replay", "--endpoint", "1")
    run("webhooks", "enable", "1")
    with installation.database.write() as connection:
        endpoints.disable(connection, 1, reason=other("r"), now=now_ms())
    run("webhooks", "enable", "1")
    run("webhooks", "remove", "1")
    with installation.database.read() as connection:
        rows = [(row.what, row.subject, row.detail) for row in audit_log.page(connection, limit=20)]
    assert list(reversed(rows)) == [
        ("webhook_added", URL, None),
        ("webhook_rotated", URL, None),
        ("webhook_replayed", "1", None),
        ("webhook_replayed", URL, "Deliveries: 0."),
        ("webhook_enabled", URL, None),
        ("webhook_removed", URL, None),
    ]
