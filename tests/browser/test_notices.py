"""Notices: in sight, gone after a while if all went well, and closed by a button."""

import pytest
from playwright.sync_api import Page, expect

from support.browser import OpenProfile, Profile, expect_delivery, row
from support.services import Service, ask_for_code

# Holds what the page does after ten seconds, the life of a notice, until `end` does it.
HOLD = """
window.held = new Map();
const { setTimeout, clearTimeout } = window;
window.setTimeout = (work, wait, ...rest) => {
  if (wait !== 10_000) return setTimeout(work, wait, ...rest);
  const id = setTimeout(() => {}, 0);
  held.set(id, work);
  return id;
};
window.clearTimeout = (id) => {
  held.delete(id);
  clearTimeout(id);
};
"""


@pytest.fixture
def job(paused_sandbox: Service) -> int:
    """A waiting job."""
    number: int = ask_for_code(paused_sandbox.url, "+201001234567")["jobId"]
    return number


@pytest.fixture
def profile(paused_sandbox: Service, open_profile: OpenProfile) -> Profile:
    """A browser with a low window, so that jobs are far below the top of the page."""
    opened = open_profile(paused_sandbox.url, viewport={"width": 1280, "height": 400})
    opened.context.add_init_script(HOLD)
    return opened


def is_leaving(page: Page) -> bool:
    """Return whether a notice is about to leave."""
    return bool(page.evaluate("held.size > 0"))


def test_success_leaves_after_a_while_unless_the_pointer_or_the_focus_is_on_it(
    profile: Profile, job: int
) -> None:
    page = profile.open()
    row(page, job).get_by_role("button", name="Cancel").click()
    note = page.locator("#notices .note")
    expect(note).to_contain_text(f"Job {job} has been canceled.")
    expect(note).to_be_in_viewport()
    note.hover()
    assert not is_leaving(page)
    page.mouse.move(0, 0)
    assert is_leaving(page)
    note.get_by_role("button", name="Close").focus()
    assert not is_leaving(page)
    note.get_by_role("button", name="Close").blur()
    assert is_leaving(page)
    page.evaluate("for (const work of held.values()) work()")
    expect(note).to_have_count(0)


def test_failure_stays_until_it_is_closed_and_the_focus_returns(profile: Profile, job: int) -> None:
    page = profile.open_live()
    page.route("**/admin/jobs/cancel/*", lambda route: route.abort())
    button = row(page, job).get_by_role("button", name="Cancel")
    button.press("Enter")
    note = page.locator("#notices .note")
    expect(note).to_have_text("The server did not respond. Try again.")
    expect(note).to_be_in_viewport()
    assert not is_leaving(page)
    note.get_by_role("button", name="Close").press("Enter")
    expect(note).to_have_count(0)
    expect(button).to_be_focused()
    expect_delivery(page, job, "queued")
    profile.expect_complaints("ERR_FAILED|Failed to fetch")
