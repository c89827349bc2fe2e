"""Live updates: every tab and browser shows changes without a reload."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from hudhud.messages.states import STATUSES
from support.admin import LOGIN
from support.browser import (
    STATUS,
    OpenProfile,
    expect_delivery,
    is_marked,
    mark,
    row,
)
from support.linked import LinkedService
from support.services import Service, ask_for_code

# One more than the connections that Chromium opens to a server by HTTP/1.1.
TABS = 7
WATCH_ROW = """job => {
  window.seen = [];
  const look = () => {
    const word = document.getElementById("job-" + job)?.dataset.delivery;
    if (word && word !== window.seen.at(-1)) window.seen.push(word);
  };
  look();
  new MutationObserver(look).observe(document.getElementById("jobs"),
    { subtree: true, childList: true, attributes: true });
}"""

# Each start of a row's animation, in ink and not in the colour of the brand.
WATCH_MARKS = """() => {
  window.marked = [];
  document.addEventListener("animationstart", ({ target, animationName }) => {
    if (animationName === "fresh") window.marked.push(target.id);
  });
}"""


def number_of(page: Page, name: str) -> int:
    """Return the large number under a label."""
    cell = page.locator("#numbers .nums > div").filter(has=page.get_by_text(name, exact=True))
    return int(cell.locator("dd").first.inner_text().replace(",", ""))


def expect_number(page: Page, name: str, number: int) -> None:
    """Wait for the large number under a label."""
    cell = page.locator("#numbers .nums > div").filter(has=page.get_by_text(name, exact=True))
    expect(cell.locator("dd").first).to_have_text(f"{number:,}")


@pytest.fixture
def paused(linked: LinkedService, open_profile: OpenProfile) -> Iterator[Page]:
    """The status page with its sender paused there, not as in a fresh installation."""
    linked.wait_for_delivery(linked.send(linked.add_phone())["jobId"], "read")
    page = open_profile(linked.service.url).open_live()
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator(".state")).to_have_text("Paused")
    yield page
    linked.resume()


def test_row_and_numbers_follow_a_code_from_pending_to_read(
    linked: LinkedService, paused: Page
) -> None:
    page = paused
    mark(page)
    pending, sent = number_of(page, "Pending"), number_of(page, "Sent")
    job = linked.send(linked.add_phone())["jobId"]
    expect_delivery(page, job, "queued")
    expect(row(page, job)).to_contain_text("Queued")
    assert row(page, job).get_attribute("data-status") == "pending"
    expect_number(page, "Pending", pending + 1)
    page.evaluate(WATCH_ROW, job)
    page.get_by_role("button", name="Resume sending").first.click()
    expect_delivery(page, job, "read")
    expect(row(page, job)).to_contain_text("Read")
    expect_number(page, "Pending", pending)
    expect_number(page, "Sent", sent + 1)
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen, key=STATUSES.index)
    assert is_marked(page)


def test_another_admin_sees_updates_in_another_language(
    linked: LinkedService, open_profile: OpenProfile
) -> None:
    pages = [
        open_profile(linked.service.url).open_live(),
        open_profile(linked.service.url, locale="ar-EG").open(),
    ]
    expect(pages[1].locator("html")).to_have_attribute("lang", "ar")
    job = linked.send(linked.add_phone())["jobId"]
    for page in pages:
        expect_delivery(page, job, "read")
    expect(row(pages[0], job)).to_contain_text("Read")
    expect(row(pages[1], job)).not_to_contain_text("Read")
    pages[0].get_by_role("button", name="Pause sending").click()
    for page in pages:
        expect(page.locator(".sender")).to_have_attribute("data-state", "paused")
    pages[1].locator(".sender button.primary").click()
    for page in pages:
        expect(page.locator(".sender")).to_have_attribute("data-state", "connected")


def test_more_tabs_than_connections_share_one_stream(
    sandbox: Service, open_profile: OpenProfile, browser: Browser
) -> None:
    profile = open_profile(sandbox.url, logged_in=False)
    profile.open(LOGIN)  # sends the time zone, which names the stream
    profile.log_in()
    tabs = [profile.open_live() for _ in range(TABS)]
    job = ask_for_code(sandbox.url, "+201005550001")["jobId"]
    for tab in tabs:
        expect_delivery(tab, job, "delivered")
    session = browser.new_browser_cdp_session()
    targets = session.send("Target.getTargets", {"filter": [{"type": "shared_worker"}]})
    contexts = [target["browserContextId"] for target in targets["targetInfos"]]
    assert len(set(contexts)) == len(contexts)


def test_new_row_waits_while_a_row_has_the_focus(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    for number in range(27):  # more than a page; those below it changed lately, too
        ask_for_code(sandbox.url, f"+2010055500{number:02}")
    first = ask_for_code(sandbox.url, "+201005550002")["jobId"]
    page = open_profile(sandbox.url).open_live()
    expect_delivery(page, first, "delivered")
    link = row(page, first).get_by_role("link")
    link.focus()
    second = ask_for_code(sandbox.url, "+201005550003")["jobId"]
    newer = page.get_by_role("link", name="1 newer job")
    expect(newer).to_be_visible()
    expect(link).to_be_focused()
    expect(row(page, second)).to_have_count(0)
    newer.click()
    expect_delivery(page, second, "delivered")
    expect(newer).not_to_be_visible()


def test_filtered_list_gains_jobs_that_fail(sandbox: Service, open_profile: OpenProfile) -> None:
    ended = ask_for_code(sandbox.url, "+201005550004")["jobId"]
    page = open_profile(sandbox.url).open_live(f"{STATUS}?filterStatus=failed_or_expired")
    arriving = ask_for_code(sandbox.url, "+201005550005")["jobId"]
    failing = ask_for_code(sandbox.url, NOT_ON_WHATSAPP)["jobId"]
    expect_delivery(page, failing, "failed")
    for job in (ended, arriving):
        expect(row(page, job)).to_have_count(0)


def test_only_new_rows_are_marked_and_only_if_few_come(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    earlier = ask_for_code(sandbox.url, "+201005550009")["jobId"]
    page = open_profile(sandbox.url, reduced_motion="no-preference").open_live()
    expect_delivery(page, earlier, "delivered")
    page.evaluate(WATCH_MARKS)
    first = ask_for_code(sandbox.url, "+201005550010")["jobId"]
    expect_delivery(page, first, "delivered")
    assert page.evaluate("window.marked") == [f"job-{first}"]
    last = [ask_for_code(sandbox.url, f"+2010055500{number}")["jobId"] for number in range(20, 40)]
    expect_delivery(page, last[-1], "delivered")
    assert len(page.evaluate("window.marked")) <= 1 + 3


def test_open_drawer_follows_its_job(linked: LinkedService, paused: Page) -> None:
    job = linked.send(linked.add_phone())["jobId"]
    row(paused, job).get_by_role("link").click()
    drawer = paused.get_by_role("dialog")
    expect(drawer.locator("[data-step]").last).to_have_attribute("data-step", "accepted")
    linked.resume()
    expect(drawer.locator("[data-step]").last).to_have_attribute("data-step", "read")
    expect(drawer.locator(".head .st")).to_have_text("Read")


def test_times_use_the_browsers_zone_and_show_the_exact_moment_on_hover(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    job = ask_for_code(sandbox.url, "+201005550004")["jobId"]
    shown = {}
    for zone in ("Asia/Kolkata", "America/Los_Angeles"):
        profile = open_profile(sandbox.url, logged_in=False, timezone_id=zone)
        profile.open(LOGIN)  # the first page sends the browser's time zone
        profile.log_in()
        page = profile.open()
        created = row(page, job).locator("time").first
        shown[zone] = created.inner_text()
        exact = created.get_attribute("title") or ""
        assert shown[zone][:5] in exact
        instant = created.get_attribute("datetime")
        assert page.evaluate("at => !isNaN(new Date(at))", instant)
    assert shown["Asia/Kolkata"] != shown["America/Los_Angeles"]
