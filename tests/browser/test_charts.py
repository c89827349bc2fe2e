"""The charts: values under the pointer, points, failures, and the current period."""

from contextlib import closing

import pytest
from playwright.sync_api import Locator, Page, expect

from hudhud.core.clock import HOUR_MS, now_ms
from hudhud.messages import counters
from support.browser import STATUS, OpenProfile
from support.services import Service, ask_for_code, sqlite_of

HOURS = 24
NOW = HOURS - 1
ACCEPTED, FAILED = 5000, 60
# The rows of a period's pixels that have a colour of the stylesheet, or any colour.
ROWS = """(canvas, [place, tone]) => {
  const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = canvas.parentElement.children[2];
  const width = offsetWidth / 24;
  const area = [offsetLeft + place * width, offsetTop, width, offsetHeight];
  const { data } = canvas.getContext("2d").getImageData(...area.map(Math.round));
  canvas.style.color = tone ? `var(${tone})` : "";
  const wanted = getComputedStyle(canvas).color.match(/\\d+/g).map(Number);
  const rows = new Set();
  for (let at = 0; at < data.length; at += 4) {
    const isWanted = tone ? wanted.every((part, one) => part === data[at + one]) : data[at + 3];
    if (isWanted) rows.add(Math.floor(at / 4 / Math.round(width)));
  }
  return rows.size;
}"""


@pytest.fixture(scope="session")
def busy(sandbox: Service) -> Service:
    """The service with much traffic six hours ago, when no other test counts anything."""
    ask_for_code(sandbox.url, "+201001234567")  # a fresh installation has no charts
    with closing(sqlite_of(sandbox)) as database, database.write() as connection:
        counters.add(
            connection,
            now=now_ms() - 6 * HOUR_MS,
            moved={},
            happened={"accepted": ACCEPTED, "sent": 4940, "delivered": 4930, "failed": FAILED},
            delivered_after=[2000] * 9 + [7000],
        )
    return sandbox


@pytest.fixture
def page(busy: Service, open_profile: OpenProfile) -> Page:
    """The status page with that hour in its charts."""
    opened = open_profile(busy.url).open(f"{STATUS}?range=day")
    expect(opened.locator("#codes-chart canvas")).to_be_visible()
    return opened


def hover(page: Page, chart: str, place: int) -> None:
    """Move the pointer to a period of a chart."""
    box = page.locator(f"#{chart}-chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * (place + 0.5) / HOURS, box["y"] + 5)


def shown(page: Page, chart: str) -> dict[str, str]:
    """Return the words beside the pointer: the time, and each line's value."""
    tip = page.locator(f"#{chart}-chart .tip")
    expect(tip).to_be_visible()
    lines = dict(line.inner_text().split() for line in tip.locator("li").all())
    return {"time": tip.locator("p").inner_text(), **lines}


def listed(page: Page, place: int) -> dict[str, str]:
    """Return the row of the table for a period."""
    cells = page.locator("#traffic-table tbody tr").nth(place).locator("th, td").all_text_contents()
    names = ["time", "accepted", "sent", "delivered", "failed", "median", "p95"]
    return dict(zip(names, cells, strict=True))


def busy_hour(page: Page) -> int:
    """Return the place of the hour of much traffic."""
    accepted = page.locator("#traffic-table tbody td:nth-child(2)").all_text_contents()
    return accepted.index(f"{ACCEPTED:,}")


def rows(page: Page, chart: str, place: int, tone: str = "") -> int:
    """Return how many rows of a period's pixels have a colour."""
    found: int = page.locator(f"#{chart}-chart canvas").evaluate(ROWS, [place, tone])
    return found


def height(canvas: Locator) -> float:
    box = canvas.bounding_box()
    assert box is not None
    return box["height"]


def test_pointer_shows_the_values_of_the_table_in_both_charts_and_moves_nothing(
    page: Page,
) -> None:
    chart = page.locator("#codes-chart")
    before = chart.bounding_box()
    place = busy_hour(page)
    hover(page, "codes", place)
    row = listed(page, place)
    assert row["failed"] == str(FAILED)
    codes = {name: row[name] for name in ("time", "accepted", "sent", "delivered", "failed")}
    assert shown(page, "codes") == codes
    assert shown(page, "times") == {name: row[name] for name in ("time", "median", "p95")}
    assert chart.bounding_box() == before
    assert page.locator(".u-cursor-x:visible").count() == 3
    assert page.locator(".u-cursor-y").count() == 0
    hover(page, "times", NOW)
    assert shown(page, "codes")["time"] == shown(page, "times")["time"] == listed(page, NOW)["time"]
    assert listed(page, NOW)["time"].endswith(", so far")
    page.mouse.move(0, 0)
    expect(page.locator(".tip:visible")).to_have_count(0)


def test_legend_has_the_totals_of_the_table(page: Page) -> None:
    every = [listed(page, place) for place in range(HOURS)]
    for name in ("accepted", "sent", "delivered", "failed"):
        total = sum(int(row[name].replace(",", "")) for row in every)
        words = page.locator(f"figure > .key [data-line={name}], figcaption [data-line={name}]")
        expect(words).to_have_text(f"{name} {total:,}")


def test_lone_value_is_a_point_failures_have_a_scale_and_the_current_hour_is_hatched(
    page: Page,
) -> None:
    place = busy_hour(page)
    assert listed(page, place - 1)["median"] == listed(page, place + 1)["median"] == "–"
    assert 3 <= rows(page, "times", place, "--delivered") <= 8
    assert rows(page, "times", place - 1, "--delivered") == 0
    strip = page.locator("#failures-chart canvas")
    assert rows(page, "failures", place, "--failed") > height(strip) / 2
    assert rows(page, "codes", place, "--failed") == 0
    assert rows(page, "codes", NOW) > 5 * rows(page, "codes", place - 3)
