"""Languages, themes, dialogs on a phone, the keyboard, and a browser without scripts."""

import colorsys
import re

import pytest
from playwright.sync_api import Page, expect

from support.browser import (
    STATUS,
    OpenProfile,
    card,
    expect_delivery,
    expect_state,
    overflow,
    row,
)
from support.linked import LinkedService
from support.services import Service, ask_for_code

PHONE = {"width": 360, "height": 740}
COLOURS = """names => Object.fromEntries(names.map((name) => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return [name, color];
}))"""


def background(page: Page) -> str:
    """Return the page's background colour."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def choose_theme(page: Page, name: str) -> None:
    """Choose a theme, and wait until the server has stored it."""
    open_menu(page)
    with page.expect_response("**/admin/theme"):
        page.get_by_role("button", name=name).click()


def open_menu(page: Page) -> None:
    """Open the menu of language and theme."""
    page.locator(".menu summary").click()


@pytest.fixture
def job(sandbox: Service) -> int:
    """A failed job, which has the longest kind of row."""
    number: int = ask_for_code(sandbox.url, "+447700900001")["jobId"]
    return number


def test_drawer_menu_and_confirmation_fit_a_phone(
    linked: LinkedService, open_profile: OpenProfile
) -> None:
    job = linked.send(linked.add_phone())["jobId"]
    page = open_profile(linked.service.url, viewport=PHONE, has_touch=True).open_live()
    row(page, job).get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert overflow(page) == 0
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Logout WA & new scan").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert overflow(page) == 0
    page.keyboard.press("Escape")
    open_menu(page)
    box = page.locator(".menu > div").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]


def test_arabic_follows_the_browser_and_can_be_switched(
    sandbox: Service, open_profile: OpenProfile, job: int
) -> None:
    page = open_profile(sandbox.url, locale="ar-EG").open()
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "ar")
    expect(html).to_have_attribute("dir", "rtl")
    assert overflow(page) == 0
    expect_delivery(page, job, "failed")
    phone = row(page, job).locator("bdi").first
    expect(phone).to_have_text("+44 7700 900001")
    expect(phone).to_have_attribute("dir", "ltr")
    assert not re.search("[\u0660-\u0669]", page.locator("body").inner_text())
    open_menu(page)
    page.get_by_role("link", name="English").click()
    expect(html).to_have_attribute("lang", "en")
    page.goto("/admin/keys")
    expect(html).to_have_attribute("dir", "ltr")


def test_theme_follows_the_system_until_one_is_chosen(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    page = open_profile(sandbox.url, color_scheme="dark").open()
    dark = background(page)
    page.emulate_media(color_scheme="light")
    light = background(page)
    assert dark != light
    choose_theme(page, "Dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert background(page) == dark
    page.reload()
    assert background(page) == dark
    choose_theme(page, "System")
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
    assert background(page) == light


def test_job_numbers_look_like_text_and_danger_is_far_from_the_brand(
    sandbox: Service, open_profile: OpenProfile, job: int
) -> None:
    page = open_profile(sandbox.url).open()
    link = row(page, job).get_by_role("link")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        colours = page.evaluate(COLOURS, ["--ink", "--accent", "--failed"])
        expect(link).to_have_css("color", colours["--ink"])
        brand, danger = (hue(colours[name]) for name in ("--accent", "--failed"))
        assert (brand - danger) % 1 > 0.09  # a tenth of the colour circle


def hue(colour: str) -> float:
    """Return the place of a colour, such as `rgb(1, 2, 3)`, on the circle: 0 (red) to 1."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour))
    return colorsys.rgb_to_hsv(red, green, blue)[0]


def test_page_works_by_keyboard_alone(sandbox: Service, open_profile: OpenProfile) -> None:
    page = open_profile(sandbox.url).open_live()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('main'))")


# Without scripts


def test_without_scripts_the_page_shows_the_state_and_filters_by_form(
    sandbox: Service, open_profile: OpenProfile, job: int
) -> None:
    page = open_profile(sandbox.url, java_script_enabled=False).open()
    expect(page.locator("noscript p")).to_contain_text("reload it to see what changed")
    expect(card(page).locator(".state")).to_have_text("Connected")
    traffic = page.get_by_role("region", name="Traffic as a table")
    expect(traffic.get_by_role("row").last).to_be_visible()
    page.get_by_role("combobox", name="Delivery").select_option("failed")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("filterDelivery=failed"))
    expect_delivery(page, job, "failed")
    row(page, job).get_by_role("link").click()
    expect(page).to_have_title(f"Job {job} · Hudhud")


def test_without_scripts_jobs_and_senders_are_managed_by_forms(
    linked: LinkedService, open_profile: OpenProfile
) -> None:
    number = linked.add_phone()
    page = open_profile(linked.service.url, java_script_enabled=False).open()
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator("#notices")).to_contain_text("Sender main is paused.")
    expect_state(page, "paused")
    job = linked.send(number)["jobId"]
    page.reload()
    row(page, job).get_by_role("button", name="Cancel").click()
    expect(page.locator("#notices")).to_contain_text(f"Job {job} has been canceled.")
    expect_delivery(page, job, "canceled")
    card(page).get_by_role("button", name="Resume sending").click()
    expect_state(page, "connected")
    page.get_by_role("button", name="Reload session").click()
    expect(page.locator("#notices")).to_contain_text("Sender main is reloading.")
    linked.make_ready()


def test_without_scripts_a_page_confirms_the_logout_and_a_number_links_again(
    linked: LinkedService, open_profile: OpenProfile
) -> None:
    page = open_profile(linked.service.url, java_script_enabled=False).open()
    page.get_by_role("link", name="Logout WA & new scan").click()
    expect(page).to_have_url(re.compile("/admin/whatsapp/logout-session"))
    expect(page.get_by_role("link", name="Keep the session")).to_be_focused()
    page.get_by_role("link", name="Keep the session").click()
    expect_state(page, "connected")
    page.get_by_role("link", name="Logout WA & new scan").click()
    page.get_by_role("button", name="Logout WA & new scan").click()
    expect(page.locator("#notices")).to_contain_text("a new QR code follows")
    linked.wait_for_qr()
    page.goto(f"{STATUS}?pair=phone")
    page.get_by_label("Number of the phone").fill(linked.account)
    page.get_by_role("button", name="Get a code").click()
    linked.wait(lambda: linked.sender().pair_code is not None, "the code")
    page.reload()
    code = page.locator(".paircode").inner_text().replace("\n", "")
    linked.emulator.enter_code(linked.account, code)
    linked.wait(lambda: linked.sender().state == "connected", "the link")
    page.reload()
    expect_state(page, "connected")
