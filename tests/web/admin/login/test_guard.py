"""Access to the dashboard by session or key of scope admin."""

from collections.abc import Iterator

import httpx
import pytest
from litestar import Response, get, post

from conftest import MigratedDatabase
from hudhud.auth import untrusted_proxy
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.web import application
from hudhud.web.admin.login.guard import authenticate_changer, authenticate_reader, is_still_in
from hudhud.web.api.docs_page import docs_routes
from hudhud.web.http.request import AnyRequest
from hudhud.web.http.responses import answer
from support.admin import PASSWORD, log_in_script, script, serving_dashboard
from support.keys import make_key, revoke_key
from support.web_server import KEY, SEND, ServeWeb, WebServer

pytestmark = pytest.mark.slow

SEEN = "/admin/test/seen"
CHANGED = "/admin/test/changed"
NO_SESSION = {
    "success": False,
    "message": "Authentication required",
    "redirectTo": "/admin/login",
}


@get(SEEN, include_in_schema=False)
async def seen(request: AnyRequest) -> Response[dict[str, object]]:
    """Return a page, like any reading route under /admin."""
    actor = await authenticate_reader(request)
    return answer({"name": actor.name, "still": await is_still_in(request, actor)})


@post(CHANGED, include_in_schema=False)
async def changed(request: AnyRequest) -> Response[dict[str, object]]:
    """Change data, like any changing route under /admin."""
    actor = await authenticate_changer(request)
    return answer({"name": actor.name, "address": actor.address}, 200)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_server(
    request: pytest.FixtureRequest, migrated_database: MigratedDatabase
) -> Iterator[WebServer]:
    """A server with a reading and a changing route, on each kind of database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "docs_routes", [*docs_routes, seen, changed])
        with serving_dashboard(migrated_database, request.param) as server:
            yield server


@pytest.fixture
def server(shared_server: WebServer, cheap_hashes: None) -> WebServer:
    """That server with an empty database."""
    del cheap_hashes
    shared_server.empty()
    return shared_server


@pytest.fixture
def in_session(server: WebServer) -> Iterator[tuple[httpx.Client, str]]:
    """A script that is logged in, and its token."""
    with script(server) as client:
        yield client, log_in_script(client).json()["csrfToken"]


def with_key(server: WebServer, key: str, path: str = SEEN) -> httpx.Response:
    method = "GET" if path == SEEN else "POST"
    return server.client.request(method, path, headers={"X-API-KEY": key})


def test_session_reads_without_a_token_and_changes_with_one(
    in_session: tuple[httpx.Client, str],
) -> None:
    client, token = in_session
    assert client.get(SEEN).json() == {"name": "admin", "still": True}
    by_header = client.post(CHANGED, headers={"X-CSRF-Token": token})
    assert by_header.json() == {"name": "admin", "address": "127.0.0.1"}
    assert client.post(CHANGED, data={"_csrf": token}).status_code == 200


def test_without_its_token_a_session_changes_nothing(
    in_session: tuple[httpx.Client, str],
) -> None:
    client, token = in_session
    refused = [
        client.post(CHANGED),
        client.post(CHANGED, headers={"X-CSRF-Token": ""}),
        client.post(CHANGED, headers={"X-CSRF-Token": token[:-1]}),
        client.post(CHANGED, data={"_csrf": token + "0"}),
        client.post(CHANGED, json={"_csrf": token}),
        client.post(f"{CHANGED}?_csrf={token}"),
        client.post(CHANGED, headers={"X-CSRF-Token": "wrong"}, data={"_csrf": token}),
    ]
    assert [one.status_code for one in refused] == [403] * len(refused)
    assert refused[0].json()["success"] is False


def test_token_of_another_session_is_refused(
    server: WebServer, in_session: tuple[httpx.Client, str]
) -> None:
    client, _ = in_session
    with script(server) as other:
        token = log_in_script(other).json()["csrfToken"]
    assert client.post(CHANGED, headers={"X-CSRF-Token": token}).status_code == 403


def test_token_from_before_the_login_is_refused(
    in_session: tuple[httpx.Client, str],
) -> None:
    client, before = in_session
    log_in_script(client)
    assert client.post(CHANGED, headers={"X-CSRF-Token": before}).status_code == 403


def test_form_with_too_many_fields_is_a_client_error(
    in_session: tuple[httpx.Client, str],
) -> None:
    client, _ = in_session
    answered = client.post(CHANGED, data={str(number): "x" for number in range(200)})
    assert answered.status_code == 400


def test_wrong_token_of_a_person_shows_a_page(in_session: tuple[httpx.Client, str]) -> None:
    client, _ = in_session
    answered = client.post(CHANGED, headers={"Accept": "text/html"})
    assert answered.status_code == 403
    assert answered.headers["Content-Type"].startswith("text/html")
    assert "Reload the page and try again" in answered.text


def test_key_of_scope_admin_reads_and_changes_without_a_token(server: WebServer) -> None:
    key = make_key(server.database, "backoffice", "admin")
    server.renew_keys()
    assert with_key(server, key).json() == {"name": "key backoffice", "still": True}
    assert with_key(server, key, CHANGED).json()["name"] == "key backoffice"


def test_key_without_scope_admin_is_refused_with_a_reason(server: WebServer) -> None:
    refused = with_key(server, KEY)
    assert refused.status_code == 403
    assert "scope admin" in refused.json()["message"]


def test_a_key_of_scope_admin_may_use_the_api_too(server: WebServer) -> None:
    key = make_key(server.database, "backoffice", "admin")
    server.renew_keys()
    sent = server.client.post(SEND, json={}, headers={"X-API-KEY": key})
    assert sent.status_code == 400


def test_key_for_other_addresses_is_refused_with_a_reason(server: WebServer) -> None:
    key = make_key(server.database, "far away", "admin", networks=["192.0.2.0/24"])
    near = make_key(server.database, "near", "admin", networks=["127.0.0.1"])
    server.renew_keys()
    assert with_key(server, near).status_code == 200
    refused = with_key(server, key)
    assert refused.status_code == 403
    assert "address" in refused.json()["message"]


def test_revoked_or_unknown_key_is_refused(server: WebServer) -> None:
    key = make_key(server.database, "backoffice", "admin", "send")
    server.renew_keys()
    assert with_key(server, key).status_code == 200
    revoke_key(server.database, "backoffice")
    server.renew_keys()
    assert with_key(server, key).status_code == 401
    refused = with_key(server, key + "x")
    assert (refused.status_code, refused.json()["success"]) == (401, False)


def test_wrong_key_is_refused_despite_a_session(in_session: tuple[httpx.Client, str]) -> None:
    client, _ = in_session
    assert client.get(SEEN, headers={"X-API-KEY": "wrong"}).status_code == 401


def test_refusal_does_not_reveal_the_login(server: WebServer) -> None:
    with script(server) as client:
        for method, path in (("GET", SEEN), ("POST", CHANGED)):
            answered = client.request(method, path)
            assert (answered.status_code, answered.json()) == (401, NO_SESSION)


# ── Forwarded headers ───────────────────────────────────────────────────────────────────────────


def remembered(database: Database) -> str | None:
    with database.read() as connection:
        return untrusted_proxy.recall(connection, now=now_ms())


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "198.51.100.1"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=198.51.100.1"},
    ],
)
def test_untrusted_proxy_is_recorded_by_its_own_address(
    server: WebServer, header: dict[str, str]
) -> None:
    with script(server) as client:
        client.get(SEEN)
        assert remembered(server.database) is None
        client.get(SEEN, headers=header)
    assert remembered(server.database) == "127.0.0.1"


@pytest.mark.parametrize("forwarded", ["127.0.0.11", "x127.0.0.1", "1127.0.0.1, 198.51.100.1"])
def test_similar_forwarded_address_does_not_hide_the_proxy(
    server: WebServer, forwarded: str
) -> None:
    with script(server) as client:
        client.get(SEEN, headers={"X-Forwarded-For": forwarded})
    assert remembered(server.database) == "127.0.0.1"


@pytest.mark.usefixtures("cheap_hashes")
def test_trusted_proxy_is_not_recorded(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, trusted_proxies="127.0.0.1")
    with script(server) as client:
        for forwarded in ("198.51.100.1", "198.51.100.1:4711", "127.0.0.1", "", "junk, 127.0.0.1"):
            client.get(
                "/admin/login",
                headers={"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"},
            )
    assert remembered(server.database) is None


def test_api_requests_record_no_proxy(server: WebServer) -> None:
    server.client.post(SEND, json={}, headers={"X-Forwarded-For": "198.51.100.1"})
    assert remembered(server.database) is None
