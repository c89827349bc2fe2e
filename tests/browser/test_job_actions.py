"""Retrying failed jobs and canceling waiting ones."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from hudhud.core.clock import now_ms
from hudhud.db.tables import messages
from support.browser import STATUS, OpenProfile, expect_delivery, is_marked, mark, row
from support.linked import LinkedService, new_number

FAILED = f"{STATUS}?filterStatus=failed"
# Without live updates the page keeps showing an outdated button.
WITHOUT_STREAM = """
delete window.SharedWorker;
window.EventSource = class extends EventTarget { close() {} };
"""


@pytest.fixture
def page(linked: LinkedService, open_profile: OpenProfile) -> Iterator[Page]:
    """The status page of a connected sender."""
    opened = open_profile(linked.service.url).open_live()
    mark(opened)
    yield opened
    linked.resume()


def send_to_nobody(service: LinkedService) -> tuple[str, int]:
    """Send to a number without WhatsApp; return number and failed job."""
    number = new_number()
    job: int = service.send(number)["jobId"]
    service.wait_for_delivery(job, "failed")
    return number, job


def test_failed_job_is_retried_and_read(linked: LinkedService, page: Page) -> None:
    number, job = send_to_nobody(linked)
    expect(row(page, job)).to_contain_text("There is no WhatsApp account for this number.")
    linked.emulator.add_phone(number)
    row(page, job).get_by_role("button", name=f"Retry job {job}").click()
    expect(page.locator("#notices")).to_contain_text(f"Job {job} has been successfully re-queued.")
    expect_delivery(page, job, "read")
    expect(row(page, job).get_by_role("button")).to_have_count(0)
    assert is_marked(page)


def test_job_is_retried_from_its_drawer(linked: LinkedService, page: Page) -> None:
    number, job = send_to_nobody(linked)
    row(page, job).get_by_role("link").click()
    drawer = page.get_by_role("dialog")
    linked.emulator.add_phone(number)
    drawer.get_by_role("button", name="Retry").click()
    expect(drawer.get_by_role("status")).to_contain_text(f"Job {job} has been successfully")
    expect(drawer.locator("[data-step]").last).to_have_attribute("data-step", "read")
    kinds = [step.get_attribute("data-step") for step in drawer.locator("[data-step]").all()]
    assert "retried" in kinds
    expect(drawer.get_by_text("By admin.")).to_be_visible()


def test_all_valid_failed_jobs_are_retried_together(linked: LinkedService, page: Page) -> None:
    failed = [send_to_nobody(linked) for _ in range(2)]
    page.goto(FAILED)
    for number, _ in failed:
        linked.emulator.add_phone(number)
    page.get_by_role("button", name="Retry all still valid").click()
    expect(page.locator("#notices")).to_contain_text("Jobs re-queued:")
    page.goto(STATUS)
    for _, job in failed:
        expect_delivery(page, job, "read")


def test_waiting_job_is_canceled_and_never_sent(linked: LinkedService, page: Page) -> None:
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator(".state")).to_have_text("Paused")
    number = linked.add_phone()
    job = linked.send(number)["jobId"]
    row(page, job).get_by_role("button", name=f"Cancel job {job}").click()
    expect(page.locator("#notices")).to_contain_text(f"Job {job} has been canceled.")
    expect_delivery(page, job, "canceled")
    page.get_by_role("button", name="Resume sending").first.click()
    expect(page.locator(".state")).to_have_text("Connected")
    later = linked.send(linked.add_phone())["jobId"]
    expect_delivery(page, later, "read")
    assert linked.received(number) == []
    assert is_marked(page)


def expire(service: LinkedService, job: int) -> None:
    with service.database.write() as connection:
        connection.execute(
            messages.update().where(messages.c.id == job).values(expires_at=now_ms())
        )


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_late_retry_is_refused_with_a_reason(
    linked: LinkedService, open_profile: OpenProfile, *, scripts: bool
) -> None:
    _, job = send_to_nobody(linked)
    profile = open_profile(linked.service.url, java_script_enabled=scripts)
    profile.context.add_init_script(WITHOUT_STREAM)
    page = profile.open(FAILED)
    button = row(page, job).get_by_role("button", name="Retry")
    expect(button).to_be_visible()
    expire(linked, job)
    button.click()
    expect(page.locator("#notices")).to_contain_text("Expired: ask for a new code.")
    page.reload()
    expect(row(page, job).get_by_role("button")).to_have_count(0)
    expect(row(page, job)).not_to_contain_text("Cannot be retried")
    page.goto(f"/admin/jobs/{job}")
    expect(page.locator("#job")).to_contain_text("Cannot be retried. Expired: ask for a new code.")
