"""One sweep over every page: nothing is too wide, covers a corner, or is reported by axe-core."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS, now_ms
from hudhud.core.sentences import other, say
from hudhud.db.tables import webhook_deliveries
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
from support.services import Service, ask_for_code, free_port, sqlite_of, wait_until
from support.stored_jobs import StoredJob, put_jobs
from support.sweep import Sweep
from support.troubled import troubled_senders

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
LANGUAGES = ("en", "ar")
REFUSED = r"status of 4\d\d"


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    assert AXE.is_file(), "axe-core is not installed: npm ci --prefix tests/browser"
    return AXE.read_text()


@pytest.fixture(params=LANGUAGES)
def sweep(request: pytest.FixtureRequest, axe: str) -> Sweep:
    """A sweep for each language."""
    return Sweep(request.param, axe)


@pytest.fixture
def sweeps(axe: str) -> list[Sweep]:
    """All sweeps, for states that are slow to set up."""
    return [Sweep(language, axe) for language in LANGUAGES]


def test_logged_in_pages(sandbox: Service, open_profile: OpenProfile, sweep: Sweep) -> None:
    failed = ask_for_code(sandbox.url, NOT_ON_WHATSAPP)["jobId"]
    profile = sweep.open_profile(open_profile, sandbox.url)
    page = profile.open_live(f"{STATUS}?searchQuery={NOT_ON_WHATSAPP.removeprefix('+')}")
    expect_delivery(page, failed, "failed")
    page.reload()  # with charts of the new data
    page.locator("#traffic-table summary").click()
    page.locator(".menu summary").click()
    sweep.assert_faultless(page)
    page.locator(".menu summary").click()
    row(page, failed).get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    sweep.assert_faultless(page)
    for path in (
        f"{STATUS}?searchQuery=nothing+at+all",
        f"/admin/jobs/{failed}",
        "/admin/audit",
        "/admin/audit?q=nothing+at+all",
        "/admin/second-factor",
        "/admin/whatsapp/logout-session",
        "/admin/docs/settings",
        "/admin/no-such-page",
    ):
        page.goto(path)
        sweep.assert_faultless(page)
    profile.expect_complaints(REFUSED)


def test_api_reference(sandbox: Service, open_profile: OpenProfile, axe: str) -> None:
    sweep = Sweep("en", axe)  # its only language
    page = sweep.open_profile(open_profile, sandbox.url, logged_in=False).open("/api/docs")
    operations = page.locator(".opblock-summary-control")
    expect(operations.first).to_be_visible()
    sweep.assert_faultless(page)
    for operation in operations.all()[:6]:  # every kind of field and answer
        operation.click()
    expect(page.locator(".body-param__text").first).to_have_value(
        '{\n  "phoneNumber": "+201001234567"\n}'
    )
    sweep.assert_faultless(page)
    expect(page.get_by_role("link", name="Dashboard")).to_have_attribute("href", STATUS)


def test_api_reference_follows_the_theme_of_the_dashboard(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    profile = open_profile(sandbox.url, color_scheme="light")
    page = profile.open("/admin/keys")
    page.locator(".menu summary").click()
    with page.expect_response("**/admin/theme"):
        page.get_by_role("button", name="Dark").click()
    page.goto("/api/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 18, 17)"


def test_created_key_and_refused_key(
    sandbox: Service, open_profile: OpenProfile, sweep: Sweep
) -> None:
    profile = sweep.open_profile(open_profile, sandbox.url)
    page = profile.open("/admin/keys")
    page.locator("#key-name").fill(f"a-long-name-without-any-space-for-Alexandria-{sweep.language}")
    page.locator("#key-networks").fill("2001:db8:85a3:aaaa:bbbb:8a2e:370:7334, 192.0.2.0/24")
    page.locator("#key-days").fill("3")
    page.locator("#key-per_number").fill("1/30s,5/1h,10/1d")
    page.locator("#new-key-form button").click()
    expect(page.locator("#made-key")).to_be_visible()
    for summary in page.locator("details.ask summary").all()[:2]:
        summary.click()
        sweep.assert_faultless(page)
    page.locator("#key-name").fill("a name that is given away")
    for checkbox in page.locator("#new-key-form input[type=checkbox]").all():
        checkbox.uncheck()
    page.locator("#new-key-form button").click()
    expect(page.locator("#key-wrong")).to_be_visible()
    sweep.assert_faultless(page)
    profile.expect_complaints(REFUSED)


def test_login_pages(sandbox: Service, open_profile: OpenProfile, sweep: Sweep) -> None:
    profile = sweep.open_profile(open_profile, sandbox.url, logged_in=False)
    page = profile.open(LOGIN)
    sweep.assert_faultless(page)
    page.locator("#user").fill(USERNAME)
    page.locator("#pass").fill("a wrong password")
    page.locator("#login button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    sweep.assert_faultless(page)
    page.locator("#pass").fill(PASSWORD)
    page.locator("#login button").click()
    expect(page).to_have_url(sandbox.url + STATUS)
    profile.expect_complaints(REFUSED)


def test_second_factor_in_each_state(
    guarded_sandbox: Service, open_profile: OpenProfile, sweeps: list[Sweep]
) -> None:
    profiles = [sweep.open_profile(open_profile, guarded_sandbox.url) for sweep in sweeps]
    page = profiles[0].open("/admin/second-factor")
    page.locator("#proof").fill(PASSWORD)
    page.locator("#factor-begin button").click()
    app = pyotp.TOTP(page.locator("#factor-secret").inner_text())
    everywhere(sweeps, profiles, "/admin/second-factor")
    page.locator("#totp").fill("000")
    page.locator("#factor-confirm button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    sweeps[0].assert_faultless(page)
    page.locator("#totp").fill(app.now())
    page.locator("#factor-confirm button").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    sweeps[0].assert_faultless(page)
    page.goto("/admin/second-factor")
    sweeps[0].assert_faultless(page)
    for sweep, code in zip(sweeps, codes, strict=False):
        profile = sweep.open_profile(open_profile, guarded_sandbox.url, logged_in=False)
        page = profile.open(LOGIN)
        page.locator("#user").fill(USERNAME)
        page.locator("#pass").fill(PASSWORD)
        page.locator("#login button").click()
        expect(page.locator("#totp")).to_be_visible()
        sweep.assert_faultless(page)
        page.locator("#totp").fill(code)
        page.locator("#login-code button").click()
        expect(page).to_have_url(guarded_sandbox.url + STATUS)
    profiles[0].expect_complaints(REFUSED)


def everywhere(sweeps: Sequence[Sweep], profiles: Sequence[Profile], path: str) -> None:
    """Check a page in every language."""
    for sweep, profile in zip(sweeps, profiles, strict=True):
        page = profile.open(path)
        sweep.assert_faultless(page)
        page.close()


def test_linking_a_phone_and_senders_in_every_state(
    never_linked: LinkedService, open_profile: OpenProfile, sweeps: list[Sweep]
) -> None:
    url = never_linked.service.url
    profiles = [sweep.open_profile(open_profile, url) for sweep in sweeps]
    everywhere(sweeps, profiles, STATUS)
    never_linked.command("pair_phone", never_linked.account)
    everywhere(sweeps, profiles, f"{STATUS}?pair=phone")
    with troubled_senders(never_linked.service):
        everywhere(sweeps, profiles, STATUS)
        expect(card(profiles[0].open())).to_have_count(9)
    never_linked.reload()  # otherwise it would continue with the characters


def test_linked_sender_and_its_logout_confirmation(
    linked: LinkedService, open_profile: OpenProfile, sweep: Sweep
) -> None:
    page = sweep.open_profile(open_profile, linked.service.url).open_live()
    expect_state(page, "connected")
    sweep.assert_faultless(page)
    page.locator("[data-dialog=confirm]").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    sweep.assert_faultless(page)


def test_pages_from_empty_to_old_jobs_and_failed_deliveries(
    fresh_sandbox: Service, open_profile: OpenProfile, sweeps: list[Sweep]
) -> None:
    profiles = [sweep.open_profile(open_profile, fresh_sandbox.url) for sweep in sweeps]
    everywhere(sweeps, profiles, STATUS)
    page = profiles[0].open("/admin/webhooks")
    page.locator("#endpoint-url").fill(f"https://127.0.0.1:{free_port()}/{'a-long-path/' * 9}")
    page.locator("#new-endpoint-form button").click()
    expect(page.locator("#signed")).to_be_visible()
    sweeps[0].assert_faultless(page)
    page = profiles[0].open_live()
    card(page).get_by_role("button", name="Pause sending").click()
    expect_state(page, "paused")
    sweeps[0].assert_faultless(page)  # with a notice
    ask_for_code(fresh_sandbox.url, "+201001234567")
    put_old_jobs(fresh_sandbox)
    everywhere(sweeps, profiles, STATUS)
    wait_until(lambda: has_failed_delivery(fresh_sandbox), 20, "a delivery that fails")
    for path in ("/admin/webhooks", "/admin/webhooks/1", "/admin/webhooks/1/remove"):
        everywhere(sweeps, profiles, path)


def put_old_jobs(service: Service) -> None:
    """Insert jobs with the longest times and errors of a row."""
    created = now_ms() - 400 * DAY_MS
    long = other("https://a-provider.example/" + "errors/of/an-unusual-length/" * 3)
    taken = created + 23 * HOUR_MS + 59 * MINUTE_MS
    with closing(sqlite_of(service)) as database:
        put_jobs(
            database,
            StoredJob(status="sent", created_at=created, sent_at=taken, error=long),
            StoredJob(status="failed", created_at=created, error=say("job.no_account")),
        )


def has_failed_delivery(service: Service) -> bool:
    """Return whether a delivery has failed once."""
    failed = select(webhook_deliveries.c.id).where(webhook_deliveries.c.attempts > 0).limit(1)
    with closing(sqlite_of(service)) as database, database.read() as connection:
        return connection.scalar(failed) is not None
