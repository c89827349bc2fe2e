"""The keys page: create, rotate and revoke, also without scripts."""

import secrets

import httpx
import pytest
from playwright.sync_api import Page, expect

from support.browser import OpenProfile, overflow
from support.services import HTTP, Service, wait_until

KEYS = "/admin/keys"
PHONE = {"width": 360, "height": 740}


def shown(page: Page) -> str:
    """Return the secret on the page."""
    return page.locator("#new-key").inner_text()


def works(service: Service, key: str) -> bool:
    """Return whether the API accepts the key."""
    answer = HTTP.get(f"{service.url}/api/v1/otp", headers={"X-API-KEY": key})
    return answer.status_code == httpx.codes.OK


@pytest.mark.parametrize("scripts", [True, False])
def test_key_is_created_rotated_and_revoked(
    sandbox: Service, open_profile: OpenProfile, *, scripts: bool
) -> None:
    name = f"shop {secrets.token_hex(4)}"
    page = open_profile(sandbox.url, java_script_enabled=scripts).open(KEYS)
    page.locator("#key-name").fill(name)
    page.get_by_role("button", name="Create key").click()
    first = shown(page)
    wait_until(lambda: works(sandbox, first), 20, "the key to work")
    rows = page.get_by_role("row").filter(has_text=name)
    rows.get_by_text("Rotate").click()
    rows.get_by_label("Current secret").select_option("ends at once")
    rows.get_by_role("button", name="Create a new secret").click()
    second = shown(page)
    wait_until(lambda: works(sandbox, second), 20, "the new secret to work")
    wait_until(lambda: not works(sandbox, first), 20, "the earlier secret to end")
    page.goto(KEYS)
    expect(page.locator("#new-key")).to_have_count(0)
    rows.get_by_text("Revoke").first.click()
    rows.get_by_role("button", name="Yes, revoke").click()
    expect(page.get_by_text(f"Key {name} is revoked.")).to_be_visible()
    wait_until(lambda: not works(sandbox, second), 20, "the revoked key to end")


@pytest.mark.parametrize("language", ["en-GB", "ar-EG"])
def test_confirmations_of_a_row_fit_a_phone(
    sandbox: Service, open_profile: OpenProfile, language: str
) -> None:
    profile = open_profile(sandbox.url, viewport=PHONE, has_touch=True, locale=language)
    page = profile.open(KEYS)
    page.locator("#key-name").fill(f"phone {secrets.token_hex(4)}")
    page.locator("#new-key-form button").click()
    expect(page.locator("#made-key")).to_be_visible()
    for question in page.locator("details.ask").all()[-2:]:
        question.locator("summary").click()
        box = question.locator("form").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert overflow(page) == 0
