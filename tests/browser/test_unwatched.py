"""Jobs outside the watched range, and tabs that open late."""

import re
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hudhud.core.clock import now_ms
from hudhud.messages.listing import LARGEST_PAGE
from support.browser import OpenProfile, expect_delivery, is_marked, mark, row
from support.services import Service, ask_for_code, sqlite_of
from support.stored_jobs import StoredJob, put_jobs

# Without canceled jobs, which other tests leave in the shared service.
FAILED = "/admin/status?filterDelivery=failed"
# Runs a worker's script in a page, with a fake stream and fake tabs.
PLAY = """async address => {
  class Played extends EventTarget {
    static CLOSED = 2;
    readyState = 0;
    constructor() { super(); Played.last = this; }
    close() { this.readyState = 2; }
  }
  window.EventSource = Played;
  window.say = (name, data) => Played.last.dispatchEvent(new MessageEvent(name, { data }));
  window.openTab = () => {
    const port = { told: [], postMessage(message) { this.told.push(message); } };
    const event = new Event("connect");
    event.ports = [port];
    self.dispatchEvent(event);
    return port.told;
  };
  await import(address);
}"""


def add_delivered(service: Service, count: int) -> None:
    """Insert old delivered jobs."""
    one = StoredJob(status="delivered", code=None, created_at=now_ms(), sent_at=now_ms())
    with closing(sqlite_of(service)) as database:
        put_jobs(database, *[one] * count)


@pytest.fixture
def failed(paused_sandbox: Service) -> int:
    """The only failed job, which is outside the watched range."""
    one = StoredJob(status="failed", created_at=now_ms(), finished_at=now_ms())
    with closing(sqlite_of(paused_sandbox)) as database:
        (job,) = put_jobs(database, one)
    add_delivered(paused_sandbox, LARGEST_PAGE)
    return job


def retry_elsewhere(service: Service, open_profile: OpenProfile, job: int) -> None:
    """Retry a job in another browser."""
    other = open_profile(service.url).open(FAILED)
    row(other, job).get_by_role("button", name="Retry").click()
    expect(row(other, job)).to_have_count(0)


def test_filtered_list_follows_an_unwatched_job_and_keeps_the_input(
    paused_sandbox: Service, failed: int, open_profile: OpenProfile
) -> None:
    page = open_profile(paused_sandbox.url).open_live(FAILED)
    expect_delivery(page, failed, "failed")
    expect(page.get_by_role("button", name="Retry all still valid (1)")).to_be_visible()
    mark(page)
    search = page.get_by_role("searchbox", name="Search")
    search.fill("half a nu")
    retry_elsewhere(paused_sandbox, open_profile, failed)
    expect(row(page, failed)).to_have_count(0)
    expect(page.get_by_role("button", name="Retry all")).to_have_count(0)
    expect(page.locator("#no-jobs")).to_contain_text("No job matches")
    expect(search).to_have_value("half a nu")
    expect(search).to_be_focused()
    assert is_marked(page)


def test_deeper_page_and_open_drawer_follow_an_unwatched_job(
    paused_sandbox: Service, failed: int, open_profile: OpenProfile
) -> None:
    profile = open_profile(paused_sandbox.url)
    page = profile.open_live(f"/admin/status?before={failed + 1}")
    ask_for_code(paused_sandbox.url, "+201009990002")
    newer = page.get_by_role("link", name="1 newer job")
    expect(newer).to_be_visible()
    link = row(page, failed).get_by_role("link")
    link.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".head .st")).to_have_text("Failed")
    retry_elsewhere(paused_sandbox, open_profile, failed)
    expect(drawer.locator(".head .st")).to_have_text("Queued")
    expect_delivery(page, failed, "queued")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    expect(newer).to_be_visible()


def test_first_page_of_all_jobs_is_not_reloaded(
    paused_sandbox: Service, open_profile: OpenProfile
) -> None:
    add_delivered(paused_sandbox, LARGEST_PAGE)
    page = open_profile(paused_sandbox.url).open_live()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    job = ask_for_code(paused_sandbox.url, "+201009990001")["jobId"]
    expect_delivery(page, job, "queued")
    row(page, job).get_by_role("button", name="Cancel").click()
    expect_delivery(page, job, "canceled")
    lists = [url for url in asked if re.search(r"/admin/status(\?|$)", url)]
    assert len(lists) <= 1, "only the form's way back"


def test_total_grows_as_jobs_arrive_in_each_language(
    fresh_sandbox: Service, open_profile: OpenProfile
) -> None:
    words = {"en-GB": "Newest {} of {}", "ar-EG": "أحدث {} من {}"}
    pages = {one: open_profile(fresh_sandbox.url, locale=one).open_live() for one in words}
    for page in pages.values():
        expect(page.locator("#first-steps")).to_be_visible()
        expect(page.locator("#jobs")).to_have_count(0)
    for more, shown, total in ((1, 1, 1), (24, 25, 25), (2, 25, 27)):
        add_delivered(fresh_sandbox, more)
        for locale, page in pages.items():
            expect(page.locator("#jobs-total")).to_have_text(words[locale].format(shown, total))
    for page in pages.values():
        expect(page.locator("#older")).to_be_visible()


def told(page: Page, tab: str) -> list[tuple[Any, ...]]:
    """Return the messages that a tab received."""
    messages = page.evaluate(f"window.{tab}")
    return [
        (one["kind"], *(one[key] for key in ("name", "data") if key in one)) for one in messages
    ]


def test_late_tab_gets_the_streams_state_and_no_stale_messages(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    page = open_profile(sandbox.url).open("/admin/keys")
    script = page.locator('script[src$="/admin.js"]').get_attribute("src") or ""
    page.evaluate(PLAY, script.replace("admin.js", "live-worker.js"))
    page.evaluate("() => { window.first = openTab(); say('hello', ''); say('numbers', 'old'); }")
    page.evaluate("() => { window.second = openTab(); }")
    assert told(page, "second") == [("event", "numbers", "old")]
    page.evaluate("() => { say('error'); window.third = openTab(); }")
    assert told(page, "third") == [("lost",)]
    page.evaluate("() => { say('hello', ''); say('numbers', 'new'); window.fourth = openTab(); }")
    assert told(page, "fourth") == [("event", "numbers", "new")]
    page.evaluate("() => { say('end', ''); window.fifth = openTab(); }")
    assert told(page, "first")[-1] == ("ended",)
    assert told(page, "fifth") == []
