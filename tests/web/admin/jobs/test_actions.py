"""What scripts and forms change: jobs, and senders' sessions."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hudhud.core.clock import now_ms
from hudhud.core.plain_text import is_plain
from hudhud.db.engine import Database
from hudhud.db.tables import audit, commands
from support.admin import HTML
from support.queued import change, put_sender, stored, submit, verification_of
from support.web_server import WebServer

SENDER = "main-sandbox"


def fail(database: Database, job: int, **changes: Any) -> None:
    now = now_ms()
    values = {"status": "failed", "attempts": 3, "error": "broken", "finished_at": now, **changes}
    change(database, job, **values)


def notes(database: Database, what: str) -> list[tuple[str, str | None, str]]:
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.what == what).order_by(audit.c.id))
        return [(row.who, row.subject, row.outcome) for row in rows]


def asked(database: Database) -> list[tuple[str, str, str | None]]:
    with database.read() as connection:
        rows = connection.execute(select(commands).order_by(commands.c.id))
        return [(row.sender, row.kind, row.argument) for row in rows]


def test_a_failed_job_is_queued_again_with_fresh_attempts(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    fail(dashboard.database, job)
    answer = admin.post(f"/admin/jobs/retry/{job}")
    assert answer.status_code == 200
    assert answer.json() == {"message": f"Job {job} has been successfully re-queued."}
    row = stored(dashboard.database, job)
    assert (row.status, row.attempts, row.error, row.finished_at) == ("queued", 0, None, None)
    assert notes(dashboard.database, "retry") == [("admin", str(job), "ok")]


@pytest.mark.parametrize("job", ["999999", "0", "x", "1e3", "-1", "9" * 30])
def test_a_job_that_does_not_exist_is_not_found(admin: httpx.Client, job: str) -> None:
    answer = admin.post(f"/admin/jobs/retry/{job}")
    assert answer.status_code == 404
    assert answer.json() == {"message": f"Job with ID {job} not found."}


def test_a_job_whose_code_is_over_is_refused_with_the_reason(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    fail(dashboard.database, job, expires_at=now_ms() - 1)
    answer = admin.post(f"/admin/jobs/retry/{job}")
    assert answer.status_code == 409
    assert "Expired: ask for a new code." in answer.json()["message"]
    assert stored(dashboard.database, job).status == "failed"
    assert notes(dashboard.database, "retry") == [("admin", str(job), "refused")]


def test_a_job_that_waits_has_nothing_to_retry(dashboard: WebServer, admin: httpx.Client) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    assert admin.post(f"/admin/jobs/retry/{job}").status_code == 409


def test_all_that_are_still_valid_are_queued_again(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    valid, also_valid, over, waiting = submit(dashboard.database, 4, now=now_ms())
    for job in (valid, also_valid):
        fail(dashboard.database, job)
    fail(dashboard.database, over, expires_at=now_ms())
    assert admin.post("/admin/jobs/retry-all").json() == {"message": "Jobs re-queued: 2."}
    found = [stored(dashboard.database, job).status for job in (valid, also_valid, over, waiting)]
    assert found == ["queued", "queued", "failed", "queued"]


def test_a_waiting_job_is_canceled_and_its_code_erased(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    assert admin.post(f"/admin/jobs/cancel/{job}").status_code == 200
    assert stored(dashboard.database, job).status == "canceled"
    verification = verification_of(dashboard.database, job)
    assert (verification.status, verification.code_sealed, verification.code_index) == (
        "canceled",
        None,
        None,
    )
    assert admin.post(f"/admin/jobs/cancel/{job}").status_code == 409


@pytest.mark.parametrize(
    ("path", "kind"), [("reinitialize", "reload"), ("logout-session", "logout")]
)
def test_a_sender_is_asked(dashboard: WebServer, admin: httpx.Client, path: str, kind: str) -> None:
    put_sender(dashboard.database, SENDER)
    answer = admin.post(f"/admin/whatsapp/{path}")
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert SENDER in answer.json()["message"]
    assert asked(dashboard.database) == [(SENDER, kind, None)]


def test_a_code_for_a_phone_is_asked_for(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    form = {"sender": SENDER, "phoneNumber": "+20 100 123-4567"}
    assert admin.post("/admin/whatsapp/pair-phone", data=form).status_code == 200
    assert asked(dashboard.database) == [(SENDER, "pair_phone", "+201001234567")]


def test_rubbish_is_no_phone(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    answer = admin.post("/admin/whatsapp/pair-phone", data={"phoneNumber": "hello"})
    assert answer.status_code == 400
    assert asked(dashboard.database) == []


def test_a_sender_that_does_not_exist_is_not_found(admin: httpx.Client) -> None:
    answer = admin.post("/admin/whatsapp/reinitialize", data={"sender": "nobody"})
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "message": "There is no sender named nobody."}


@pytest.mark.parametrize(
    "name", ["x" * 101, "x" * 100_000, "main\0", "main\n", "\u202emain", "There is no " * 9000]
)
@pytest.mark.parametrize("accept", [HTML, "*/*"])
def test_what_cannot_be_a_sender_is_not_even_looked_for(
    dashboard: WebServer, admin: httpx.Client, name: str, accept: str
) -> None:
    headers = {"Accept": accept}
    answer = admin.post("/admin/whatsapp/pause", data={"sender": name}, headers=headers)
    assert answer.status_code == (303 if accept == HTML else 404)
    assert len(answer.headers.get("set-cookie", "")) < 4096
    assert notes(dashboard.database, "pause") == []
    asked_for = admin.get("/admin/whatsapp/logout-session", params={"sender": name[:1000]})
    assert asked_for.status_code == 404


@pytest.mark.parametrize("job", ["%00", "1%0a", "%E2%80%AE1", "9" * 3000])
def test_what_cannot_be_a_job_is_not_found_and_noted_in_one_short_line(
    dashboard: WebServer, admin: httpx.Client, job: str
) -> None:
    assert admin.post(f"/admin/jobs/retry/{job}").status_code == 404
    ((_, subject, outcome),) = notes(dashboard.database, "retry")
    assert outcome == "refused"
    assert is_plain(subject or "")
    assert len(subject or "") <= 100


def test_a_script_names_the_sender_in_json(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    put_sender(dashboard.database, "second")
    assert admin.post("/admin/whatsapp/logout-session", json={"sender": "second"}).is_success
    named = {"sender": "second", "phoneNumber": "+201001234567"}
    assert admin.post("/admin/whatsapp/pair-phone", json=named).is_success
    assert admin.post("/admin/whatsapp/reinitialize", json={}).is_success
    assert admin.post("/admin/whatsapp/reinitialize", json={"sender": None}).is_success
    answer = admin.post("/admin/whatsapp/logout-session", json={"sender": "third"})
    assert answer.status_code == 404
    assert asked(dashboard.database) == [
        ("second", "logout", None),
        ("second", "pair_phone", "+201001234567"),
        (SENDER, "reload", None),
        (SENDER, "reload", None),
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b'["second"]'),
        ("application/json", b'{"sender": 5}'),
        ("application/json", b'{"sender": "\xff"}'),
        ("application/json", b"[" * 100_000),
        ("text/plain", b"sender=second"),
        ("multipart/form-data; boundary=x", b"--x--"),
        (None, b"sender=second"),
    ],
)
def test_a_body_that_cannot_be_read_does_not_act_on_the_usual_sender(
    dashboard: WebServer, admin: httpx.Client, kind: str | None, body: bytes
) -> None:
    put_sender(dashboard.database, SENDER)
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("logout-session", "reinitialize", "pause", "pair-phone"):
        answer = admin.post(f"/admin/whatsapp/{path}", content=body, headers=headers)
        assert answer.status_code == 400
    del admin.headers["X-CSRF-Token"]
    answer = admin.post("/admin/whatsapp/pause", content=body, headers=headers)
    assert answer.status_code == 403  # who may comes first
    assert asked(dashboard.database) == []


def test_sending_is_paused_and_resumed_once(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    statuses = [
        admin.post(f"/admin/whatsapp/{what}").status_code
        for what in ("pause", "pause", "resume", "resume")
    ]
    assert statuses == [200, 409, 200, 409]
    assert [one[2] for one in notes(dashboard.database, "pause")] == ["ok", "refused"]


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
def test_nothing_changes_without_a_session_or_its_token(
    dashboard: WebServer, admin: httpx.Client, path: str
) -> None:
    put_sender(dashboard.database, SENDER)
    with httpx.Client(base_url=str(dashboard.client.base_url)) as stranger:
        assert stranger.post(f"/admin/{path}").status_code == 401
    del admin.headers["X-CSRF-Token"]
    assert admin.post(f"/admin/{path}").status_code == 403
    assert asked(dashboard.database) == []


def test_a_form_is_answered_with_the_page_it_stood_on(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    put_sender(dashboard.database, SENDER)
    for back, location in (
        ("/admin/status?filterStatus=failed", "/admin/status?filterStatus=failed"),
        ("https://elsewhere.example/", "/admin/status"),
        ("//elsewhere.example/", "/admin/status"),
    ):
        answer = admin.post("/admin/whatsapp/pause", data={"back": back}, headers={"Accept": HTML})
        assert (answer.status_code, answer.headers["location"]) == (303, location)
