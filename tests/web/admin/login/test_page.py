"""The login by form and JSON, and the session's lifetime."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from hudhud.auth import admin_password, audit_log, sessions
from hudhud.core.clock import now_ms
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.web.admin.login.password_slots import PasswordSlots
from hudhud.web.admin.ui.render import local
from support.admin import HIDDEN, HTML, LOGIN, PASSWORD, USERNAME, Person, log_in_script, script
from support.services import wait_until
from support.web_server import SECONDS, ServeWeb, WebServer

WRONG = {"success": False, "message": "Invalid username or password"}


def notes(database: Database) -> list[tuple[str, str, str | None]]:
    """Return the audit entries, oldest first."""
    with database.read() as connection:
        rows = audit_log.page(connection, limit=100)
    return [(row.what, row.who, row.detail) for row in reversed(rows)]


def age(database: Database, **columns: Any) -> None:
    """Make every session older."""
    with database.write() as connection:
        connection.execute(update(tables.sessions).values(**columns))


# ── People ──────────────────────────────────────────────────────────────────────────────────────


def test_a_person_logs_in_and_goes_to_the_status_page(person: Person) -> None:
    assert not person.is_in()
    answer = person.log_in()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/status")
    assert person.is_in()


@pytest.mark.parametrize(
    ("following", "leads_to"),
    [
        ("/admin/audit?what=jobs", "/admin/audit?what=jobs"),
        ("/admin/status?searchQuery=a%20b&limit=50", "/admin/status?searchQuery=a%20b&limit=50"),
        ("/admin/status?searchQuery=%D9%83+@x.y/z:;", "/admin/status?searchQuery=%D9%83+@x.y/z:;"),
        ("/admin/jobs/7", "/admin/jobs/7"),
        ("/admin", "/admin"),
        ("/admin/%2e%2e/evil", "/admin/status"),
        ("https://evil.example/admin/status", "/admin/status"),
        ("//evil.example/admin/", "/admin/status"),
        ("/\\evil.example/admin/", "/admin/status"),
        ("/admin/../evil", "/admin/status"),
        ("/admin//evil.example", "/admin/status"),
        ("/administrator", "/admin/status"),
        ("/api/docs", "/admin/status"),
        ("javascript:alert(1)", "/admin/status"),
        ("http://[", "/admin/status"),
        ("/admin/\r\nSet-Cookie: a=b", "/admin/status"),
        ("/admin/status\n", "/admin/status"),
        ("/admin/status?a=\tb", "/admin/status"),
        ("", "/admin/status"),
    ],
)
def test_login_redirects_only_to_own_pages(following: str, leads_to: str) -> None:
    assert local(following) == leads_to


def test_login_leads_to_the_requested_page(dashboard: WebServer) -> None:
    for following, leads_to in (
        ("/admin/audit?what=jobs", "/admin/audit?what=jobs"),
        ("https://evil.example/admin/", "/admin/status"),
    ):
        with Person(dashboard) as person:
            path = str(httpx.URL(LOGIN, params={"next": following}))
            assert person.log_in(path=path).headers["Location"] == leads_to


def test_wrong_password_and_wrong_name_get_the_same_answer(person: Person) -> None:
    answers = [person.log_in(password="wrong"), person.log_in("stranger"), person.log_in("", "")]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert all("Invalid username or password." in answer.text for answer in answers)
    assert person.session is None
    assert not any("wrong" in answer.text and 'value="wrong"' in answer.text for answer in answers)


def test_typed_username_is_escaped(person: Person) -> None:
    answer = person.log_in('"><script>alert(1)</script>')
    assert "<script>alert" not in answer.text


def test_cookies_are_http_only_and_same_site(person: Person) -> None:
    session, browser = person.log_in().headers.get_list("set-cookie")
    name, *attributes = session.split("; ")
    assert name.startswith("hudhud_session=")
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=lax"}
    name, *attributes = browser.split("; ")
    assert name.startswith("hudhud_browser=")
    assert {one.lower() for one in attributes} == {
        "httponly", "max-age=31536000", "path=/admin", "samesite=lax",
    }  # fmt: skip


@pytest.mark.parametrize("spoil", ["no field", "no cookie", "another's field"])
def test_foreign_login_form_is_refused(dashboard: WebServer, person: Person, spoil: str) -> None:
    token = person.get(LOGIN).text.partition('name="_csrf" value="')[2].partition('"')[0]
    if spoil == "no cookie":
        person.client.cookies.clear()
    if spoil == "another's field":
        with Person(dashboard) as other:
            token = other.get(LOGIN).text.partition('name="_csrf" value="')[2].partition('"')[0]
    fields = {"username": USERNAME, "password": PASSWORD}
    if spoil != "no field":
        fields["_csrf"] = token
    answer = person.client.post(LOGIN, data=fields)
    assert answer.status_code == 403
    assert "Log in again" in answer.text
    assert person.session is None


def test_form_of_a_script_needs_the_token(client: httpx.Client) -> None:
    answer = client.post(LOGIN, data={"username": USERNAME, "password": PASSWORD})
    assert answer.status_code == 403
    assert answer.json()["success"] is False


def test_each_login_has_a_new_token(person: Person) -> None:
    person.log_in()
    first = person.session
    person.client.cookies.delete("hudhud_session")
    person.log_in()
    assert None not in (first, person.session)
    assert person.session != first


def test_session_fixation_is_prevented(dashboard: WebServer) -> None:
    with Person(dashboard, Cookie="hudhud_session=chosen-by-an-attacker") as person:
        answer = log_in_script(person.client)
        assert "chosen-by-an-attacker" not in answer.headers["set-cookie"]
        assert not person.is_in()


def test_login_ends_the_presented_session(dashboard: WebServer, client: httpx.Client) -> None:
    log_in_script(client)
    before = client.cookies["hudhud_session"]
    log_in_script(client)
    assert client.cookies["hudhud_session"] != before
    with Person(dashboard, Cookie=f"hudhud_session={before}") as old:
        assert not old.is_in()


def test_logout_ends_the_session_on_the_server(dashboard: WebServer, person: Person) -> None:
    person.log_in()
    kept = person.session
    answer = person.fill("/admin/second-factor", "/admin/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)
    assert person.session is None
    with Person(dashboard, Cookie=f"hudhud_session={kept}") as thief:
        assert not thief.is_in()


def test_logout_requires_the_token_and_a_post(client: httpx.Client) -> None:
    token = log_in_script(client).json()["csrfToken"]
    assert client.get("/admin/logout").status_code == 404
    assert client.post("/admin/logout").status_code == 403
    answer = client.post("/admin/logout", headers={"X-CSRF-Token": token})
    assert answer.json() == {"success": True, "redirectTo": LOGIN}
    assert client.post("/admin/logout", headers={"X-CSRF-Token": token}).status_code == 401


@pytest.mark.parametrize(
    "columns",
    [
        {"seen_at": now_ms() - sessions.IDLE_MS},
        {"created_at": now_ms() - sessions.ABSOLUTE_MS},
    ],
)
def test_session_expires(dashboard: WebServer, person: Person, columns: dict[str, int]) -> None:
    person.log_in()
    age(dashboard.database, **columns)
    assert not person.is_in()


def test_use_is_recorded_except_for_background_requests(
    dashboard: WebServer, person: Person
) -> None:
    def seen_at() -> int:
        with dashboard.database.read() as connection:
            return int(connection.scalars(select(tables.sessions.c.seen_at)).one())

    person.log_in()
    long_ago = now_ms() - sessions.IDLE_MS // 2
    age(dashboard.database, seen_at=long_ago)
    person.client.get(LOGIN, headers={"X-Background": "1"})
    assert seen_at() == long_ago
    person.get(LOGIN)
    wait_until(lambda: seen_at() > long_ago, SECONDS, "the note of its use")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_recording_the_use_delays_no_page(dashboard: WebServer, person: Person) -> None:
    person.log_in()
    age(dashboard.database, seen_at=now_ms() - sessions.IDLE_MS // 2)
    with dashboard.database.write():
        for _ in range(20):
            assert person.is_in()


@pytest.mark.usefixtures("cheap_hashes")
def test_new_password_ends_the_sessions(serve_web: ServeWeb, database: Database) -> None:
    def store(password: str) -> None:
        with database.write() as connection:
            hashed = admin_password.hash_password(password)
            admin_password.store(connection, username=USERNAME, password_hash=hashed)

    store(PASSWORD)
    with Person(serve_web()) as person:
        person.log_in()
        assert person.is_in()
        store("another password")
        assert not person.is_in()
        assert person.log_in(password="another password").status_code == 303


def test_logins_and_failures_are_audited(dashboard: WebServer, person: Person) -> None:
    person.log_in("root", "a guess")
    person.log_in()
    person.fill("/admin/second-factor", "/admin/logout")
    assert notes(dashboard.database) == [
        ("login_failed", "root", "Wrong username or password"),
        ("login", "admin", None),
        ("logout", "admin", None),
    ]


# ── Scripts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_script_logs_in_and_gets_its_token(client: httpx.Client) -> None:
    answer = log_in_script(client)
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["success", "redirectTo", "csrfToken"]
    assert (body["success"], body["redirectTo"]) == (True, "/admin/status")
    assert "hudhud_session" in client.cookies
    headers = {"X-CSRF-Token": body["csrfToken"]}
    assert client.post("/admin/second-factor/confirm", headers=headers).status_code == 400
    assert client.post("/admin/logout", headers=headers).status_code == 200


def test_wrong_login_of_a_script_is_401(client: httpx.Client) -> None:
    for username, password in (("admin", "no"), ("root", PASSWORD), ("", "")):
        answer = log_in_script(client, username, password)
        assert (answer.status_code, answer.json()) == (401, WRONG)
    assert not client.cookies


def test_malformed_body_is_a_client_error(client: httpx.Client) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"username": "admin"}',
        b'{"username": 1, "password": "x"}',
        b'{"username": "admin", "password": null}',
        b'{"username": "admin", "password": ["x"]}',
        b'{"username": "\xff", "password": "x"}',
        b"[" * 10_000,
    ):
        answer = client.post(LOGIN, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
        assert '"username" and "password"' in answer.json()["message"]


def test_numeric_code_is_a_client_error(client: httpx.Client) -> None:
    answer = log_in_script(client, totp=123456)
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        'In the body, "totp" must be text.',
    )


@pytest.mark.parametrize("accept", [HTML, "*/*"])
def test_json_request_gets_json_regardless_of_accept(client: httpx.Client, accept: str) -> None:
    client.headers["Accept"] = accept
    malformed = client.post(LOGIN, content=b"{", headers={"Content-Type": "application/json"})
    assert malformed.status_code == 400
    assert "username" in malformed.json()["message"]
    for _ in range(5):
        assert log_in_script(client, password="wrong").json() == WRONG
    refused = log_in_script(client)
    assert refused.status_code == 429
    assert "Too many login attempts" in refused.json()["message"]
    assert int(refused.headers["Retry-After"]) > 0


def test_too_large_body_is_a_client_error(person: Person) -> None:
    answer = person.client.post(LOGIN, data={"username": "x" * 20_000})
    assert answer.status_code == 413
    assert "Request too large" in answer.text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_blocked_address_is_refused_without_the_write_lock(
    dashboard: WebServer, client: httpx.Client
) -> None:
    for _ in range(5):
        log_in_script(client, password="wrong")
    with dashboard.database.write():
        assert log_in_script(client).status_code == 429


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_too_many_pending_logins_ask_others_to_retry_later(
    dashboard: WebServer,
    person: Person,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = dashboard.web.state
    no_slots = replace(state.access, password_slots=PasswordSlots(places=0))
    monkeypatch.setattr(state, "access", no_slots)
    by_form, by_json = person.log_in(), log_in_script(client)
    for answer in (by_form, by_json):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
    assert "Too many logins" in by_form.text
    assert "Too many logins" in by_json.json()["message"]
    with dashboard.database.read() as connection:
        assert connection.execute(select(tables.login_attempts)).first() is None


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_page_with_a_locked_database_says_when_to_retry(
    database: Database, impatient: Database, serve_web: ServeWeb
) -> None:
    with Person(serve_web(impatient, admin_password=PASSWORD)) as person:
        page = person.get(LOGIN).text
        token = HIDDEN.findall(page)[0][1]
        with database.write():
            fields = {"username": USERNAME, "password": PASSWORD, "_csrf": token}
            answer = person.client.post(LOGIN, data=fields)
    assert answer.status_code == 503
    assert "The database does not respond" in answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_a_large_body_is_refused(client: httpx.Client) -> None:
    assert log_in_script(client, password="x" * 20_000).status_code == 413


def test_script_without_a_session_is_told_where_to_log_in(client: httpx.Client) -> None:
    for name, value in (
        ("Accept", b"*/*"),
        ("Cookie", b"hudhud_session="),
        ("Cookie", b"hudhud_session=\xff"),
    ):
        answer = client.get("/admin/second-factor", headers={name.encode(): value})
        assert answer.status_code == 401
        assert answer.json() == {
            "success": False,
            "message": "Authentication required",
            "redirectTo": "/admin/login",
        }
        assert answer.headers["Cache-Control"] == "no-store"


def test_person_without_a_session_is_sent_to_the_login_and_back(person: Person) -> None:
    answer = person.get("/admin/second-factor?a=b&c=d")
    assert answer.status_code == 303
    leads_to = answer.headers["Location"]
    assert leads_to == "/admin/login?next=%2Fadmin%2Fsecond-factor%3Fa%3Db%26c%3Dd"
    assert person.log_in(path=leads_to).headers["Location"] == "/admin/second-factor?a=b&c=d"


def test_form_of_an_ended_session_is_not_repeated_after_the_login(person: Person) -> None:
    answer = person.client.post("/admin/second-factor/begin")
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)


def test_partial_request_never_gets_the_login_page(person: Person) -> None:
    answer = person.client.get("/admin/second-factor", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == LOGIN


# ── HTTPS ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize(
    ("trusted", "is_secure"), [("127.0.0.1", True), ("192.0.2.0/24", False), ("", False)]
)
def test_cookies_are_secure_if_a_trusted_proxy_reports_https(
    serve_web: ServeWeb, trusted: str, *, is_secure: bool
) -> None:
    server = serve_web(admin_password=PASSWORD, trusted_proxies=trusted)
    with script(server, **{"X-Forwarded-Proto": "https"}) as client:
        session, browser = log_in_script(client).headers.get_list("set-cookie")
        form_cookie = client.get(LOGIN, headers={"Cookie": ""}).headers["set-cookie"]
    for cookie in (session, browser, form_cookie):
        assert ("; Secure" in cookie) == is_secure
