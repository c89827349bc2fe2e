"""Changes of jobs by scripts and forms."""

from typing import Any

import httpx
import pytest

from hudhud.core.clock import now_ms
from hudhud.core.plain_text import is_plain
from hudhud.db.engine import Database
from support.audited import notes
from support.queued import change, stored, submit, verification_of
from support.web_server import WebServer


def fail(database: Database, job: int, **changes: Any) -> None:
    now = now_ms()
    values = {"status": "failed", "attempts": 3, "error": "broken", "finished_at": now, **changes}
    change(database, job, **values)


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
def test_unknown_job_is_not_found(admin: httpx.Client, job: str) -> None:
    answer = admin.post(f"/admin/jobs/retry/{job}")
    assert answer.status_code == 404
    assert answer.json() == {"message": f"Job with ID {job} not found."}


def test_retry_of_an_expired_job_is_refused_with_the_reason(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    fail(dashboard.database, job, expires_at=now_ms() - 1)
    answer = admin.post(f"/admin/jobs/retry/{job}")
    assert answer.status_code == 409
    assert "Expired: ask for a new code." in answer.json()["message"]
    assert stored(dashboard.database, job).status == "failed"
    assert notes(dashboard.database, "retry") == [("admin", str(job), "refused")]


def test_waiting_job_cannot_be_retried(dashboard: WebServer, admin: httpx.Client) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    assert admin.post(f"/admin/jobs/retry/{job}").status_code == 409


def test_all_valid_failed_jobs_are_queued_again(dashboard: WebServer, admin: httpx.Client) -> None:
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


@pytest.mark.parametrize("job", ["%00", "1%0a", "%E2%80%AE1", "9" * 3000])
def test_invalid_job_id_is_not_found_and_audited_in_one_short_line(
    dashboard: WebServer, admin: httpx.Client, job: str
) -> None:
    assert admin.post(f"/admin/jobs/retry/{job}").status_code == 404
    ((_, subject, outcome),) = notes(dashboard.database, "retry")
    assert outcome == "refused"
    assert is_plain(subject or "")
    assert len(subject or "") <= 100
