"""GET /admin/api/jobs: field names, pages, filters, and no codes."""

import httpx
import pytest
from sqlalchemy import select

from hudhud.core.clock import now_ms
from hudhud.db.tables import audit
from hudhud.messages import counters
from hudhud.messages.listing import MOST_COUNTED
from support.admin import PASSWORD, Person, log_in_script, script
from support.queued import PHONE, change, submit
from support.web_server import ServeWeb, WebServer

PATH = "/admin/api/jobs"
NAMES = {
    "id",
    "phone_number",
    "status",
    "delivery",
    "created_at",
    "processed_at",
    "error_message",
    "attempts",
    "otp_expires_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "finished_at",
    "sender",
    "can_retry",
}


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


def test_job_has_the_earlier_and_the_new_fields(dashboard: WebServer, admin: httpx.Client) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    body = admin.get(PATH).json()
    (found,) = body["jobs"]
    assert set(found) == NAMES
    assert (found["id"], found["phone_number"]) == (job, PHONE)
    assert (found["status"], found["delivery"]) == ("pending", "queued")
    assert (found["attempts"], found["error_message"], found["processed_at"]) == (0, None, None)
    assert body["pagination"] == {
        "currentPage": 1,
        "totalPages": 1,
        "limit": 20,
        "totalJobs": 1,
        "totalIsExact": True,
        "nextCursor": None,
    }


def test_pages_by_number_and_by_cursor_show_the_same(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    made = submit(dashboard.database, 7, now=now_ms())[::-1]
    first = admin.get(PATH, params={"limit": 3})
    assert ids(first) == made[:3]
    assert first.json()["pagination"]["totalPages"] == 3
    assert ids(admin.get(PATH, params={"limit": 3, "page": 3})) == made[6:]
    cursor = first.json()["pagination"]["nextCursor"]
    second = admin.get(PATH, params={"limit": 3, "cursor": cursor})
    assert ids(second) == made[3:6] == ids(admin.get(PATH, params={"limit": 3, "page": 2}))
    cursor = second.json()["pagination"]["nextCursor"]
    last = admin.get(PATH, params={"limit": 3, "cursor": cursor})
    assert ids(last) == made[6:]
    assert last.json()["pagination"]["nextCursor"] is None


def test_too_deep_page_is_refused_in_favour_of_the_cursor(admin: httpx.Client) -> None:
    assert admin.get(PATH, params={"page": 50, "limit": 200}).status_code == 200
    answer = admin.get(PATH, params={"page": 51, "limit": 200})
    assert answer.status_code == 400
    assert "cursor" in answer.json()["message"]


def test_last_counted_page_has_a_number(admin: httpx.Client) -> None:
    assert admin.get(PATH, params={"page": 334, "limit": 30}).status_code == 200
    assert admin.get(PATH, params={"page": 335, "limit": 30}).status_code == 400


def test_sender_of_a_job_is_named_without_its_machine(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    (job,) = submit(dashboard.database, now=now_ms())
    change(dashboard.database, job, sender="main@some-machine")
    assert [one["sender"] for one in admin.get(PATH).json()["jobs"]] == ["main"]


def test_total_above_the_counting_bound_is_marked_as_inexact(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    submit(dashboard.database, 1, now=now_ms())
    with dashboard.database.write() as connection:
        counters.add(connection, now=now_ms(), moved={"queued": MOST_COUNTED - 1})
    assert admin.get(PATH).json()["pagination"]["totalIsExact"]
    submit(dashboard.database, 1, now=now_ms())
    pagination = admin.get(PATH).json()["pagination"]
    assert (pagination["totalJobs"], pagination["totalIsExact"]) == (MOST_COUNTED, False)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "201"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "٥"},
        {"limit": "1" * 400},
        {"page": "x"},
        {"page": "0"},
        {"cursor": "1e3"},
        {"filterStatus": "read"},
        {"filterDelivery": "pending"},
        {"searchQuery": "x" * 101},
    ],
)
def test_invalid_parameter_is_named(admin: httpx.Client, parameters: dict[str, str]) -> None:
    answer = admin.get(PATH, params=parameters)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{next(iter(parameters))}: ")


def test_filters_accept_earlier_words_and_exact_statuses(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    made = submit(dashboard.database, 2, now=now_ms())[::-1]
    assert ids(admin.get(PATH, params={"filterStatus": "pending"})) == made
    assert ids(admin.get(PATH, params={"filterDelivery": "queued"})) == made
    assert ids(admin.get(PATH, params={"filterStatus": "failed"})) == []
    both = {"filterStatus": "pending", "filterDelivery": "sent"}
    assert ids(admin.get(PATH, params=both)) == []
    assert ids(admin.get(PATH, params={"filterStatus": "all", "filterDelivery": ""})) == made


def test_failed_includes_canceled_only_under_its_earlier_word(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    failed, expired, canceled = submit(dashboard.database, 3, now=now_ms())
    for job, status in ((failed, "failed"), (expired, "expired"), (canceled, "canceled")):
        change(dashboard.database, job, status=status, finished_at=now_ms())
    for word, wanted in (
        ("failed", [canceled, expired, failed]),
        ("failed_or_expired", [expired, failed]),
        ("canceled", [canceled]),
    ):
        assert ids(admin.get(PATH, params={"filterStatus": word})) == wanted
    assert ids(admin.get(PATH, params={"filterDelivery": "failed"})) == [failed]


def test_search_finds_a_fragment_of_a_number(dashboard: WebServer, admin: httpx.Client) -> None:
    (wanted,) = submit(dashboard.database, phone="+201009998877", now=now_ms())
    submit(dashboard.database, phone="+447700900123", now=now_ms())
    for piece in ("9998", "+20100999", "0100 999-88 77", "٩٩٩٨"):
        assert ids(admin.get(PATH, params={"searchQuery": piece})) == [wanted]


@pytest.mark.parametrize(
    "hostile", ["'", '"', "%", "_", "\\", "a OR b", "NEAR(", "\0", "\ud83d", "*", "{code}", "--"]
)
def test_hostile_search_is_treated_as_text(
    dashboard: WebServer, admin: httpx.Client, hostile: str
) -> None:
    submit(dashboard.database, now=now_ms())
    encoded = hostile.encode("utf-8", "surrogatepass")
    assert admin.get(PATH, params={"searchQuery": encoded}).status_code == 200


def test_search_finds_a_code_without_showing_or_storing_it(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, otp_length=10)
    accepted = server.send().json()
    code = accepted["otp"]
    with script(server) as admin:
        log_in_script(admin)
        answer = admin.get(PATH, params={"searchQuery": code})
    assert ids(answer) == [accepted["jobId"]]
    assert code not in answer.text
    with server.database.read() as connection:
        noted = connection.execute(
            select(audit).where(audit.c.what == "code_search").order_by(audit.c.id)
        ).all()
    assert len(noted) == 1
    assert code not in repr(noted)
    assert noted[0].who == "admin"


def test_pending_code_is_not_found_by_trying_them_all(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, otp_length=10)  # no part of a phone
    accepted = server.send().json()
    code, job = accepted["otp"], accepted["jobId"]
    others = [f"{number:04}" for number in range(21) if f"{number:04}" != code][:20]
    with script(server) as admin, Person(server) as person:
        log_in_script(admin)
        for other in others:
            assert admin.get(PATH, params={"searchQuery": other}).json()["codesSearched"]
        refused = [admin.get(PATH, params={"searchQuery": text}) for text in (code, code, "9a9")]
        person.log_in()
        shown = [
            'id="codes-left-out"' in person.get(f"/admin/status?searchQuery={text}").text
            for text in (code, others[0], "no code")
        ]
        by_phone = admin.get(PATH, params={"searchQuery": PHONE[-9:]})
        by_number = admin.get(PATH, params={"searchQuery": f"#{job}"})
    assert [ids(answer) for answer in refused] == [[], [], []]
    assert [answer.json()["codesSearched"] for answer in refused] == [False, False, True]
    assert shown == [True, False, False]
    assert ids(by_phone) == ids(by_number) == [job]
    with server.database.read() as connection:
        noted = connection.execute(
            select(audit).where(audit.c.what == "code_search").order_by(audit.c.id)
        ).all()
    assert [row.outcome for row in noted] == ["ok"] * 20 + ["refused"]


def test_search_that_cannot_be_a_code_is_not_audited(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    admin.get(PATH, params={"searchQuery": "no account"})
    with dashboard.database.read() as connection:
        assert not connection.execute(select(audit).where(audit.c.what == "code_search")).all()


def test_other_callers_are_refused(dashboard: WebServer) -> None:
    with script(dashboard) as stranger:
        assert stranger.get(PATH).status_code == 401
        assert stranger.get("/admin/api/traffic").status_code == 401


@pytest.mark.parametrize(("chosen", "count"), [("hour", 60), ("day", 24), ("month", 30)])
def test_traffic_has_a_value_for_each_interval(
    dashboard: WebServer, admin: httpx.Client, chosen: str, count: int
) -> None:
    submit(dashboard.database, 2, now=now_ms())
    body = admin.get("/admin/api/traffic", params={"range": chosen}).json()
    assert body["range"] == chosen
    assert {len(values) for name, values in body.items() if name != "range"} == {count}
    assert sum(body["accepted"]) == 2


def test_unknown_range_is_refused(admin: httpx.Client) -> None:
    assert admin.get("/admin/api/traffic", params={"range": "year"}).status_code == 400
