"""Shared by the browser tests: Chromium, services and logged-in profiles."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from hudhud.auth import login_attempts, second_factor
from hudhud.core.clock import now_ms
from hudhud.senders import records
from support.admin import PASSWORD, USERNAME
from support.browser import OpenProfile, Profile, running_chromium
from support.linked import IMPATIENT, LinkedService
from support.services import HTTP, Service, sqlite_of, wait_until
from waemu.client import EmulatorProcess

SERVE = ("hudhud", "serve")
SANDBOX_SENDER = "main-sandbox"


# Not for the whole run: Playwright keeps an event loop in this thread; other modules need one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    with running_chromium() as running:
        yield running


@pytest.fixture
def open_profile(browser: Browser) -> Iterator[OpenProfile]:
    """Open profiles, by default logged in; fail on errors of pages."""
    opened: list[Profile] = []

    def open_one(url: str, *, logged_in: bool = True, **options: object) -> Profile:
        profile = Profile(browser, url, **options)
        opened.append(profile)
        if logged_in:
            profile.log_in()
        return profile

    yield open_one
    complaints = [complaint for profile in opened for complaint in profile.complaints]
    for profile in opened:
        profile.close()
    assert complaints == []


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A sandbox service shared by all tests that leave its sender unchanged."""
    yield from _served(Service(tmp_path_factory.mktemp("sandbox"), SERVE, _sandbox_variables()))


@pytest.fixture
def guarded_sandbox(sandbox: Service) -> Iterator[Service]:
    """That service, for tests that block logins or turn on the second factor."""
    yield sandbox
    with closing(sqlite_of(sandbox)) as database, database.write() as connection:
        login_attempts.unlock(connection)
        second_factor.turn_off(connection, USERNAME)


@pytest.fixture(scope="session")
def paused_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A sandbox service that sends nothing, shared by tests of unsent jobs."""
    for service in _served(Service(tmp_path_factory.mktemp("paused"), SERVE, _sandbox_variables())):
        with closing(sqlite_of(service)) as database, database.write() as connection:
            records.pause(connection, name=SANDBOX_SENDER, now=now_ms())
            database.notify(connection)
        yield service


@pytest.fixture
def fresh_sandbox(tmp_path: Path) -> Iterator[Service]:
    """A sandbox service for one test."""
    yield from _served(Service(tmp_path, SERVE, _sandbox_variables()))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """One emulated WhatsApp for all tests."""
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder, log=folder / "emulator.log") as running:
        yield running


@pytest.fixture(scope="session")
def _linked_service(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    yield from _running(_linked_service_in(tmp_path_factory.mktemp("linked"), emulator))


@pytest.fixture
def linked(_linked_service: LinkedService) -> Iterator[LinkedService]:
    """A service whose sender is a linked, connected device with nothing paused."""
    _linked_service.resume()
    _linked_service.make_ready()
    yield _linked_service
    _linked_service.emulator.reset_faults()


@pytest.fixture
def unlinked(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[LinkedService]:
    """An unlinked service, for a test that links it."""
    emulator.reset_faults()
    emulator.set_receipts("delivered+read")
    yield from _running(_linked_service_in(tmp_path / "service", emulator))


@pytest.fixture(scope="session")
def _never_linked(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkedService]:
    yield from _running(_linked_service_in(tmp_path_factory.mktemp("never-linked"), emulator))


@pytest.fixture
def never_linked(_never_linked: LinkedService) -> Iterator[LinkedService]:
    """A service with a QR code, for tests that never link it."""
    _never_linked.emulator.reset_faults()
    _never_linked.wait_for_qr()
    yield _never_linked
    _never_linked.emulator.reset_faults()


def _running(service: LinkedService) -> Iterator[LinkedService]:
    service.start()
    yield service
    service.clean_up()


def _served(service: Service) -> Iterator[Service]:
    service.start()
    wait_until(lambda: _is_connected(service), 30, "a connected sender")
    yield service
    service.clean_up()


def _is_connected(service: Service) -> bool:
    return HTTP.get(f"{service.url}/readyz?strict").status_code == httpx.codes.OK


def _sandbox_variables() -> dict[str, str]:
    return {"CHANNEL": "sandbox", "ADMIN_PASSWORD": PASSWORD, "WEBHOOK_ALLOW_PRIVATE": "true"}


def _linked_service_in(folder: Path, emulator: EmulatorProcess) -> LinkedService:
    return LinkedService(folder, emulator, IMPATIENT, ADMIN_PASSWORD=PASSWORD)
