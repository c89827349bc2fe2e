"""The download size of the status page, and its requests' origins."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import expect

from support.browser import STATUS, OpenProfile
from support.services import Service, ask_for_code

MOST_BYTES = 150_000


def test_status_page_stays_below_its_size_limit_and_loads_only_own_files(
    sandbox: Service, open_profile: OpenProfile
) -> None:
    for number in range(25):  # a full page of rows
        ask_for_code(sandbox.url, f"+2010088800{number:02}")
    profile = open_profile(sandbox.url)
    page = profile.context.new_page()
    network = profile.context.new_cdp_session(page)
    loaded: dict[str, float] = {}
    asked: list[str] = []

    def note_size(event: dict[str, Any]) -> None:
        loaded[event["requestId"]] = event["encodedDataLength"]

    network.on("Network.loadingFinished", note_size)
    network.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    network.send("Network.enable")
    page.goto(STATUS)
    expect(page.locator("#live")).to_contain_text("Live")
    expect(page.locator("#codes-chart canvas")).to_be_visible()
    # A worker loads the stream's script; its requests belong to no page.
    worker = page.evaluate("document.querySelector('script[src*=\"status.js\"]').src")
    total = sum(loaded.values())
    for name in ("live-worker.js", "stream.js"):
        total += len(profile.context.request.get(worker.replace("status.js", name)).body())
    assert total < MOST_BYTES
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(sandbox.url).netloc}


def test_second_visit_loads_no_asset_again(sandbox: Service, open_profile: OpenProfile) -> None:
    profile = open_profile(sandbox.url)
    profile.open_live().close()
    page = profile.context.new_page()
    page.goto(STATUS)
    expect(page.locator("#live")).to_contain_text("Live")
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').map((one) => [one.name, one.transferSize])"
    )
    assert [name for name, size in sizes if "/static/" in name and size > 0] == []
