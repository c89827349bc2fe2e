"""Checks of a page's looks: axe-core, in both themes and from a phone's width to a monitor's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from playwright.sync_api import Page, expect

from support.browser import OpenProfile, Profile

PHONE_WIDTH = 360
USUAL_WIDTH = 1280
HEIGHT = 900
# Results that are not read would take most of axe-core's time.
EVERYTHING: Mapping[str, Any] = {
    "resultTypes": ["violations"],
    "preload": False,
    "iframes": False,
}
# A theme changes only colours, and a width mainly places; the narrow layout has its own colours.
COLOURS = {**EVERYTHING, "runOnly": ["color-contrast", "link-in-text-block"]}
PLACES = {**EVERYTHING, "runOnly": ["target-size", "scrollable-region-focusable"]}
BOTH = {**EVERYTHING, "runOnly": [*COLOURS["runOnly"], *PLACES["runOnly"]]}
RULES: Mapping[int, Mapping[Literal["light", "dark"], Mapping[str, Any]]] = {
    1440: {},
    1024: {"light": PLACES},
    PHONE_WIDTH: {"light": BOTH, "dark": COLOURS},
    USUAL_WIDTH: {"light": EVERYTHING, "dark": COLOURS},
}
AXE = """async (options) => {
  const { violations } = await axe.run(options);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) =>
    `${id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}"""
# The two frames let the charts follow the window. On a phone, a table may scroll in its frame.
FIT = """async (isPhone) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const faults = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`page: ${scrollWidth - clientWidth} px too wide`);
  for (const table of document.querySelectorAll(`.card table${isPhone ? ":not(.scroll *)" : ""}`)) {
    const over = table.getBoundingClientRect().width - table.closest(".card").clientWidth;
    if (over > 0) faults.push(`table "${table.caption?.textContent}": ${over} px too wide`);
  }
  const paints = (element) => getComputedStyle(element).backgroundColor !== "rgba(0, 0, 0, 0)";
  for (const card of document.querySelectorAll(".card")) {
    for (const atTop of [true, false]) {
      card.scrollIntoView({ block: atTop ? "start" : "end" });
      const { left, right, top, bottom, width } = card.getBoundingClientRect();
      for (const x of width ? [left + 1, right - 1] : []) {
        const found = document.elementsFromPoint(x, atTop ? top + 1 : bottom - 1);
        const over = found.find((one) => card.contains(one) && one !== card && paints(one));
        if (over) faults.push(`corner of "${card.className}": covered by ${over.outerHTML}`);
      }
    }
  }
  scrollTo(0, 0);
  return faults;
}"""


@dataclass(frozen=True)
class Sweep:
    """Checks pages in one language; `axe` is the source of axe-core."""

    language: str
    axe: str

    def assert_faultless(self, page: Page) -> None:
        """Assert that the page fits at every width, and that axe-core finds no violation."""
        expect(page.locator("html")).to_have_attribute("lang", self.language)
        page.evaluate(self.axe)
        faults = {}
        for width, rules in RULES.items():
            faults[f"{width} px"] = _misfits(page, width)
            for theme, rule in rules.items():
                page.emulate_media(color_scheme=theme)
                faults[f"{width} px, {theme}"] = page.evaluate(AXE, rule)
            page.emulate_media(color_scheme="light")
        _assert_none(faults)

    def open_profile(self, opener: OpenProfile, url: str, *, logged_in: bool = True) -> Profile:
        """Open a profile with that language."""
        return opener(url, logged_in=logged_in, locale=self.language)


def _misfits(page: Page, width: int) -> list[str]:
    """Give the page's window a width and return what does not fit."""
    is_phone = width == PHONE_WIDTH
    page.set_viewport_size({"width": width, "height": HEIGHT})
    session = page.context.new_cdp_session(page)
    # A touch screen enlarges the controls.
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
    session.detach()
    faults: list[str] = page.evaluate(FIT, is_phone)
    return faults


def _assert_none(faults: Mapping[str, list[str]]) -> None:
    listed = [f"{where}: {fault}" for where, found in faults.items() for fault in found]
    assert not listed, "\n".join(listed)
