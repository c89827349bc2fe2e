"""Test codes sent and checked from the dashboard, by forms and scripts."""

import httpx
import pytest
from sqlalchemy import func, select

from conftest import settings
from hudhud.core.clock import now_ms
from hudhud.core.errors import QueueUnavailable, SenderRestricted
from hudhud.core.sentences import say
from hudhud.core.stored_sentences import stored
from hudhud.db.engine import Database
from hudhud.db.tables import audit, messages
from hudhud.verification.build import build_code_cipher
from hudhud.web.admin.status.trials import refusal
from support import queued
from support.admin import PASSWORD, Person, log_in_script, script
from support.audited import notes
from support.html import Page
from support.queued import NOW, put_sender
from support.web_server import PHONE, SECRET, WebServer, web_server

SEND = "/admin/test-code/send"
CHECK = "/admin/test-code/check"
MASKED = "+2010*****67"
WRITTEN = "00 20 (100) 123-4567"  # as people write PHONE


def code_of(database: Database, job: int) -> str:
    """Return a code that no page shows."""
    row = queued.verification_of(database, job)
    cipher = build_code_cipher(settings(session_secret=SECRET))
    return cipher.codes.open(row.id, row.code_sealed)


def newest_job(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.max(messages.c.id))) or 0


@pytest.fixture
def operator(dashboard: WebServer, person: Person) -> Person:
    """A logged-in admin without JavaScript, in front of a fresh installation with a sender."""
    put_sender(dashboard.database, "main", now=now_ms())
    person.log_in()
    return person


def test_operator_sends_a_test_code_and_types_it_without_javascript(
    dashboard: WebServer, operator: Person
) -> None:
    before = Page(operator.get("/admin/status").text)
    assert {"first-steps", "trial"} <= set(before.ids)
    assert not {"numbers", "traffic", "jobs"} & set(before.ids)
    answer = operator.fill("/admin/status", SEND, phoneNumber=WRITTEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/status")
    job = newest_job(dashboard.database)
    code = code_of(dashboard.database, job)
    sent = Page(operator.get("/admin/status").text)
    assert f"A test code is queued for {MASKED}, as job {job}." in Page(sent.html).text
    assert {"first-steps", "trial", "numbers", "traffic", "jobs"} <= set(sent.ids)
    operator.fill("/admin/status", CHECK, code="wrong")
    assert "That is not the code that was sent." in operator.get("/admin/status").text
    operator.fill("/admin/status", CHECK, code=f"{code[:2]} {code[2:]}")
    done = Page(operator.get("/admin/status").text)
    assert "The code is right" in done.text
    assert "first-steps" not in done.ids
    assert "The code was typed correctly." in done.text
    assert queued.verification_of(dashboard.database, job).status == "approved"


def test_test_codes_are_audited_with_the_masked_number_and_without_the_code(
    dashboard: WebServer, operator: Person
) -> None:
    operator.fill("/admin/status", SEND, phoneNumber=PHONE)
    operator.fill("/admin/status", SEND, phoneNumber=PHONE)  # within 30 s
    code = code_of(dashboard.database, newest_job(dashboard.database))
    operator.fill("/admin/status", CHECK, code="wrong")
    operator.fill("/admin/status", CHECK, code=code)
    sent, checked = (notes(dashboard.database, what) for what in ("trial_sent", "trial_checked"))
    assert sent == [("admin", MASKED, "ok"), ("admin", MASKED, "refused")]
    assert checked == [("admin", MASKED, "refused"), ("admin", MASKED, "ok")]
    with dashboard.database.read() as connection:
        details = [stored(row, "detail") for row in connection.execute(select(audit))]
    words = " ".join(one.english() for one in details if one is not None)
    assert "LIMIT_PER_NUMBER allows 1/30s" in words
    assert PHONE not in words
    shown = operator.get("/admin/audit?what=jobs").text
    assert MASKED in shown
    assert "Test code to" in shown


def test_code_is_in_no_page_answer_or_stream(database: Database, cheap_hashes: None) -> None:
    del cheap_hashes
    with (
        web_server(database, admin_password=PASSWORD, otp_length=10) as server,
        script(server) as client,
    ):
        client.headers["X-CSRF-Token"] = log_in_script(client).json()["csrfToken"]
        put_sender(database, "main", now=now_ms())
        answers = [client.post(SEND, json={"phoneNumber": PHONE})]
        job = newest_job(database)
        code = code_of(database, job)
        assert len(code) == 10
        answers.append(client.post(CHECK, json={"job": str(job), "code": "wrong"}))
        answers += [
            client.get(path, headers={"Accept": "text/html"})
            for path in (
                "/admin/status",
                f"/admin/status?searchQuery={PHONE[1:]}",
                f"/admin/jobs/{job}",
                "/admin/audit",
                "/admin/api/jobs",
                "/admin/api/status-and-stats",
            )
        ]
        answers.append(client.post(CHECK, json={"job": str(job), "code": code}))
        for answer in answers:
            assert answer.status_code in (200, 409)
            assert code not in answer.text
        assert code not in told_by_the_stream(client)


def told_by_the_stream(client: httpx.Client) -> str:
    """Return what a new stream sends, up to the rows of the jobs."""
    told = ""
    with client.stream("GET", "/admin/live") as answer:
        for line in answer.iter_lines():
            told += line
            if line.startswith("data:") and '"rows"' in line:
                return told
    raise AssertionError("the stream sent no rows")


def test_script_gets_each_refusal_with_its_status(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    assert admin.post(SEND, json={"phoneNumber": "0100"}).status_code == 400
    assert admin.post(SEND, json={"phoneNumber": PHONE}).json() == {
        "message": f"A test code is queued for {MASKED}, as job {newest_job(dashboard.database)}."
    }
    again = admin.post(SEND, json={"phoneNumber": PHONE})
    assert again.status_code == 429
    assert "LIMIT_PER_NUMBER allows 1/30s" in again.json()["message"]
    job = str(newest_job(dashboard.database))
    assert admin.post(CHECK, json={"job": job, "code": ""}).status_code == 400
    assert admin.post(CHECK, json={"job": job, "code": "9" * 101}).status_code == 400
    assert admin.post(CHECK, json={"job": "999", "code": "1234"}).status_code == 404
    left = [admin.post(CHECK, json={"job": job, "code": "x"}).json() for _ in range(6)]
    assert "allowed: 4." in left[0]["message"]
    assert (
        left[4] == left[5] == {"message": "Too many wrong codes were typed. Send a new test code."}
    )


def test_job_of_a_key_cannot_be_checked_here(dashboard: WebServer, admin: httpx.Client) -> None:
    job = dashboard.send().json()["jobId"]
    answer = admin.post(CHECK, json={"job": str(job), "code": "1234"})
    assert answer.status_code == 404
    assert notes(dashboard.database, "trial_checked") == []


@pytest.mark.parametrize("path", [SEND, CHECK])
def test_only_a_person_with_a_token_may_do_it(
    dashboard: WebServer, admin: httpx.Client, admin_key: str, client: httpx.Client, path: str
) -> None:
    body = {"phoneNumber": PHONE, "job": "1", "code": "1234"}
    assert client.post(path, json=body).status_code == 401
    with_key = client.post(path, json=body, headers={"X-API-KEY": admin_key})
    assert with_key.status_code == 403
    assert "POST /api/v1/otp/send" in with_key.json()["message"]
    del admin.headers["X-CSRF-Token"]
    assert admin.post(path, json=body).status_code == 403
    with dashboard.database.read() as connection:
        assert connection.execute(select(messages)).first() is None


def test_countries_of_the_settings_are_refused_in_the_language_of_the_admin(
    database: Database, cheap_hashes: None
) -> None:
    del cheap_hashes
    with (
        web_server(database, admin_password=PASSWORD, denied_countries=("EG",)) as server,
        script(server, **{"Accept-Language": "ar"}) as client,
    ):
        client.headers["X-CSRF-Token"] = log_in_script(client).json()["csrfToken"]
        answer = client.post(SEND, json={"phoneNumber": PHONE})
        assert answer.status_code == 403
        assert "DENIED_COUNTRIES excludes it" in answer.json()["message"]
        shown = client.get("/admin/audit", headers={"Accept": "text/html"}).text
        assert "DENIED_COUNTRIES" in shown
        assert "excludes it" not in shown


def test_restriction_says_whether_writing_first_helps() -> None:
    told = {
        reaches: refusal(SenderRestricted(NOW + 90_000, now=NOW, reaches_known=reaches)).sentence
        for reaches in (True, False)
    }
    assert told == {
        True: say("trial.restricted_to_known", seconds=90),
        False: say("trial.restricted", seconds=90),
    }


def test_full_queue_is_refused_with_the_time_to_wait() -> None:
    assert refusal(QueueUnavailable("the queue is full", 7)).sentence == say(
        "trial.no_room", seconds=7
    )
