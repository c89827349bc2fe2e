"""Login and logout in a browser."""

from contextlib import closing

import pyotp
import pytest
from playwright.sync_api import Page, expect

from hudhud.core.clock import now_ms
from hudhud.db.tables import sessions
from support.admin import LOGIN, PASSWORD, USERNAME
from support.browser import STATUS, OpenProfile, card, read_qr
from support.services import Service, sqlite_of

REFUSED = r"status of 4\d\d"


def fill_in(page: Page, password: str) -> None:
    """Submit the login form."""
    page.get_by_label("Username").fill(USERNAME)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_login_leads_to_the_requested_page(sandbox: Service, open_profile: OpenProfile) -> None:
    page = open_profile(sandbox.url, logged_in=False).open("/admin/audit?what=logins")
    expect(page).to_have_title("Log in · Hudhud")
    fill_in(page, PASSWORD)
    expect(page).to_have_url(f"{sandbox.url}/admin/audit?what=logins")
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    expect(page.locator("tbody tr").first).to_contain_text("127.0.0.1")


def test_login_works_by_keyboard_alone(sandbox: Service, open_profile: OpenProfile) -> None:
    page = open_profile(sandbox.url, logged_in=False).open(LOGIN)
    page.get_by_label("Username").focus()
    page.keyboard.type(USERNAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(sandbox.url + STATUS)


def test_wrong_password_is_refused_without_details(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    profile = open_profile(sandbox.url, logged_in=False)
    page = profile.open(LOGIN)
    fill_in(page, "a wrong password")
    expect(page.get_by_role("alert")).to_have_text("Invalid username or password.")
    expect(page.get_by_label("Username")).to_have_value(USERNAME)
    expect(page.get_by_label("Password")).to_have_value("")
    fill_in(page, PASSWORD)
    expect(page).to_have_url(sandbox.url + STATUS)
    profile.expect_complaints(REFUSED)


def test_five_failures_block_the_login_until_the_shown_time(
    guarded_sandbox: Service, open_profile: OpenProfile
) -> None:
    profile = open_profile(guarded_sandbox.url, logged_in=False)
    page = profile.open(LOGIN)
    for _ in range(5):
        fill_in(page, "a wrong password")
        expect(page.get_by_role("alert")).to_contain_text("Invalid username or password.")
    fill_in(page, PASSWORD)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("please try again after 15 minutes")
    again = alert.locator("time")
    expect(alert).to_contain_text("Possible again at")
    expect(again).to_be_visible()
    page.goto(STATUS)
    expect(page).to_have_title("Log in · Hudhud")
    profile.expect_complaints(REFUSED)


def test_second_factor_is_set_up_on_the_page_and_then_required(
    guarded_sandbox: Service, open_profile: OpenProfile
) -> None:
    page = open_profile(guarded_sandbox.url).open(STATUS)
    page.locator(".menu summary").click()
    page.get_by_role("link", name="Second factor").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    app = pyotp.parse_uri(read_qr(page))
    assert isinstance(app, pyotp.TOTP)
    assert app.secret == page.locator("#factor-secret").inner_text()
    page.get_by_label("Type the six digits").fill(app.now())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    code = page.locator("#recovery-codes").inner_text().split()[0]
    other = open_profile(guarded_sandbox.url, logged_in=False)
    page = other.open(LOGIN)
    fill_in(page, PASSWORD)
    expect(page).to_have_title("Second factor · Hudhud")
    page.get_by_label("Code from your authenticator").fill("not a code")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is not valid")
    page.get_by_label("Code from your authenticator").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(guarded_sandbox.url + STATUS)
    other.expect_complaints(REFUSED)


def log_out(page: Page) -> None:
    """Log out by the menu."""
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_title("Log in · Hudhud")


def test_logout_ends_the_session_in_every_tab_and_history_entry(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    profile = open_profile(sandbox.url)
    other, page = profile.open_live(), profile.open_live()
    log_out(page)
    expect(other.locator("#live")).to_have_text("Logged out: log in again")
    page.go_back()
    expect(page).to_have_title("Log in · Hudhud")
    expect(card(page)).to_have_count(0)


def end_all_sessions(service: Service) -> None:
    """Expire every session as unused."""
    with closing(sqlite_of(service)) as database, database.write() as connection:
        connection.execute(sessions.update().values(seen_at=now_ms() - 7 * 24 * 3_600_000))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_action_after_the_session_ended_leads_to_the_login(
    sandbox: Service, open_profile: OpenProfile, *, scripts: bool
) -> None:
    profile = open_profile(sandbox.url, java_script_enabled=scripts)
    page = profile.open()
    end_all_sessions(sandbox)
    page.get_by_role("button", name="Pause sending").click()
    expect(page).to_have_title("Log in · Hudhud")
    fill_in(page, PASSWORD)
    expect(card(page)).to_have_attribute("data-state", "connected")
    profile.expect_complaints(REFUSED)
