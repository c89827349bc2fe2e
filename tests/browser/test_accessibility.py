"""axe-core finds no violation on any page, in either language and theme."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Page, expect

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from support.admin import LOGIN, PASSWORD, USERNAME
from support.browser import (
    STATUS,
    OpenProfile,
    Profile,
    card,
    expect_delivery,
    expect_state,
    row,
)
from support.linked import LinkedService
from support.services import Service, ask_for_code
from support.troubled import put_troubled_senders

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
JUDGE = """async (options) => {
  const { violations } = await axe.run(options);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) =>
    `${id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}"""
# Unused rules would take most of axe-core's time.
QUICK = {"resultTypes": ["violations"], "preload": False, "iframes": False}
# A theme changes only colours.
COLOURS = {**QUICK, "runOnly": ["color-contrast", "link-in-text-block"]}
LANGUAGES = ("en", "ar")
REFUSED = r"status of 4\d\d"


@dataclass(frozen=True)
class Judge:
    """Checks pages in one language and both themes."""

    language: str
    axe: str

    def assert_faultless(self, page: Page) -> None:
        """Assert that axe-core finds no violation."""
        expect(page.locator("html")).to_have_attribute("lang", self.language)
        page.evaluate(self.axe)
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(JUDGE, COLOURS) == []
        page.emulate_media(color_scheme="light")
        assert page.evaluate(JUDGE, QUICK) == []

    def open_profile(self, opener: OpenProfile, url: str, *, logged_in: bool = True) -> Profile:
        """Open a profile with that language."""
        return opener(url, logged_in=logged_in, locale=self.language)


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    assert AXE.is_file(), "axe-core is not installed: npm ci --prefix tests/browser"
    return AXE.read_text()


@pytest.fixture(params=LANGUAGES)
def judge(request: pytest.FixtureRequest, axe: str) -> Judge:
    """A judge for each language."""
    return Judge(request.param, axe)


@pytest.fixture
def judges(axe: str) -> list[Judge]:
    """All judges, for states that are slow to set up."""
    return [Judge(language, axe) for language in LANGUAGES]


def test_logged_in_pages(sandbox: Service, open_profile: OpenProfile, judge: Judge) -> None:
    delivered = ask_for_code(sandbox.url, "+201001234567")["jobId"]
    failed = ask_for_code(sandbox.url, NOT_ON_WHATSAPP)["jobId"]
    profile = judge.open_profile(open_profile, sandbox.url)
    page = profile.open_live()
    expect_delivery(page, delivered, "delivered")
    expect_delivery(page, failed, "failed")
    page.reload()  # with charts of the new data
    page.locator("#traffic-table summary").click()
    page.locator(".menu summary").click()
    judge.assert_faultless(page)
    page.locator(".menu summary").click()
    row(page, failed).get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    judge.assert_faultless(page)
    for path in (
        f"{STATUS}?searchQuery=nothing+at+all",
        f"/admin/jobs/{failed}",
        "/admin/audit",
        "/admin/audit?q=nothing+at+all",
        "/admin/keys",
        "/admin/webhooks",
        "/admin/second-factor",
        "/admin/whatsapp/logout-session",
        "/admin/no-such-page",
    ):
        page.goto(path)
        judge.assert_faultless(page)
    profile.expect_complaints(REFUSED)


def test_created_key_and_refused_key(
    sandbox: Service, open_profile: OpenProfile, judge: Judge
) -> None:
    profile = judge.open_profile(open_profile, sandbox.url)
    page = profile.open("/admin/keys")
    page.locator("#key-name").fill(f"shop {judge.language}")
    page.locator("#new-key-form button").click()
    expect(page.locator("#made-key")).to_be_visible()
    for summary in page.locator("details.ask summary").all()[:2]:
        summary.click()
        judge.assert_faultless(page)
    page.locator("#key-name").fill("a name that is given away")
    for checkbox in page.locator("#new-key-form input[type=checkbox]").all():
        checkbox.uncheck()
    page.locator("#new-key-form button").click()
    expect(page.locator("#key-wrong")).to_be_visible()
    judge.assert_faultless(page)
    profile.expect_complaints(REFUSED)


def test_login_pages(sandbox: Service, open_profile: OpenProfile, judge: Judge) -> None:
    profile = judge.open_profile(open_profile, sandbox.url, logged_in=False)
    page = profile.open(LOGIN)
    judge.assert_faultless(page)
    page.locator("#user").fill(USERNAME)
    page.locator("#pass").fill("a wrong password")
    page.locator("#login button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    judge.assert_faultless(page)
    page.locator("#pass").fill(PASSWORD)
    page.locator("#login button").click()
    expect(page).to_have_url(sandbox.url + STATUS)
    profile.expect_complaints(REFUSED)


def test_second_factor_in_each_state(
    guarded_sandbox: Service, open_profile: OpenProfile, judges: list[Judge]
) -> None:
    profiles = [judge.open_profile(open_profile, guarded_sandbox.url) for judge in judges]
    page = profiles[0].open("/admin/second-factor")
    page.locator("#proof").fill(PASSWORD)
    page.locator("#factor-begin button").click()
    app = pyotp.TOTP(page.locator("#factor-secret").inner_text())
    everywhere(judges, profiles, "/admin/second-factor")
    page.locator("#totp").fill("000")
    page.locator("#factor-confirm button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    judges[0].assert_faultless(page)
    page.locator("#totp").fill(app.now())
    page.locator("#factor-confirm button").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    judges[0].assert_faultless(page)
    page.goto("/admin/second-factor")
    judges[0].assert_faultless(page)
    for judge, code in zip(judges, codes, strict=False):
        profile = judge.open_profile(open_profile, guarded_sandbox.url, logged_in=False)
        page = profile.open(LOGIN)
        page.locator("#user").fill(USERNAME)
        page.locator("#pass").fill(PASSWORD)
        page.locator("#login button").click()
        expect(page.locator("#totp")).to_be_visible()
        judge.assert_faultless(page)
        page.locator("#totp").fill(code)
        page.locator("#login-code button").click()
        expect(page).to_have_url(guarded_sandbox.url + STATUS)
    profiles[0].expect_complaints(REFUSED)


def everywhere(judges: Sequence[Judge], profiles: Sequence[Profile], path: str) -> None:
    """Check a page in every language."""
    for judge, profile in zip(judges, profiles, strict=True):
        page = profile.open(path)
        judge.assert_faultless(page)
        page.close()


def test_linking_a_phone(
    never_linked: LinkedService, open_profile: OpenProfile, judges: list[Judge]
) -> None:
    url = never_linked.service.url
    profiles = [judge.open_profile(open_profile, url) for judge in judges]
    everywhere(judges, profiles, STATUS)
    never_linked.command("pair_phone", never_linked.account)
    everywhere(judges, profiles, f"{STATUS}?pair=phone")
    never_linked.reload()  # otherwise it would continue with the characters


def test_linked_sender_and_its_logout_confirmation(
    linked: LinkedService, open_profile: OpenProfile, judge: Judge
) -> None:
    page = judge.open_profile(open_profile, linked.service.url).open_live()
    expect_state(page, "connected")
    judge.assert_faultless(page)
    page.locator("[data-dialog=confirm]").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    judge.assert_faultless(page)


def test_page_full_of_problems(
    fresh_sandbox: Service, open_profile: OpenProfile, judges: list[Judge]
) -> None:
    put_troubled_senders(fresh_sandbox)
    profiles = [judge.open_profile(open_profile, fresh_sandbox.url) for judge in judges]
    page = profiles[0].open_live()
    expect(card(page)).to_have_count(8)  # ignore a linked sender that does not run
    page.locator("#sender-main-sandbox").get_by_role("button", name="Pause sending").click()
    expect(page.locator("#sender-main-sandbox .state")).to_have_text("Paused")
    everywhere(judges, profiles, STATUS)
