"""The system's Chromium, in fresh profiles."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zxingcpp
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    WebError,
    expect,
    sync_playwright,
)

from support.admin import LOGIN, PASSWORD, USERNAME

STATUS = "/admin/status"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # it refuses to run as root with a sandbox
    "--disable-gpu",  # there is none, and emulating one is slower than none
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000
AS_USUAL = {
    "viewport": {"width": 1280, "height": 900},
    "locale": "en-GB",
    "reduced_motion": "reduce",
}


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run the system's Chromium without a window."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program, "the tests need a browser: apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Profile:
    """A browser profile that collects the errors of its pages."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{**AS_USUAL, "base_url": url, **options})
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.on("console", self._note_message)
        self.context.on("weberror", self._note_error)
        self.complaints: list[str] = []

    def log_in(self) -> None:
        answer = self.context.request.post(LOGIN, data={"username": USERNAME, "password": PASSWORD})
        assert answer.ok, answer.text()

    def open(self, path: str = STATUS) -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page

    def open_live(self, path: str = STATUS) -> Page:
        """Open the status page and wait for its stream."""
        page = self.open(path)
        sign = page.locator("#live")
        expect(sign).to_contain_text(sign.get_attribute("data-live") or "Live")
        return page

    def expect_complaints(self, pattern: str) -> None:
        """Discard errors that the test caused on purpose."""
        self.complaints = [one for one in self.complaints if not re.search(pattern, one)]

    def close(self) -> None:
        self.context.close()

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location})")

    def _note_error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))


OpenProfile = Callable[..., Profile]


def read_qr(page: Page) -> str:
    """Decode the QR code on a page from its pixels."""
    picture = page.locator(".qr svg").screenshot()
    with Image.open(io.BytesIO(picture)) as image:
        barcode = zxingcpp.read_barcode(image.convert("L"))
    assert barcode is not None, "no QR code can be read on the page"
    return barcode.text


def mark(page: Page) -> None:
    """Leave a mark that a reload would remove."""
    page.evaluate("window.markOfTheTest = true")


def is_marked(page: Page) -> bool:
    """Return whether the page has not been reloaded since `mark`."""
    return bool(page.evaluate("window.markOfTheTest === true"))


def row(page: Page, job: int) -> Locator:
    """Return the job's row in the list."""
    return page.locator(f"#job-{job}")


def expect_delivery(page: Page, job: int, word: str) -> None:
    """Wait until the job's row shows this exact status."""
    expect(row(page, job)).to_have_attribute("data-delivery", word)


def card(page: Page) -> Locator:
    """Return the card of the only sender."""
    return page.locator("article.sender")


def expect_state(page: Page, state: str) -> None:
    """Wait until the sender's card shows this state."""
    expect(card(page)).to_have_attribute("data-state", state)


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    width: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width
