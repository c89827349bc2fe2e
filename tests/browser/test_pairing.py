"""Link a phone from the page, which switches to connected by itself."""

import re

from playwright.sync_api import Locator, Page, expect

from hudhud.core.clock import HOUR_MS, now_ms
from support.browser import OpenProfile, card, expect_state, is_marked, mark, overflow, read_qr
from support.linked import LinkedService
from waemu.faults import Faults

QR_PATH = ".qr svg path"
COUNTDOWN = ".qr progress"
LAPTOP = {"width": 1280, "height": 650}


def wait_for_qr(page: Page) -> str:
    """Wait until the page shows a QR code, and decode it."""
    expect(page.locator(QR_PATH)).to_be_visible()
    return read_qr(page)


def wait_for_another_qr(page: Page, path: str | None) -> str:
    """Wait for another QR code than the one drawn by `path`."""
    expect(page.locator(QR_PATH)).not_to_have_attribute("d", path or "")
    return read_qr(page)


def test_new_installation_is_linked_and_tested_in_two_steps(
    unlinked: LinkedService, open_profile: OpenProfile
) -> None:
    page = open_profile(unlinked.service.url, viewport=LAPTOP).open_live()
    mark(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Two steps to the first code")
    scanned = wait_for_qr(page)
    assert bottom_of(page.locator("#first-steps .qr")) <= LAPTOP["height"]
    for absent in ("#numbers", "#traffic", "#jobs", "#trial"):
        expect(page.locator(absent)).to_have_count(0)
    on_a_phone(unlinked, open_profile)
    unlinked.emulator.scan(scanned, unlinked.account)
    expect_state(page, "connected")
    expect(card(page).locator(".state")).to_have_text("Connected")
    expect(card(page).locator(".qr")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ready for the first code")
    expect(page.locator("#first-steps .done")).to_contain_text("Link a phone")
    expect(page.locator("#first-steps [aria-current=step]")).to_contain_text("Send a test code")
    phone = unlinked.add_phone()
    page.get_by_label("Phone that gets the code").fill(phone)
    page.get_by_role("button", name="Send a test code").click()
    expect(page.locator("#trial .st.read")).to_be_visible()
    expect(page.locator("#jobs tbody tr")).to_have_attribute("data-delivery", "read")
    expect(page.locator("#numbers")).to_contain_text("delivered 1")
    assert success_rate(page) == "–"
    (message,) = unlinked.received(phone)
    code = re.findall(r"^\d{4}$", message.text, re.MULTILINE)[0]
    typed = page.get_by_label("The code that arrived")
    typed.fill("wrong")
    page.get_by_role("button", name="Check the code").click()
    expect(typed).to_have_accessible_description(re.compile("That is not the code"))
    page.get_by_label("The code that arrived").fill(code)
    page.get_by_role("button", name="Check the code").click()
    expect(page.locator("#notices")).to_contain_text("The code is right")
    expect(page.locator("#first-steps")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ready to send")
    assert success_rate(page) == "–"
    assert is_marked(page)
    page.goto("/admin/audit")
    expect(page.locator("[data-what=trial_sent]")).to_contain_text(f"{phone[:5]}*****{phone[-2:]}")


def on_a_phone(service: LinkedService, open_profile: OpenProfile) -> None:
    """Expect that a phone, which cannot scan its own screen, offers the code to type first."""
    page = open_profile(service.service.url, viewport={"width": 360, "height": 740}).open_live()
    tabs = page.locator(".pair-tabs a")
    by_phone, by_qr = tabs.filter(has_text="Phone number"), tabs.filter(has_text="QR code")
    expect(by_phone).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("Number of the phone")).to_be_visible()
    assert left_of(by_phone) < left_of(by_qr)
    assert overflow(page) == 0
    by_qr.click()
    expect(page.locator(QR_PATH)).to_be_visible()


def success_rate(page: Page) -> str:
    """Return the success rate of the last hour, as shown."""
    number = page.locator("#numbers div").filter(has=page.get_by_text("Success rate"))
    return number.locator("dd").first.inner_text()


def bottom_of(place: Locator) -> float:
    """Return how far below the top of the window a place ends, in pixels."""
    box = place.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def left_of(place: Locator) -> float:
    """Return how far from the left a place begins, in pixels."""
    box = place.bounding_box()
    assert box is not None
    return box["x"]


def test_entering_the_pairing_code_turns_the_card_to_connected(
    unlinked: LinkedService, open_profile: OpenProfile
) -> None:
    page = open_profile(unlinked.service.url).open_live()
    mark(page)
    wait_for_qr(page)
    page.get_by_role("link", name="Phone number", exact=True).click()
    expect(page.locator(".qr svg")).not_to_be_visible()
    page.get_by_label("Number of the phone").fill(unlinked.account)
    page.get_by_role("button", name="Get a code").click()
    code = card(page).locator(".paircode")
    expect(code).to_have_text(re.compile(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$"))
    unlinked.emulator.enter_code(unlinked.account, code.inner_text().replace("\n", ""))
    expect_state(page, "connected")
    expect(code).to_have_count(0)
    assert is_marked(page)


def test_invalid_number_is_refused_with_a_reason(
    never_linked: LinkedService, open_profile: OpenProfile
) -> None:
    profile = open_profile(never_linked.service.url)
    page = profile.open_live("/admin/status?pair=phone")
    field = page.get_by_label("Number of the phone")
    field.fill("0123")
    page.get_by_role("button", name="Get a code").click()
    expect(field).to_have_accessible_description(re.compile("not a phone number in internat"))
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#notices .note")).to_have_count(0)
    field.press_sequentially("4")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect_state(page, "pairing")
    profile.expect_complaints("status of 400")


def test_new_code_replaces_the_old_one_and_restarts_the_countdown(
    never_linked: LinkedService, open_profile: OpenProfile
) -> None:
    page = open_profile(never_linked.service.url).open_live()
    mark(page)
    first = wait_for_qr(page)
    path = page.locator(QR_PATH).get_attribute("d")
    until = int(page.locator(COUNTDOWN).get_attribute("data-until") or 0)
    never_linked.emulator.drop_pairings()  # as WhatsApp does when a QR code stays unscanned
    second = wait_for_another_qr(page, path)
    assert second != first
    assert int(page.locator(COUNTDOWN).get_attribute("data-until") or 0) > until
    assert is_marked(page)


def test_passkey_notice_replaces_the_code_until_a_new_code_comes(
    never_linked: LinkedService, open_profile: OpenProfile
) -> None:
    page = open_profile(never_linked.service.url).open_live()
    never_linked.emulator.set_faults(Faults(passkey="link"))
    never_linked.emulator.scan(wait_for_qr(page), never_linked.account)
    expect(card(page).get_by_role("alert")).to_contain_text("The phone asks for a passkey")
    expect(page.locator(".qr")).to_have_count(0)
    never_linked.emulator.reset_faults()
    wait_for_qr(page)
    expect(card(page).get_by_role("alert")).to_have_count(0)


def test_hint_appears_after_codes_were_shown_for_a_minute(
    never_linked: LinkedService, open_profile: OpenProfile
) -> None:
    never_linked.emulator.drop_pairings()  # a new offer of codes, which lasts 160 s
    never_linked.wait_for_qr(new=True)
    since = now_ms() + HOUR_MS  # the stopped clock shows no hint, even on a slow machine
    never_linked.show_code_since(since)
    page = open_profile(never_linked.service.url).open_live()
    mark(page)
    hint = page.get_by_text("Scanned, and nothing happened?")
    age = card(page).locator("header [data-since]")
    set_clock(page, since + 58_000)
    expect(age).to_have_text("58 s")
    expect(hint).not_to_be_visible()
    set_clock(page, since + 61_000)
    expect(hint).to_be_visible()
    assert is_marked(page)


def set_clock(page: Page, at: int) -> None:
    """Stop the page's clock at a moment.

    Half a second allows for its offset from the server's clock.
    """
    page.clock.set_fixed_time((at + 500) / 1000)
