"""The login, for people by form and for scripts by JSON; sessions that begin, rotate and end."""

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
    """What the audit says, the oldest first."""
    with database.read() as connection:
        rows = audit_log.page(connection, limit=100)
    return [(row.what, row.who, row.detail) for row in reversed(rows)]


def age(database: Database, **columns: Any) -> None:
    """Make every session older."""
    with database.write() as connection:
        connection.execute(update(tables.sessions).values(**columns))


# ── people ──────────────────────────────────────────────────────────────────────────────────────


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
def test_only_pages_of_ours_are_gone_on_to(following: str, leads_to: str) -> None:
    assert local(following) == leads_to


def test_a_person_goes_on_to_the_page_that_asked_for_the_login(dashboard: WebServer) -> None:
    for following, leads_to in (
        ("/admin/audit?what=jobs", "/admin/audit?what=jobs"),
        ("https://evil.example/admin/", "/admin/status"),
    ):
        with Person(dashboard) as person:
            path = str(httpx.URL(LOGIN, params={"next": following}))
            assert person.log_in(path=path).headers["Location"] == leads_to


def test_a_wrong_password_and_a_wrong_name_look_the_same(person: Person) -> None:
    answers = [person.log_in(password="wrong"), person.log_in("stranger"), person.log_in("", "")]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert all("Invalid username or password." in answer.text for answer in answers)
    assert person.session is None
    assert not any("wrong" in answer.text and 'value="wrong"' in answer.text for answer in answers)


def test_what_was_typed_as_a_name_is_shown_as_text(person: Person) -> None:
    answer = person.log_in('"><script>alert(1)</script>')
    assert "<script>alert" not in answer.text


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(person: Person) -> None:
    (cookie,) = person.log_in().headers.get_list("set-cookie")
    name, *attributes = cookie.split("; ")
    assert name.startswith("hudhud_session=")
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=lax"}


@pytest.mark.parametrize("spoil", ["no field", "no cookie", "another's field"])
def test_a_login_form_that_is_not_ours_is_refused(
    dashboard: WebServer, person: Person, spoil: str
) -> None:
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
    assert "Log in once more" in answer.text
    assert person.session is None


def test_a_form_of_a_script_needs_the_token_too(client: httpx.Client) -> None:
    answer = client.post(LOGIN, data={"username": USERNAME, "password": PASSWORD})
    assert answer.status_code == 403
    assert answer.json()["success"] is False


def test_each_login_has_a_token_of_its_own(person: Person) -> None:
    person.log_in()
    first = person.session
    person.client.cookies.delete("hudhud_session")
    person.log_in()
    assert None not in (first, person.session)
    assert person.session != first


def test_a_token_that_was_put_into_the_browser_is_not_taken_over(dashboard: WebServer) -> None:
    with Person(dashboard, Cookie="hudhud_session=chosen-by-an-attacker") as person:
        answer = log_in_script(person.client)
        assert "chosen-by-an-attacker" not in answer.headers["set-cookie"]
        assert not person.is_in()


def test_a_login_ends_the_session_that_the_request_presented(
    dashboard: WebServer, client: httpx.Client
) -> None:
    log_in_script(client)
    before = client.cookies["hudhud_session"]
    log_in_script(client)
    assert client.cookies["hudhud_session"] != before
    with Person(dashboard, Cookie=f"hudhud_session={before}") as old:
        assert not old.is_in()


def test_logging_out_ends_the_session_on_the_server(dashboard: WebServer, person: Person) -> None:
    person.log_in()
    kept = person.session
    answer = person.fill("/admin/second-factor", "/admin/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)
    assert person.session is None
    with Person(dashboard, Cookie=f"hudhud_session={kept}") as thief:
        assert not thief.is_in()


def test_logging_out_needs_the_token_and_a_post(client: httpx.Client) -> None:
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
def test_a_session_ends_by_time(
    dashboard: WebServer, person: Person, columns: dict[str, int]
) -> None:
    person.log_in()
    age(dashboard.database, **columns)
    assert not person.is_in()


def test_use_is_written_down_but_not_of_what_a_page_asks_by_itself(
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
def test_no_page_waits_for_the_note_of_its_use(dashboard: WebServer, person: Person) -> None:
    person.log_in()
    age(dashboard.database, seen_at=now_ms() - sessions.IDLE_MS // 2)
    with dashboard.database.write():
        for _ in range(20):
            assert person.is_in()


@pytest.mark.usefixtures("cheap_hashes")
def test_another_password_ends_the_sessions(serve_web: ServeWeb, database: Database) -> None:
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


def test_who_came_and_who_failed_is_audited(dashboard: WebServer, person: Person) -> None:
    person.log_in("root", "a guess")
    person.log_in()
    person.fill("/admin/second-factor", "/admin/logout")
    assert notes(dashboard.database) == [
        ("login_failed", "root", "Wrong username or password"),
        ("login", "admin", None),
        ("logout", "admin", None),
    ]


# ── scripts ─────────────────────────────────────────────────────────────────────────────────────


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


def test_a_wrong_login_of_a_script_is_401(client: httpx.Client) -> None:
    for username, password in (("admin", "no"), ("root", PASSWORD), ("", "")):
        answer = log_in_script(client, username, password)
        assert (answer.status_code, answer.json()) == (401, WRONG)
    assert not client.cookies


def test_a_malformed_body_is_the_scripts_mistake(client: httpx.Client) -> None:
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


def test_a_code_that_is_a_number_is_the_scripts_mistake(client: httpx.Client) -> None:
    answer = log_in_script(client, totp=123456)
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        'In the body, "totp" must be text.',
    )


@pytest.mark.parametrize("accept", [HTML, "*/*"])
def test_who_sends_json_gets_json_whatever_it_accepts(client: httpx.Client, accept: str) -> None:
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


def test_a_body_that_is_too_large_is_no_defect_of_ours(person: Person) -> None:
    answer = person.client.post(LOGIN, data={"username": "x" * 20_000})
    assert answer.status_code == 413
    assert "That is too large" in answer.text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_who_failed_too_often_is_refused_without_the_write_lock(
    dashboard: WebServer, client: httpx.Client
) -> None:
    for _ in range(5):
        log_in_script(client, password="wrong")
    with dashboard.database.write():
        assert log_in_script(client).status_code == 429


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_while_too_many_wait_to_be_judged_others_are_told_to_come_back(
    dashboard: WebServer, person: Person, client: httpx.Client
) -> None:
    state = dashboard.web.state
    state.access = replace(state.access, password_slots=PasswordSlots(most_waiting=0))
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
def test_a_page_of_a_database_that_is_locked_says_when_to_come_back(
    database: Database, impatient: Database, serve_web: ServeWeb
) -> None:
    with Person(serve_web(impatient, admin_password=PASSWORD)) as person:
        page = person.get(LOGIN).text
        token = HIDDEN.findall(page)[0][1]
        with database.write():
            fields = {"username": USERNAME, "password": PASSWORD, "_csrf": token}
            answer = person.client.post(LOGIN, data=fields)
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_a_large_body_is_refused(client: httpx.Client) -> None:
    assert log_in_script(client, password="x" * 20_000).status_code == 413


def test_without_a_session_a_script_is_told_where_to_get_one(client: httpx.Client) -> None:
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


def test_without_a_session_a_person_is_sent_to_the_login_and_back(person: Person) -> None:
    answer = person.get("/admin/second-factor?a=b&c=d")
    assert answer.status_code == 303
    leads_to = answer.headers["Location"]
    assert leads_to == "/admin/login?next=%2Fadmin%2Fsecond-factor%3Fa%3Db%26c%3Dd"
    assert person.log_in(path=leads_to).headers["Location"] == "/admin/second-factor?a=b&c=d"


def test_after_a_form_whose_session_has_ended_nothing_is_repeated(person: Person) -> None:
    answer = person.client.post("/admin/second-factor/begin")
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)


def test_a_part_of_a_page_never_becomes_the_login_page(person: Person) -> None:
    answer = person.client.get("/admin/second-factor", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == LOGIN


# ── HTTPS ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize(
    ("trusted", "is_secure"), [("127.0.0.1", True), ("192.0.2.0/24", False), ("", False)]
)
def test_cookies_are_for_https_alone_where_a_trusted_proxy_says_so(
    serve_web: ServeWeb, trusted: str, *, is_secure: bool
) -> None:
    server = serve_web(admin_password=PASSWORD, trusted_proxies=trusted)
    with script(server, **{"X-Forwarded-Proto": "https"}) as client:
        cookie = log_in_script(client).headers["set-cookie"]
        form_cookie = client.get(LOGIN, headers={"Cookie": ""}).headers["set-cookie"]
    assert ("; Secure" in cookie) == is_secure
    assert ("; Secure" in form_cookie) == is_secure
