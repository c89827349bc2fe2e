"""Measure when a browser with an empty cache first shows the dashboard, and what it loads."""

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.service import Service, free_port

PROFILES = 7
ROWS = 25
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAINT = """() => new Promise((done) => {
  new PerformanceObserver((list) => {
    const found = list.getEntriesByName("first-contentful-paint");
    if (found.length) done(found[0].startTime);
  }).observe({ type: "paint", buffered: true });
})"""


def first_paint(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Measure the first contentful paint in fresh profiles, and the bytes loaded."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with Service(folder, free_port(), {"CHANNEL": "sandbox"}) as service, sync_playwright() as web:
        for number in range(ROWS):
            body = {"phoneNumber": f"+2010088800{number:02}"}
            httpx.post(service.url, json=body, headers={"X-API-KEY": service.key})
        browser = web.chromium.launch(executable_path=program, args=FLAGS)
        for name, path in (("login page", "/admin/login"), ("status page", "/admin/status")):
            paints, sizes = zip(
                *(_visit(browser, service, path) for _ in range(PROFILES)), strict=True
            )
            yield (
                f"first contentful paint, {name}",
                f"{statistics.median(paints):.0f} ms",
                "≤ 300 ms",
            )
            yield f"bytes loaded, {name}", f"{max(sizes) / 1000:.0f} kB", "≤ 150 kB"
        browser.close()


def _visit(browser: Browser, service: Service, path: str) -> tuple[float, float]:
    """Return the milliseconds to the first paint, and the bytes loaded until the page is quiet."""
    context = browser.new_context(base_url=service.origin)
    password = service.environment["ADMIN_PASSWORD"]
    if path != "/admin/login":
        answer = context.request.post(
            "/admin/login", data={"username": "admin", "password": password}
        )
        assert answer.ok, answer.text()  # noqa: S101 -- a measurement of an error page misleads
    size, paint = _load(context, path)
    context.close()
    return paint, size


def _load(context: BrowserContext, path: str) -> tuple[float, float]:
    page = context.new_page()
    network = context.new_cdp_session(page)
    loaded: list[float] = []

    def note(event: dict[str, Any]) -> None:
        loaded.append(event["encodedDataLength"])

    network.on("Network.loadingFinished", note)
    network.send("Network.enable")
    page.goto(path)
    paint = float(page.evaluate(PAINT))
    page.wait_for_timeout(500)
    return sum(loaded), paint
