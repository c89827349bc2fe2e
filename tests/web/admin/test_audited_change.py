"""Permission for changes, and the answers to forms."""

import httpx
import pytest

from support.admin import HTML, script
from support.audited import asked
from support.queued import put_sender
from support.web_server import WebServer

SENDER = "main-sandbox"


@pytest.mark.parametrize(
    "path",
    [
        "jobs/retry/1",
        "jobs/retry-all",
        "jobs/cancel/1",
        "whatsapp/reinitialize",
        "whatsapp/logout-session",
        "whatsapp/pair-phone",
        "whatsapp/pause",
        "whatsapp/resume",
    ],
)
def test_change_requires_a_session_and_its_token(
    dashboard: WebServer, admin: httpx.Client, path: str
) -> None:
    put_sender(dashboard.database, SENDER)
    with script(dashboard) as stranger:
        assert stranger.post(f"/admin/{path}").status_code == 401
    del admin.headers["X-CSRF-Token"]
    assert admin.post(f"/admin/{path}").status_code == 403
    assert asked(dashboard.database) == []


def test_form_is_answered_with_its_own_page(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    for back, location in (
        ("/admin/status?filterStatus=failed", "/admin/status?filterStatus=failed"),
        ("https://elsewhere.example/", "/admin/status"),
        ("//elsewhere.example/", "/admin/status"),
    ):
        answer = admin.post("/admin/whatsapp/pause", data={"back": back}, headers={"Accept": HTML})
        assert (answer.status_code, answer.headers["location"]) == (303, location)
