"""The second factor, from setup to login, with a real authenticator."""

import re
import time
from collections.abc import Iterator

import httpx
import pyotp
import pytest
from sqlalchemy import select, update

from hudhud.auth import audit_log
from hudhud.db.engine import Database
from hudhud.db.tables import second_factors, sessions
from hudhud.web.admin.login import steps
from support.admin import LOGIN, PASSWORD, Person, log_in_script, script
from support.web_server import ServeWeb, WebServer

PAGE = "/admin/second-factor"
BEGIN, CONFIRM, OFF = f"{PAGE}/begin", f"{PAGE}/confirm", f"{PAGE}/off"
CODE = f"{LOGIN}/second-factor"
RECOVERY_CODE = re.compile(r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b")


@pytest.fixture
def person(dashboard: WebServer) -> Iterator[Person]:
    """A browser that is logged in."""
    with Person(dashboard) as one:
        one.log_in()
        yield one


class Phone:
    """An authenticator that never shows the same code twice."""

    def __init__(self, secret: str, database: Database) -> None:
        self._totp = pyotp.TOTP(secret)
        self._database = database

    def code(self) -> str:
        """Return the current code and clear the record of its use."""
        with self._database.write() as connection:
            connection.execute(update(second_factors).values(last_step=None))
        return self._totp.at(int(time.time()))


def scan(dashboard: WebServer, person: Person) -> Phone:
    """Begin the setup and take the secret from the page."""
    person.fill(PAGE, BEGIN, proof=PASSWORD)
    secret = re.search(r'id="factor-secret">([A-Z2-7]+)<', person.get(PAGE).text)
    assert secret is not None
    return Phone(secret[1], dashboard.database)


def turn_on(dashboard: WebServer, person: Person) -> tuple[Phone, list[str]]:
    """Set it up on the page; return phone and recovery codes."""
    phone = scan(dashboard, person)
    shown = person.fill(PAGE, CONFIRM, totp=phone.code())
    assert shown.status_code == 200
    return phone, RECOVERY_CODE.findall(shown.text)


def test_setup_shows_a_qr_code_and_ten_recovery_codes_once(
    dashboard: WebServer, person: Person
) -> None:
    assert "The second factor is off" in person.get(PAGE).text
    phone = scan(dashboard, person)
    page = person.get(PAGE).text
    assert '<div class="qr"' in page
    assert "style=" not in page
    answer = person.fill(PAGE, CONFIRM, totp=phone.code())
    assert len(set(RECOVERY_CODE.findall(answer.text))) == 10
    assert answer.headers["Cache-Control"] == "no-store"
    later = person.get(PAGE).text
    assert "The second factor is on" in later
    assert not RECOVERY_CODE.findall(later)


@pytest.mark.parametrize("fields", [{}, {"proof": ""}, {"proof": "wrong"}])
def test_setup_requires_the_password(
    dashboard: WebServer, person: Person, fields: dict[str, str]
) -> None:
    answer = person.fill(PAGE, BEGIN, **fields)
    assert answer.status_code == 400
    assert "That is not the password." in answer.text
    with dashboard.database.read() as connection:
        assert connection.execute(select(second_factors)).first() is None


def test_wrong_code_does_not_complete_the_setup(dashboard: WebServer, person: Person) -> None:
    scan(dashboard, person)
    answer = person.fill(PAGE, CONFIRM, totp="abcdef")
    assert answer.status_code == 400
    assert "That code is not valid" in answer.text
    with Person(dashboard) as other:
        assert other.log_in().headers["Location"] == "/admin/status"


def test_login_requires_the_code_and_rotates_the_session(
    dashboard: WebServer, person: Person
) -> None:
    phone, _ = turn_on(dashboard, person)
    with Person(dashboard) as other:
        answer = other.log_in(path=f"{LOGIN}?next=%2Fadmin%2Faudit")
        halfway = other.session
        leads_to = answer.headers["Location"]
        assert leads_to == "/admin/login?next=%2Fadmin%2Faudit"
        assert not other.is_in()
        assert "hudhud_browser" not in other.client.cookies
        assert other.get(PAGE).status_code == 303
        answer = other.fill(leads_to, CODE, totp=phone.code())
        assert answer.headers["Location"] == "/admin/audit"
        assert other.is_in()
        assert other.session != halfway
        assert "hudhud_browser" in other.client.cookies
    with Person(dashboard, Cookie=f"hudhud_session={halfway}") as thief:
        assert "Code from your authenticator" not in thief.get(LOGIN).text


def test_a_recovery_code_replaces_the_phone_once(dashboard: WebServer, person: Person) -> None:
    _, codes = turn_on(dashboard, person)
    with Person(dashboard) as other:
        other.log_in()
        assert other.fill(LOGIN, CODE, totp=codes[0]).status_code == 303
        assert other.is_in()
    with Person(dashboard) as another:
        another.log_in()
        answer = another.fill(LOGIN, CODE, totp=codes[0])
        assert answer.status_code == 401
        assert "That code is not valid" in answer.text


def test_wrong_codes_count_as_failed_logins_despite_the_right_password(
    dashboard: WebServer, person: Person
) -> None:
    phone, _ = turn_on(dashboard, person)
    with Person(dashboard) as guesser:
        for _ in range(5):
            guesser.client.cookies.clear()
            assert guesser.log_in().status_code == 303
            assert guesser.fill(LOGIN, CODE, totp="wrong").status_code == 401
        assert guesser.fill(LOGIN, CODE, totp=phone.code()).status_code == 429
        assert not guesser.is_in()
        guesser.client.cookies.clear()
        assert guesser.log_in().status_code == 429


def test_code_form_requires_the_token_of_its_session(dashboard: WebServer, person: Person) -> None:
    phone, _ = turn_on(dashboard, person)
    with Person(dashboard) as other:
        other.log_in()
        assert other.client.post(CODE, data={"totp": phone.code()}).status_code == 403
        assert not other.is_in()


def test_code_without_the_password_is_refused(dashboard: WebServer, person: Person) -> None:
    phone, _ = turn_on(dashboard, person)
    with Person(dashboard) as other:
        answer = other.client.post(CODE, data={"totp": phone.code()})
        assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)
        assert not other.is_in()


def test_script_sends_the_code_with_the_password(dashboard: WebServer, person: Person) -> None:
    phone, _ = turn_on(dashboard, person)
    with script(dashboard) as client:
        answer = log_in_script(client)
        assert (answer.status_code, answer.json()) == (
            401,
            {"success": False, "message": "Second factor required", "secondFactor": True},
        )
        assert not client.cookies
        answer = log_in_script(client, totp="000")
        assert (answer.status_code, answer.json()["secondFactor"]) == (401, True)
        assert log_in_script(client, password="wrong", totp=phone.code()).json() == {
            "success": False,
            "message": "Invalid username or password",
        }
        assert log_in_script(client, totp=phone.code()).status_code == 200


def test_turning_it_on_ends_sessions_without_a_second_factor(
    dashboard: WebServer, person: Person
) -> None:
    with Person(dashboard) as other:
        other.log_in()
        turn_on(dashboard, person)
        assert not other.is_in()
    assert person.is_in()


@pytest.mark.parametrize("proof", ["password", "code", "recovery code"])
def test_turning_it_off_requires_the_password_or_a_code(
    dashboard: WebServer, person: Person, proof: str
) -> None:
    phone, codes = turn_on(dashboard, person)
    typed = {"password": PASSWORD, "code": phone.code(), "recovery code": codes[3]}[proof]
    assert person.fill(PAGE, OFF, proof=typed).headers["Location"] == PAGE
    assert "The second factor is off" in person.get(PAGE).text
    with Person(dashboard) as other:
        assert other.log_in().headers["Location"] == "/admin/status"


def test_turning_it_off_without_password_or_code_is_refused(
    dashboard: WebServer, person: Person
) -> None:
    turn_on(dashboard, person)
    for _ in range(5):
        answer = person.fill(PAGE, OFF, proof="wrong")
        assert answer.status_code == 400
        assert "neither the password nor a valid code" in answer.text
    assert person.fill(PAGE, OFF, proof=PASSWORD).status_code == 429
    assert "The second factor is on" in person.get(PAGE).text


def test_setup_can_be_canceled(dashboard: WebServer, person: Person) -> None:
    scan(dashboard, person)
    person.fill(PAGE, OFF)
    assert "The second factor is off" in person.get(PAGE).text


@pytest.mark.parametrize("path", [BEGIN, CONFIRM, OFF])
def test_every_step_requires_the_token(person: Person, path: str) -> None:
    assert person.client.post(path, data={"totp": "1"}).status_code == 403
    wrong = {"X-CSRF-Token": "a.b"}
    assert person.client.post(path, headers=wrong).status_code == 403


def test_recovery_codes_work_after_losing_the_secret(
    serve_web: ServeWeb, dashboard: WebServer, person: Person
) -> None:
    phone, codes = turn_on(dashboard, person)
    same = Database(dashboard.database.url.render_as_string(hide_password=False))
    with Person(serve_web(same, admin_password=PASSWORD, session_secret="another" * 8)) as other:
        other.log_in()
        answer = other.fill(LOGIN, CODE, totp=phone.code())
        assert answer.status_code == 403
        assert "hudhud admin reset-second-factor" in answer.text
        assert other.fill(LOGIN, CODE, totp=codes[0]).status_code == 303


def test_changes_and_uses_are_audited(dashboard: WebServer, person: Person) -> None:
    phone, codes = turn_on(dashboard, person)
    with script(dashboard) as client:
        log_in_script(client, totp="wrong")
        log_in_script(client, totp=phone.code())
        log_in_script(client, totp=codes[0])
    person.fill(PAGE, OFF, proof=PASSWORD)
    with dashboard.database.read() as connection:
        rows = audit_log.page(connection, limit=100)
    assert [(row.what, row.detail) for row in reversed(rows)] == [
        ("login", None),
        ("second_factor_on", None),
        ("login_failed", steps.CODE_WAS_WRONG.english()),
        ("login", "With second factor"),
        ("login", "With a recovery code"),
        ("second_factor_off", None),
    ]


def test_session_waits_at_most_ten_minutes_for_its_code(
    dashboard: WebServer, person: Person
) -> None:
    phone, _ = turn_on(dashboard, person)
    with Person(dashboard) as other:
        other.log_in()
        with dashboard.database.write() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.is_complete.is_(False))
                .values(created_at=sessions.c.created_at - 600_000)
            )
        answer = other.client.post(CODE, data={"totp": phone.code()})
        assert answer.headers["Location"] == LOGIN
        assert not other.is_in()


def test_api_key_needs_no_second_factor(dashboard: WebServer, person: Person) -> None:
    del person
    with dashboard.database.read() as connection:
        assert connection.execute(select(second_factors)).first() is None
    answer = httpx.get(
        f"http://127.0.0.1:{dashboard.port}{PAGE}", headers={"X-API-KEY": "no key"}, timeout=10
    )
    assert answer.status_code == 401
