"""The page of a job: its steps, and why it was canceled or cannot be retried."""

import httpx
import pytest

from hudhud.core.clock import now_ms
from hudhud.core.sentences import say
from hudhud.core.stored_sentences import columns
from support.admin import HTML
from support.html import Page
from support.queued import change
from support.verifying import SHOP, accepted, check_code
from support.web_server import WebServer

DAY_MS = 86_400_000


def shown(admin: httpx.Client, job: int) -> str:
    return admin.get(f"/admin/jobs/{job}", headers={"Accept": HTML}).text


def test_a_canceled_step_says_by_what(dashboard: WebServer, admin: httpx.Client) -> None:
    now = now_ms()
    older = accepted(dashboard.database, now=now)
    newer = accepted(dashboard.database, now=now + 1)
    # Its last send was refused, which is not why it was canceled.
    change(dashboard.database, older.message_id, **columns("error", say("job.stranger")))
    html = shown(admin, older.message_id)
    link = f'<a href="/admin/jobs/{newer.message_id}" data-drawer>{newer.message_id}</a>'
    assert f"Replaced by the newer code of job {link}." in html
    assert "error 463" not in html
    assert "error 463" not in admin.get("/admin/status", headers={"Accept": HTML}).text
    assert newer.code is not None
    check_code(dashboard.database, SHOP, newer.verification_id, newer.code)
    assert "The code had already been used." in shown(admin, newer.message_id)
    by_admin = accepted(dashboard.database, now=now + 2)
    admin.post(f"/admin/jobs/cancel/{by_admin.message_id}")
    text = Page(shown(admin, by_admin.message_id)).text
    assert "By admin." in text
    assert "An admin canceled it." not in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("expired", "Cannot be retried. Expired: ask for a new code."),
        ("canceled", "Cannot be retried. Canceled: ask for a new code."),
    ],
)
def test_job_that_cannot_be_retried_says_why(
    dashboard: WebServer, admin: httpx.Client, status: str, said: str
) -> None:
    job = accepted(dashboard.database, now=now_ms()).message_id
    change(dashboard.database, job, status=status, finished_at=now_ms())
    assert said in Page(shown(admin, job)).text


def test_steps_name_their_channel_and_their_day(dashboard: WebServer, admin: httpx.Client) -> None:
    now = now_ms()
    job = accepted(dashboard.database, now=now - DAY_MS).message_id
    change(
        dashboard.database,
        job,
        status="delivered",
        sending_at=now - DAY_MS,
        sent_at=now - DAY_MS,
        delivered_at=now,
    )
    sandbox = Page(shown(admin, job)).text
    assert "The sandbox took the message; nothing left this machine." in sandbox
    assert "The sandbox simulated the receipt of a phone." in sandbox
    assert "WhatsApp" not in sandbox
    assert sandbox.count("yesterday, ") >= 3
    change(dashboard.database, job, channel="linked")
    linked = Page(shown(admin, job)).text
    assert "WhatsApp accepted the message for delivery." in linked
    assert "The phone received it." in linked
