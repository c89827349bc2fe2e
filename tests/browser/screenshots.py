"""Take the README's pictures of the dashboard: `python -m browser.screenshots FOLDER`.

Each picture shows a real service in a real browser. The senders are linked to the emulated
WhatsApp; some codes are really sent, and a day of statistics is inserted. No number belongs to a
person: the British ones are reserved for drama, the others belong to virtual phones.
"""

import math
import random
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, expect
from sqlalchemy import Connection, insert

from hudhud.core.clock import HOUR_MS, MINUTE_MS, now_ms
from hudhud.db.tables import messages, sender_states, senders
from hudhud.messages import counters
from support.admin import LOGIN, PASSWORD
from support.browser import Profile, expect_state, row, running_chromium
from support.linked import PLAIN, SENDER, LinkedService
from waemu.client import EmulatorProcess
from waemu.faults import Faults

LARGEST_BYTES = 200_000
PHONE_WIDTH = {"width": 360, "height": 800}
WINDOW = {"width": 1280, "height": 1150}
MIDDLE_WINDOW: ViewportSize = {"width": 1280, "height": 900}
SMALL_WINDOW: ViewportSize = {"width": 1280, "height": 640}
NUMBERS = [
    *(f"+2010000{number}" for number in (10234, 11873, 20416, 31507, 42088, 57719, 68143)),
    *(f"+96650000{number}" for number in (1276, 2931, 4418, 6057, 8324)),
    *(f"+447700900{number}" for number in (118, 342, 506, 871)),
]
RETRIED = "+447700900342"
NOBODY = "+96650000" + "9999"
ACCOUNT = "+201000099999"
CODES_BEFORE, CODES_AFTER = 20, 8
ANSWER_SECONDS = 1.6
Shoot = Callable[[Page, str], None]


def shoot_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def shoot(page: Page, name: str) -> None:
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement?.blur()")
        file = folder / f"{name}.png"
        page.screenshot(path=file, animations="disabled")
        assert file.stat().st_size < LARGEST_BYTES, f"{file} is too large to be committed"

    with (
        TemporaryDirectory() as work,
        EmulatorProcess(Path(work), log=Path(work) / "emulator.log") as emulator,
        running_chromium() as browser,
    ):
        emulator.set_receipts("delivered+read", delay=ANSWER_SECONDS)
        for number in (ACCOUNT, *NUMBERS):
            emulator.add_phone(number)
        service = LinkedService(
            Path(work) / "service",
            emulator,
            PLAIN,
            ADMIN_PASSWORD=PASSWORD,
            BRAND_NAME="Acme",
            WORKER_MIN_SEND_DELAY_MS="500",
            WORKER_MAX_SEND_DELAY_MS="1500",
        )
        service.account = ACCOUNT
        try:
            service.start()
            shoot_before_the_link(browser, service, shoot)
            service.link()
            send_codes(service)
            put_a_day(service)
            shoot_traffic(browser, service, shoot)
        finally:
            service.clean_up()


def open_profile(browser: Browser, service: LinkedService, **options: Any) -> Profile:
    """Open a profile of a browser in Cairo."""
    chosen = {"viewport": WINDOW, "timezone_id": "Africa/Cairo", "color_scheme": "light"}
    return Profile(browser, service.service.url, **{**chosen, **options})


def log_in(profile: Profile) -> None:
    """Log in once the login page has sent the browser's time zone."""
    profile.open(LOGIN).close()
    profile.log_in()


def shoot_before_the_link(browser: Browser, service: LinkedService, shoot: Shoot) -> None:
    profile = open_profile(browser, service)
    page = profile.open(LOGIN)
    page.set_viewport_size(SMALL_WINDOW)
    shoot(page, "login")
    profile.log_in()
    service.wait_for_qr()
    page = profile.open_live()
    expect(page.locator(".qr svg")).to_be_visible()
    shoot(page, "qr")
    profile.close()


def shoot_traffic(browser: Browser, service: LinkedService, shoot: Shoot) -> None:
    looks: dict[str, dict[str, Any]] = {
        "connected": {},
        "dark": {"color_scheme": "dark"},
        "arabic": {"locale": "ar-EG"},
        "phone": {"viewport": PHONE_WIDTH, "has_touch": True},
    }
    for name, options in looks.items():
        profile = open_profile(browser, service, **options)
        log_in(profile)
        page = profile.open_live() if name != "arabic" else profile.open()
        expect_state(page, "connected")
        expect(page.locator("#codes-chart canvas")).to_be_visible()
        shoot(page, name)
        if name == "connected":
            shoot_job(page, service, shoot)
        profile.close()


def shoot_job(page: Page, service: LinkedService, shoot: Shoot) -> None:
    with service.database.read() as connection:
        job = connection.scalar(
            messages.select().with_only_columns(messages.c.id).where(messages.c.phone == RETRIED)
        )
    assert job is not None
    page.set_viewport_size(MIDDLE_WINDOW)
    row(page, job).get_by_role("link").click()
    expect(page.get_by_role("dialog").locator("[data-step=read]")).to_be_visible()
    shoot(page, "timeline")


def send_codes(service: LinkedService) -> None:
    """Send codes: one is refused first, one number lacks WhatsApp."""
    service.emulator.set_faults(Faults(ack_error="479", ack_error_for=[RETRIED], ack_error_count=1))
    chosen = random.Random(7)  # noqa: S311 -- the same pictures each time
    others = [number for number in NUMBERS if number != RETRIED]
    asked = [
        *chosen.choices(others, k=CODES_BEFORE),
        RETRIED,
        NOBODY,
        *chosen.choices(others, k=CODES_AFTER),
    ]
    for number in asked:
        job = service.send(number)["jobId"]
        service.wait_for_delivery(job, "sent", "delivered", "read", "failed")
    service.wait_for_delivery(job, "read")


def put_a_day(service: LinkedService) -> None:
    """Insert a day of statistics and a temporary outage of a sender."""
    chosen = random.Random(7)  # noqa: S311 -- the same pictures each time
    now = now_ms()
    with service.database.write() as connection:
        for minute in range(24 * 60, 0, -5):
            at = now - minute * MINUTE_MS
            count = round(demand(at) * chosen.uniform(0.8, 1.2))
            lost = sum(chosen.random() < 0.02 for _ in range(count))
            arrived = count - lost
            times = [round(chosen.lognormvariate(7.5, 0.5)) for _ in range(arrived)]
            counters.add(
                connection,
                now=at,
                moved={"read": arrived, "failed": lost},
                happened={
                    "accepted": count,
                    "sent": arrived,
                    "delivered": arrived,
                    "read": round(arrived * 0.9),
                    "failed": lost,
                },
                delivered_after=times,
            )
        put_states(connection, now)


def demand(at: int) -> float:
    """Return the codes requested per five minutes, most in the evening."""
    hour = at / HOUR_MS % 24
    return 14 + 12 * math.cos((hour - 18) / 24 * 2 * math.pi)


def put_states(connection: Connection, now: int) -> None:
    since = now - 26 * HOUR_MS
    away = now - 7 * HOUR_MS
    states = [
        ("connected", since),
        ("reconnecting", away),
        ("connected", away + 20 * MINUTE_MS),
    ]
    connection.execute(sender_states.delete())
    connection.execute(
        insert(sender_states),
        [{"sender": SENDER, "state": state, "at": at} for state, at in states],
    )
    connection.execute(
        senders.update().where(senders.c.name == SENDER).values(state_since=states[-1][1])
    )


if __name__ == "__main__":
    shoot_all(Path(sys.argv[1]))
