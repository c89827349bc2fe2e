"""The list of jobs: filters, searches, pages, and a job's timeline."""

import re
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from hudhud.db.tables import messages
from hudhud.messages.states import DELIVERED, FAILED
from support.browser import STATUS, OpenProfile, expect_delivery, row
from support.services import Service, ask_for_code, sqlite_of, wait_until

ROWS = 200
PAGE = 50
# Only the numbers of this module's history have these digits.
OURS = "1007731"


@dataclass(frozen=True)
class History:
    """A service with many jobs of similar numbers, newest last."""

    url: str
    jobs: list[dict[str, Any]]
    failed: dict[str, Any]

    def list_of_ours(self, **more: object) -> str:
        """Return the address of these jobs' list, 50 on a page."""
        query = "".join(f"&{name}={value}" for name, value in more.items())
        return f"{STATUS}?searchQuery={OURS}&limit={PAGE}{query}"


def has_work(service: Service, last: int) -> bool:
    """Return whether a job up to the last one is unfinished."""
    ended = messages.c.status.in_((DELIVERED, FAILED))
    waiting = select(func.count()).where(messages.c.id <= last, ~ended)
    with closing(sqlite_of(service)) as database, database.read() as connection:
        return bool(connection.scalar(waiting))


@pytest.fixture(scope="session")
def history(sandbox: Service) -> History:
    """The service with the history, made once: stolen tests return to a module."""
    jobs = [ask_for_code(sandbox.url, f"+20{OURS}{number:03}") for number in range(ROWS)]
    failed = ask_for_code(sandbox.url, NOT_ON_WHATSAPP)
    wait_until(lambda: not has_work(sandbox, failed["jobId"]), 60, "the end of all those jobs")
    return History(sandbox.url, jobs, failed)


@pytest.fixture
def page(history: History, open_profile: OpenProfile) -> Page:
    """The status page, once all those jobs are finished."""
    opened = open_profile(history.url).open()
    expect_delivery(opened, history.failed["jobId"], "failed")
    return opened


def shown(page: Page) -> list[int]:
    """Return the jobs on the page, from top to bottom."""
    return [int(number) for number in page.locator("#jobs-body th").all_inner_texts()]


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Search").fill(text)
    page.get_by_role("searchbox", name="Search").press("Enter")


def expect_only(page: Page, *jobs: int) -> None:
    """Wait until the list has exactly these jobs."""
    expect(page.locator("#jobs-body tr")).to_have_count(len(jobs))
    for job in jobs:
        expect(row(page, job)).to_be_visible()


def test_two_hundred_rows_can_be_paged_to_the_end_and_back(history: History, page: Page) -> None:
    page.goto(history.list_of_ours())
    wanted = [job["jobId"] for job in reversed(history.jobs)]
    pages = [wanted[start : start + PAGE] for start in range(0, ROWS, PAGE)]
    for number, expected in enumerate(pages):
        expect(row(page, expected[0])).to_be_visible()
        assert shown(page) == expected
        if number < len(pages) - 1:
            page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Older")).to_be_disabled()
    for expected in reversed(pages[:-1]):
        page.get_by_role("link", name="Newer", exact=True).click()
        expect(row(page, expected[0])).to_be_visible()
        assert shown(page) == expected
    expect(page.get_by_role("link", name="Newer", exact=True)).to_be_disabled()


def test_middle_page_can_be_reloaded_shared_and_left_with_back(
    history: History, page: Page, open_profile: OpenProfile
) -> None:
    page.goto(history.list_of_ours())
    wanted = [job["jobId"] for job in reversed(history.jobs)]
    page.get_by_role("link", name="Older").click()
    expect(row(page, wanted[PAGE])).to_be_visible()
    address = page.url
    assert "before=" in address
    page.reload()
    assert shown(page) == wanted[PAGE : 2 * PAGE]
    other = open_profile(history.url).open(address)
    assert shown(other) == wanted[PAGE : 2 * PAGE]
    page.get_by_role("link", name="Older").click()
    expect(row(page, wanted[2 * PAGE])).to_be_visible()
    page.go_back()
    expect(row(page, wanted[PAGE])).to_be_visible()
    assert shown(page) == wanted[PAGE : 2 * PAGE]
    expect(page).to_have_url(address)


def test_filters_are_in_the_address_and_survive_a_reload(history: History, page: Page) -> None:
    page.get_by_label("Delivery", exact=True).select_option("failed")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("filterDelivery=failed"))
    expect(row(page, history.failed["jobId"])).to_be_visible()
    expect(row(page, history.jobs[-1]["jobId"])).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Delivery", exact=True)).to_have_value("failed")
    expect(row(page, history.failed["jobId"])).to_be_visible()
    expect(row(page, history.jobs[-1]["jobId"])).to_have_count(0)
    page.goto(STATUS)
    page.get_by_label("Status", exact=True).select_option("sent")
    page.get_by_role("button", name="Apply").click()
    expect(row(page, history.failed["jobId"])).to_have_count(0)
    expect(page).to_have_url(re.compile("filterStatus=sent"))


@pytest.mark.parametrize("word", ["{number}", "+20 {operator} 773 1042", "{fragment}"])
def test_search_finds_a_job_by_phone_number_or_part_of_it(
    history: History, page: Page, word: str
) -> None:
    search(page, word.format(number=f"+20{OURS}042", operator="100", fragment=f"{OURS[2:]}042"))
    expect_only(page, history.jobs[42]["jobId"])


def test_search_finds_a_job_by_its_exact_code_without_showing_it(
    history: History, page: Page
) -> None:
    job = history.jobs[100]
    assert job["otp"] not in page.locator("#jobs-body").inner_text().split()
    search(page, job["otp"])
    expect(page.locator("#jobs-body tr")).not_to_have_count(0)
    expect(row(page, job["jobId"])).to_be_visible()
    page.goto("/admin/audit?what=jobs")
    expect(page.locator('tr[data-what="code_search"]').first).to_be_visible()
    assert job["otp"] not in page.locator("tbody").inner_text().split()


def test_search_finds_jobs_by_message_text_and_error(history: History, page: Page) -> None:
    search(page, "no WhatsApp account")
    expect(row(page, history.failed["jobId"])).to_be_visible()
    expect(row(page, history.jobs[-1]["jobId"])).to_have_count(0)
    page.goto(f"/admin/jobs/{history.jobs[-1]['jobId']}")
    text = page.locator(".message").inner_text()
    page.goto(STATUS)
    search(page, text.split("•")[0].strip())
    expect(row(page, history.jobs[-1]["jobId"])).to_be_visible()


def test_search_lists_exact_ids_first(history: History, page: Page) -> None:
    job = history.jobs[42]
    search(page, f" #{job['jobId']} ")
    expect_only(page, job["jobId"])
    # A focused row stays when a change renews the list.
    row(page, job["jobId"]).get_by_role("link").focus()
    with page.expect_response(lambda answer: "searchQuery" in answer.url):
        ask_for_code(history.url, "+447700900123")
    expect_only(page, job["jobId"])
    search(page, job["verificationId"])
    expect_only(page, job["jobId"])
    search(page, str(job["jobId"]))
    expect(page.locator("#jobs-body th").first).to_have_text(str(job["jobId"]))
    page.goto(f"/admin/jobs/{job['jobId']}")
    expect(page.locator('[data-step="sent"]')).to_contain_text("The sandbox took the message")


def test_search_without_results_says_so_and_can_be_cleared(history: History, page: Page) -> None:
    search(page, "<b>nothing</b>")
    expect(page.locator("#no-jobs")).to_contain_text("No job matches “<b>nothing</b>”")
    page.get_by_role("link", name="Clear the filter").click()
    expect(row(page, history.failed["jobId"])).to_be_visible()


def test_job_opens_in_a_drawer_that_returns_the_focus(history: History, page: Page) -> None:
    job = history.failed["jobId"]
    link = row(page, job).get_by_role("link")
    link.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name=f"Job {job}")).to_be_visible()
    expect(drawer.locator("[data-step]").first).to_have_attribute("data-step", "accepted")
    expect(drawer.locator("[data-step]").last).to_have_attribute("data-step", "failed")
    expect(drawer).to_contain_text("There is no WhatsApp account for this number.")
    assert page.evaluate("document.activeElement.closest('dialog')?.id") == "drawer"
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(link).to_be_focused()
    link.click()
    drawer.get_by_role("button", name="Close").click()
    expect(link).to_be_focused()


def test_job_also_opens_as_a_page(history: History, page: Page) -> None:
    job = history.failed["jobId"]
    page.goto(f"/admin/jobs/{job}")
    expect(page).to_have_title(f"Job {job} · Hudhud")
    expect(page.locator("[data-step]").last).to_have_attribute("data-step", "failed")
    page.get_by_role("link", name="All jobs").click()
    expect(page).to_have_url(re.compile(STATUS))


def test_missing_job_shows_a_not_found_page(sandbox: Service, open_profile: OpenProfile) -> None:
    profile = open_profile(sandbox.url)
    page = profile.open("/admin/jobs/999999")
    expect(page.get_by_text("Job with ID 999999 not found.")).to_be_visible()
    profile.expect_complaints("status of 404")
