"""Sender actions: the page confirms each, then shows its result."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.browser import (
    OpenProfile,
    card,
    expect_delivery,
    expect_state,
    is_marked,
    mark,
    read_qr,
)
from support.linked import LinkedService
from waemu.faults import Faults

LOGOUT = "Logout WA & new scan"


@pytest.fixture
def page(linked: LinkedService, open_profile: OpenProfile) -> Page:
    """The status page of a connected sender."""
    opened = open_profile(linked.service.url).open_live()
    mark(opened)
    return opened


def test_paused_sender_keeps_codes_until_it_resumes(linked: LinkedService, page: Page) -> None:
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator("#notices")).to_contain_text("Sender main is paused.")
    expect_state(page, "paused")
    job = linked.send(linked.add_phone())["jobId"]
    expect_delivery(page, job, "queued")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sending is paused")
    card(page).get_by_role("button", name="Resume sending").click()
    expect(page.locator("#notices")).to_contain_text("Sender main is sending again.")
    expect_state(page, "connected")
    expect_delivery(page, job, "read")
    assert is_marked(page)


def test_reload_is_confirmed_and_reports_its_duration(linked: LinkedService, page: Page) -> None:
    process = linked.service.wait_for_sender().pid
    page.get_by_role("button", name="Reload session").click()
    expect(page.locator("#notices")).to_contain_text("Sender main is reloading.")
    expect(card(page).locator("output")).to_have_text(
        re.compile(r"Session reloaded: back after [\d.]+ s\.")
    )
    expect_state(page, "connected")
    assert linked.service.wait_for_sender().pid != process
    assert is_marked(page)


def test_logout_asks_for_confirmation_and_cancel_keeps_the_session(
    linked: LinkedService, page: Page
) -> None:
    device = linked.sender().device
    link = page.get_by_role("link", name=LOGOUT)
    link.click()
    dialog = page.get_by_role("dialog")
    keep = dialog.get_by_role("link", name="Keep the session")
    expect(keep).to_be_focused()
    keep.press("Enter")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()
    link.press("Enter")
    expect(keep).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert linked.sender().device == device
    assert is_marked(page)


def test_another_phone_links_by_the_new_code_after_a_logout(
    linked: LinkedService, page: Page
) -> None:
    device = linked.sender().device
    page.get_by_role("link", name=LOGOUT).click()
    page.get_by_role("dialog").get_by_role("button", name=LOGOUT).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#notices")).to_contain_text("Sender main is logging out")
    expect(page.locator(".qr svg")).to_be_visible()
    expect(card(page).locator("output")).to_have_text(
        re.compile(r"Logged out: ready for a new scan after [\d.]+ s\.")
    )
    assert device not in linked.devices_on_the_phone()
    linked.emulator.scan(read_qr(page), linked.account)
    expect_state(page, "connected")
    assert linked.sender().device != device
    assert is_marked(page)


def test_logout_by_the_phone_stays_the_reason_until_it_is_linked_again(
    linked: LinkedService, page: Page
) -> None:
    job = linked.send(linked.add_phone())["jobId"]
    expect_delivery(page, job, "read")
    page.get_by_role("button", name="Reload session").click()
    expect(card(page).locator("output")).to_contain_text("Session reloaded")
    linked.make_ready()
    linked.emulator.unlink(linked.account)
    expect(page.locator(".qr svg")).to_be_visible()
    expect(card(page).locator("output")).to_have_count(0)
    expect_lost_phone(page)
    linked.reload()
    linked.wait_for_qr()
    page.reload()
    expect_lost_phone(page)
    linked.link()
    expect_state(page, "connected")
    expect(card(page).locator(".note.bad")).to_have_count(0)


def expect_lost_phone(page: Page) -> None:
    reason = re.compile(r"Your phone logged main out at \d\d:\d\d")
    expect_state(page, "pairing")
    expect(page.locator("#verdict .bad")).to_contain_text(reason)
    expect(card(page).locator(".note.bad")).to_contain_text(re.compile(r"Logged out at \d\d:\d\d"))
    expect(page.get_by_role("heading", level=1)).to_have_text("No codes are going out")


def test_refused_send_is_reported_until_one_is_sent(linked: LinkedService, page: Page) -> None:
    linked.emulator.set_faults(Faults(ack_error="463"))
    job = linked.send(linked.add_phone())["jobId"]
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Codes are being refused")
    expect_delivery(page, job, "queued")
    expect(page.locator("#verdict")).to_contain_text("(error 463)")
    linked.emulator.reset_faults()
    expect_delivery(page, linked.send(linked.add_phone())["jobId"], "read")
    expect(heading).not_to_have_text("Codes are being refused")
