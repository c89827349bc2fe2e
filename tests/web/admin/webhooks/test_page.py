"""The webhook pages: add with a secret shown once, change, remove, replay."""

import re
from collections.abc import Iterator, Sequence

import httpx
import pytest
from sqlalchemy import Row, delete, select, update

from hudhud.auth import api_keys, audit_log
from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.core.sentences import other, say
from hudhud.core.stored_sentences import columns
from hudhud.db.locks import Lock, lock
from hudhud.db.tables import webhook_deliveries, webhook_endpoints
from hudhud.web.admin.webhooks.deliveries_page import ROWS
from hudhud.webhooks import delivery_log, endpoints, events
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.event_types import KINDS
from support.admin import Person, script
from support.html import Page
from support.queued import submit
from support.services import wait_until
from support.web_server import SECONDS, WebServer

HOOKS = "/admin/webhooks"
URL = "https://shop.example/hudhud"


@pytest.fixture(scope="module", autouse=True)
def _names_lead_to_the_internet() -> Iterator[None]:
    """Resolve no real host name."""

    def resolve(host: str, _port: int) -> Sequence[str]:
        return ["10.0.0.1" if host == "intranet.example" else "93.184.215.14"]

    with pytest.MonkeyPatch.context() as patch:
        built = AddressPolicy(allow_private=False, resolve=resolve)
        patch.setattr("hudhud.web.application.build_address_policy", lambda _settings: built)
        yield


@pytest.fixture
def endpoint(served: WebServer) -> int:
    """The only endpoint, which subscribes to sent messages."""
    with served.database.write() as connection:
        connection.execute(delete(webhook_deliveries))
        connection.execute(delete(webhook_endpoints))
        cipher = served.web.state.app_state.webhook_secrets
        return endpoints.add(
            connection, cipher, url=URL, kinds=["message.sent"], owner=None, now=now_ms()
        ).id


def add(person: Person, **fields: object) -> httpx.Response:
    """Submit the form, by default with all events."""
    return person.fill(HOOKS, HOOKS, **{"url": URL, "kind": list(KINDS), **fields})  # type: ignore[arg-type] # a field may be given several times


def stored(server: WebServer) -> list[Row]:  # type: ignore[type-arg]
    with server.database.read() as connection:
        return endpoints.list_endpoints(connection)


def put_deliveries(server: WebServer, count: int, status: str, *, age_ms: int = 0) -> None:
    jobs = submit(server.database, count, now=now_ms())
    with server.database.write() as connection:
        events.messages_changed(connection, "message.sent", jobs, now=now_ms() - age_ms)
        last_at = None if status == "pending" else now_ms()
        ended = {"status": status, "attempts": 10, "last_at": last_at}
        if status == "failed":
            error = columns("last_error", say("webhook.refused", status=500))
            ended |= {"last_status": 500, **error}
        of_these = webhook_deliveries.c.status == "pending"
        connection.execute(update(webhook_deliveries).where(of_these).values(**ended))


def statuses(server: WebServer) -> list[str]:
    with server.database.read() as connection:
        return [row.status for row in delivery_log.page(connection, limit=100)]


def shown(html: str) -> list[dict[str, str]]:
    """Return the deliveries on a page."""
    return [found for tag, found in Page(html).elements if tag == "tr" and "data-delivery" in found]


def test_secret_is_shown_once(member: Person, served: WebServer) -> None:
    answer = add(member)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'id="new-secret">(whsec_[\w+/=]+)</code>', answer.text)
    assert found is not None
    last = stored(served)[-1]
    assert (last.url, last.kinds, last.api_key) == (URL, " ".join(KINDS), None)
    assert found[1] not in member.get(HOOKS).text
    notes = member.get("/admin/audit?what=webhooks").text
    assert "Webhook added:" in notes
    assert found[1] not in notes


def test_an_endpoint_may_get_some_events_of_one_key(member: Person, served: WebServer) -> None:
    with served.database.write() as connection:
        lock(connection, Lock.API_KEYS)
        key = api_keys.create(connection, "webshop", now=now_ms())
    owner = api_keys.readable_prefix(key)
    assert add(member, key=owner, kind="message.read").status_code == 200
    last = stored(served)[-1]
    assert (last.kinds, last.api_key) == ("message.read", owner)
    text = Page(member.get(HOOKS).text).text
    assert "Events of key webshop" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "shop.example"}, "An address must look like https://shop.example/hudhud."),
        ({"url": "https://intranet.example/"}, "not on the public internet"),
        ({"url": "https://a:b@shop.example/"}, "no name and password"),
        ({"kind": []}, "Choose the events"),
        ({"kind": ["message.lost"]}, "Unknown events."),
        ({"key": "hh_live_nobody"}, "There is no such key."),
    ],
)
def test_refused_endpoint_gives_the_reason_and_keeps_the_input(
    member: Person, served: WebServer, fields: dict[str, object], said: str
) -> None:
    before = len(stored(served))
    answer = add(member, **fields)
    assert answer.status_code == 400
    assert said in Page(answer.text).text
    typed = Page(answer.text).attributes("input", id="endpoint-url")["value"]
    assert typed == fields.get("url", URL)
    assert len(stored(served)) == before


def test_new_secret_is_shown_once(member: Person, served: WebServer, endpoint: int) -> None:
    answer = member.fill(HOOKS, f"{HOOKS}/rotate", endpoint=str(endpoint))
    assert answer.status_code == 200
    assert "The previous secret also signs for 24 hours." in answer.text
    assert 'id="new-secret">whsec_' in answer.text
    assert stored(served)[0].previous_until > now_ms()
    assert "New secret of webhook" in member.get("/admin/audit").text


def test_repeated_rotation_form_creates_one_secret(
    member: Person, served: WebServer, endpoint: int
) -> None:
    assert "The previous secret continues to sign for 24 hours." in member.get(HOOKS).text
    member.fill(HOOKS, f"{HOOKS}/rotate", endpoint=str(endpoint))
    with served.database.read() as connection:
        before = connection.execute(select(webhook_endpoints)).one()
    answer = member.fill(HOOKS, f"{HOOKS}/rotate", endpoint=str(endpoint))
    assert answer.status_code == 409
    assert (
        "The secret has already been replaced, and the previous one also signs until" in answer.text
    )
    assert "whsec_" not in answer.text
    with served.database.read() as connection:
        assert connection.execute(select(webhook_endpoints)).one() == before


def test_query_of_an_address_is_neither_shown_nor_audited(
    member: Person, served: WebServer, endpoint: int
) -> None:
    answer = add(member, url=f"{URL}?token=abc123")
    endpoint = stored(served)[-1].id
    put_deliveries(served, 1, "failed")
    paths = (HOOKS, f"{HOOKS}/{endpoint}", f"{HOOKS}/{endpoint}/remove", "/admin/audit")
    pages = [answer.text, *(member.get(path).text for path in paths)]
    assert [f"{URL}?…" in page for page in pages] == [True] * 5
    assert "abc123" not in "".join(pages)


def test_delivery_shows_the_one_ahead_of_it(
    member: Person, served: WebServer, endpoint: int
) -> None:
    (job,) = submit(served.database, 1, now=now_ms())
    with served.database.write() as connection:
        for _ in range(2):
            events.messages_changed(connection, "message.sent", [job], now=now_ms())
    log = f"{HOOKS}/{endpoint}"
    second, first = (row["data-delivery"] for row in shown(member.get(log).text))
    page = Page(member.get(log).text)
    assert f"after #{first}" in page.text
    assert f"#{first}" in page.text.replace(f"after #{first}", "")
    assert page.attributes("tr", **{"data-delivery": first})["id"] == f"delivery-{first}"
    member.fill(log, f"{HOOKS}/replay", delivery=second)
    said = f"The delivery waits for delivery {first} and is sent after it."
    assert said in member.get(log).text


def test_removal_is_confirmed_and_done(member: Person, served: WebServer, endpoint: int) -> None:
    put_deliveries(served, 2, "pending")
    asked = member.get(f"{HOOKS}/{endpoint}/remove")
    assert "2 waiting deliveries will not be sent." in Page(asked.text).text
    path = f"{HOOKS}/{endpoint}/remove"
    assert member.fill(path, f"{HOOKS}/remove").headers["location"] == HOOKS
    assert stored(served) == []
    assert f"{URL} was removed." in member.get(HOOKS).text
    assert "Webhook removed:" in member.get("/admin/audit").text
    assert member.get(path).status_code == 404


def test_disabled_endpoint_gives_the_reason_and_can_be_enabled(
    member: Person, served: WebServer, endpoint: int
) -> None:
    with served.database.write() as connection:
        reason = "The receiver answered 410: it no longer accepts events."
        endpoints.disable(connection, endpoint, reason=other(reason), now=now_ms())
    page = member.get(f"{HOOKS}/{endpoint}").text
    assert "Disabled since" in page
    assert reason in page
    assert member.fill(HOOKS, f"{HOOKS}/enable").status_code == 303
    assert stored(served)[0].disabled_at is None
    assert f"Deliveries to {URL} resume." in member.get(HOOKS).text
    assert "Webhook enabled:" in member.get("/admin/audit").text


def test_endpoint_works_once_something_was_delivered(
    member: Person, served: WebServer, endpoint: int
) -> None:
    def state() -> str:
        page = Page(member.get(HOOKS).text)
        return page.attributes("tr", **{"data-endpoint": str(endpoint)})["data-tone"]

    assert state() == "idle"
    assert "Not tried yet" in member.get(HOOKS).text
    put_deliveries(served, 1, "pending")
    assert "Not tried yet" in member.get(HOOKS).text
    put_deliveries(served, 1, "delivered")
    assert state() == "ok"
    assert "Works" in member.get(HOOKS).text


def test_failing_endpoint_shows_since_when(
    member: Person, served: WebServer, endpoint: int
) -> None:
    with served.database.write() as connection:
        connection.execute(update(webhook_endpoints).values(failing_since=now_ms() - 50 * HOUR_MS))
    put_deliveries(served, 3, "failed")
    page = Page(member.get(HOOKS).text)
    row = page.attributes("tr", **{"data-endpoint": str(endpoint)})
    assert row["data-tone"] == "warn"
    assert "Fails since" in page.text


def test_the_log_shows_attempts_answers_and_next_tries(
    member: Person, served: WebServer, endpoint: int
) -> None:
    put_deliveries(served, 1, "failed")
    put_deliveries(served, 1, "delivered")
    with served.database.write() as connection:
        events.messages_changed(connection, "message.sent", [1], now=now_ms())
    page = member.get(f"{HOOKS}/{endpoint}").text
    assert [row["data-status"] for row in shown(page)] == ["pending", "delivered", "failed"]
    for words in ("The receiver answered 500.", "Failed", "Waiting", "message.sent", "evt_"):
        assert words in page
    failed = member.get(f"{HOOKS}/{endpoint}?status=failed").text
    assert [row["data-status"] for row in shown(failed)] == ["failed"]
    assert shown(member.get(HOOKS).text) == shown(page)


def test_pages_of_the_log_are_consecutive(member: Person, served: WebServer, endpoint: int) -> None:
    put_deliveries(served, 2 * ROWS + 3, "failed")
    address, seen = f"{HOOKS}/{endpoint}?status=failed", []
    while address:
        page = Page(member.get(address).text)
        seen += [int(found["data-delivery"]) for found in shown(page.html)]
        following = [found for tag, found in page.elements if found.get("rel") == "next"]
        address = following[0]["href"] if following else ""
    assert len(seen) == len(set(seen)) == 2 * ROWS + 3
    assert seen == sorted(seen, reverse=True)


def test_one_delivery_can_be_replayed_and_the_page_returns(
    member: Person, served: WebServer, endpoint: int
) -> None:
    put_deliveries(served, 2, "failed")
    log = f"{HOOKS}/{endpoint}?status=failed"
    answer = member.fill(log, f"{HOOKS}/replay")
    assert answer.headers["location"] == log
    assert statuses(served) == ["pending", "failed"]
    assert "The delivery will be sent again." in member.get(log).text
    assert "Delivered again:" in member.get("/admin/audit").text
    answer = member.fill(log, f"{HOOKS}/replay", delivery="999999")
    assert "There is no such delivery" in member.get(log).text


def test_failed_deliveries_since_a_time_can_be_replayed(
    member: Person, served: WebServer, endpoint: int
) -> None:
    put_deliveries(served, 2, "failed", age_ms=30 * HOUR_MS)
    put_deliveries(served, 3, "failed", age_ms=HOUR_MS // 2)
    log = f"{HOOKS}/{endpoint}"
    assert "(5)" in member.get(log).text
    assert member.fill(log, f"{HOOKS}/replay-failed", hours="24").headers["location"] == log
    assert statuses(served) == ["pending"] * 3 + ["failed"] * 2
    assert "3 deliveries will be sent again." in member.get(log).text
    member.fill(log, f"{HOOKS}/replay-failed", hours="17")
    assert statuses(served).count("failed") == 2
    with served.database.read() as connection:
        assert audit_log.page(connection, limit=1)[0].detail == "Deliveries: 3."


@pytest.mark.parametrize("number", ["999", "x", "9" * 40, "-1", "%00"])
def test_an_unknown_endpoint_has_no_pages(member: Person, number: str) -> None:
    assert member.get(f"{HOOKS}/{number}").status_code == 404
    assert member.get(f"{HOOKS}/{number}/remove").status_code == 404


@pytest.mark.parametrize("action", ["rotate", "enable", "remove", "replay", "replay-failed"])
@pytest.mark.parametrize("number", ["999", "x", "9" * 40, ""])
def test_unknown_endpoint_or_delivery_cannot_be_changed(
    member: Person, endpoint: int, action: str, number: str
) -> None:
    token = Page(member.get(HOOKS).text).attributes("input", name="_csrf")["value"]
    fields = {"_csrf": token, "endpoint": number, "delivery": number, "hours": number}
    assert member.client.post(f"{HOOKS}/{action}", data=fields).status_code == 303
    assert endpoint


ACTIONS = ["", "/rotate", "/enable", "/remove", "/replay", "/replay-failed"]


@pytest.mark.parametrize("action", ACTIONS)
def test_change_requires_the_csrf_token(
    member: Person, served: WebServer, endpoint: int, action: str
) -> None:
    put_deliveries(served, 1, "failed")
    before = stored(served)
    fields = {"url": URL, "kind": "message.sent", "endpoint": str(endpoint), "delivery": "1"}
    assert member.client.post(HOOKS + action, data=fields).status_code == 403
    assert stored(served) == before
    assert statuses(served) == ["failed"]


def test_pages_require_a_login(stranger: Person, endpoint: int) -> None:
    for path in (HOOKS, f"{HOOKS}/{endpoint}", f"{HOOKS}/{endpoint}/remove"):
        assert stranger.get(path).headers["location"].startswith("/admin/login")


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("action", ["", "/rotate", "/enable", "/remove"])
def test_api_key_cannot_change_endpoints(admin_key: str, dashboard: WebServer, action: str) -> None:
    with script(dashboard, **{"X-API-KEY": admin_key}) as client:
        wait_until(lambda: client.get(HOOKS).status_code == 200, SECONDS, "the key to work")
        fields = {"url": URL, "kind": "message.sent", "endpoint": "1"}
        assert client.post(HOOKS + action, data=fields).status_code == 403
    assert stored(dashboard) == []


def test_texts_of_receivers_are_escaped(member: Person, served: WebServer, endpoint: int) -> None:
    hostile = "https://shop.example/?<script>alert(1)</script>"
    assert add(member, url=hostile.replace("<", "%3C")).status_code == 200
    put_deliveries(served, 1, "failed")
    with served.database.write() as connection:
        said = "The receiver answered 500: <script>alert(1)</script>"
        connection.execute(update(webhook_deliveries).values(last_error=said))
        connection.execute(update(webhook_endpoints).values(url=hostile))
    for path in (HOOKS, f"{HOOKS}/{endpoint}", f"{HOOKS}/{endpoint}/remove"):
        assert "<script>alert" not in member.get(path).text


@pytest.mark.parametrize("language", ["en", "ar"])
def test_pages_comply_with_the_content_security_policy(
    member: Person, served: WebServer, endpoint: int, language: str
) -> None:
    put_deliveries(served, 2, "failed")
    for path in (HOOKS, f"{HOOKS}/{endpoint}", f"{HOOKS}/{endpoint}/remove"):
        page = Page(member.client.get(path, headers={"Accept-Language": language}).text)
        assert page.inline == []
        assert len(page.ids) == len(set(page.ids))
        if language == "ar":
            assert 'lang="en"' not in page.html.replace('lang="en" hreflang="en"', "")
