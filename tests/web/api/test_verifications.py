"""Verifications: shown, canceled, resent and listed, each only for its own key."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hudhud.auth import api_keys
from hudhud.core.clock import iso, now_ms
from hudhud.verification.waiting import EndWaiter
from support.keyed_api import OTP, KeyedApi, keyed, new_number, refusal, wrong
from support.queued import stored
from support.web_server import KEY, WebServer

INVALID = (400, "invalid_parameter")
NOT_FOUND = (404, "not_found")
NOTHING = "v" + "0" * 43
IDS = ["verificationId", "jobId"]


@pytest.fixture
def shop(api: WebServer) -> KeyedApi:
    """A key that sends, checks and reads."""
    return keyed(api)


def post(shop: KeyedApi, one: object, what: str) -> httpx.Response:
    return shop.ask("POST", f"{OTP}/{one}/{what}")


def sent(shop: KeyedApi, *, seconds_ago: int = 30, **fields: Any) -> dict[str, Any]:
    """Start a verification whose message was sent this long ago."""
    one = shop.accepted(**fields)
    at = now_ms() - seconds_ago * 1000
    shop.change_job(one["jobId"], status="sent", sent_at=at, created_at=at)
    return one


def shown(shop: KeyedApi, one: dict[str, Any]) -> dict[str, Any]:
    answer = shop.get(f"/{one['verificationId']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_verification_is_shown_completely_but_without_its_code(shop: KeyedApi) -> None:
    phone = new_number()
    one = shop.accepted(phone, locale="en", reference="order-1", metadata={"a": 1}, length=10)
    row = shop.verification(one["verificationId"])
    answer = shop.get(f"/{one['verificationId']}")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "verificationId": one["verificationId"],
        "status": "pending",
        "reason": None,
        "phoneNumber": phone,
        "provedNumber": None,
        "whatsappNumber": None,
        "mode": "send",
        "template": "otp",
        "locale": "en",
        "reference": "order-1",
        "metadata": {"a": 1},
        "redirectUrl": None,
        "attemptsRemaining": 5,
        "resendsRemaining": 3,
        "created_at": iso(row.created_at),
        "otp_expires_at": one["otp_expires_at"],
        "ended_at": None,
        "jobs": [
            {
                "jobId": one["jobId"],
                "status": "pending",
                "delivery": "queued",
                "error": None,
                "created_at": iso(row.created_at),
            }
        ],
    }
    assert one["otp"] not in answer.text


def test_each_step_of_a_verification_is_shown(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.check(jobId=one["jobId"], otp=wrong(one["otp"]))
    assert shown(shop, one)["attemptsRemaining"] == 4
    shop.check(jobId=one["jobId"], otp=one["otp"])
    found = shown(shop, one)
    assert (found["status"], found["attemptsRemaining"]) == ("approved", 4)
    assert found["ended_at"] == iso(shop.verification(one["verificationId"]).ended_at)
    assert found["jobs"][0]["delivery"] == "canceled"


def test_overdue_verification_is_shown_as_expired_before_housekeeping(
    shop: KeyedApi,
) -> None:
    one = shop.accepted()
    shop.change(one["verificationId"], expires_at=now_ms())
    assert shown(shop, one)["status"] == "expired"
    assert shop.verification(one["verificationId"]).status == "pending"


def test_a_job_names_its_verification(shop: KeyedApi) -> None:
    one = shop.accepted()
    job = shop.get(f"/{one['jobId']}").json()
    assert (job["jobId"], job["verificationId"]) == (one["jobId"], one["verificationId"])


@pytest.mark.parametrize("name", IDS)
def test_head_answers_like_get_without_a_body(shop: KeyedApi, name: str) -> None:
    one = shop.accepted()
    answer = shop.ask("HEAD", f"{OTP}/{one[name]}?wait=60")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("wait", ["-1", "61", "1.5", "x", "٢", "0x1", "1e1", "1000", "05"])
@pytest.mark.parametrize("name", IDS)
def test_a_wait_is_0_to_60_seconds(shop: KeyedApi, name: str, wait: str) -> None:
    one = shop.accepted()
    assert refusal(shop.get(f"/{one[name]}", wait=wait)) == INVALID


@pytest.mark.parametrize("wait", ["", "0"])
def test_request_without_a_wait_is_answered_at_once(shop: KeyedApi, wait: str) -> None:
    assert shop.get(f"/{shop.accepted()['verificationId']}", wait=wait).status_code == 200


def test_waiting_request_is_answered_when_the_verification_ends(shop: KeyedApi) -> None:
    one = shop.accepted()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(shop.get, f"/{one['verificationId']}", wait=60)
        shop.check(jobId=one["jobId"], otp=one["otp"])
        assert waiting.result().json()["status"] == "approved"


def test_longest_wait_ends_before_a_load_balancer_gives_up(
    shop: KeyedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    async def until_ended(_self: EndWaiter, _id: str, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(EndWaiter, "until_ended", until_ended)
    for wait in (60, 55, 20):
        assert shop.get(f"/{shop.accepted()['jobId']}", wait=wait).status_code == 200
    assert waits == [55, 55, 20]


def test_ended_verification_is_answered_at_once(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.check(jobId=one["jobId"], otp=one["otp"])
    assert shop.get(f"/{one['jobId']}", wait=60).status_code == 200


@pytest.mark.parametrize("one", [NOTHING, NOTHING.upper(), "v", "v1", "x", NOTHING + "0"])
def test_unknown_verification_is_not_found(shop: KeyedApi, one: str) -> None:
    word = "not_found" if one == NOTHING else None  # the others exist under this id
    assert refusal(shop.get(f"/{one}")) == (404, word)
    assert refusal(post(shop, one, "cancel")) == NOT_FOUND
    assert refusal(post(shop, one, "resend")) == NOT_FOUND


@pytest.mark.parametrize("job", ["0", "-1", "007", "9" * 18, "9" * 19, "1.0", "%D9%A1"])
def test_unknown_job_is_not_found(shop: KeyedApi, job: str) -> None:
    assert refusal(shop.get(f"/{job}")) == (404, None)
    assert refusal(post(shop, job, "cancel")) == NOT_FOUND
    assert refusal(post(shop, job, "resend")) == NOT_FOUND


@pytest.mark.parametrize("name", IDS)
def test_verification_of_another_key_is_not_found(shop: KeyedApi, name: str) -> None:
    one = sent(shop)
    for other in (keyed(shop.server), KeyedApi(shop.server, KEY)):
        assert other.get(f"/{one[name]}").status_code == 404
        assert refusal(post(other, one[name], "cancel")) == NOT_FOUND
        assert refusal(post(other, one[name], "resend")) == NOT_FOUND
        nothing = "1" * 18 if name == "jobId" else NOTHING
        told = other.get(f"/{one[name]}").text.replace(str(one[name]), nothing)
        assert told == other.get(f"/{nothing}").text
    assert shown(shop, one)["status"] == "pending"


@pytest.mark.parametrize("name", IDS)
def test_admin_sees_and_changes_verifications_of_any_key(shop: KeyedApi, name: str) -> None:
    admin = keyed(shop.server, "admin")
    environment = KeyedApi(shop.server, KEY)
    for maker in (shop, environment):
        one = sent(maker)
        assert admin.get(f"/{one[name]}").status_code == 200
        assert post(admin, one[name], "resend").status_code == 202
        assert post(admin, one[name], "cancel").status_code == 200


def test_rotated_key_sees_verifications_of_the_old_one(shop: KeyedApi) -> None:
    one = shop.accepted()
    with shop.server.database.write() as connection:
        rotated = api_keys.rotate(connection, shop.owner, now=now_ms())
    assert rotated is not None
    shop.server.renew_keys()
    renewed = KeyedApi(shop.server, rotated.key)
    assert shown(renewed, one)["status"] == "pending"
    assert renewed.check(jobId=one["jobId"], otp=one["otp"]).json()["valid"] is True


@pytest.mark.parametrize("name", IDS)
def test_a_canceled_verification_is_shown_and_its_message_is_not_sent(
    shop: KeyedApi, name: str
) -> None:
    one = shop.accepted()
    answer = post(shop, one[name], "cancel")
    assert answer.status_code == 200
    assert answer.json() == shown(shop, one)
    assert (answer.json()["status"], answer.json()["reason"]) == ("canceled", "caller")
    assert answer.json()["jobs"][0]["delivery"] == "canceled"
    row = shop.verification(one["verificationId"])
    assert (row.code_sealed, row.code_index) == (None, None)
    assert shop.check(jobId=one["jobId"], otp=one["otp"]).status_code == 404


def test_ended_verification_cannot_be_canceled(shop: KeyedApi) -> None:
    one = shop.accepted()
    assert post(shop, one["jobId"], "cancel").status_code == 200
    assert refusal(post(shop, one["jobId"], "cancel")) == (409, "not_pending")
    used = shop.accepted()
    shop.check(jobId=used["jobId"], otp=used["otp"])
    assert refusal(post(shop, used["jobId"], "cancel")) == (409, "not_pending")
    over = shop.accepted()
    shop.change(over["verificationId"], expires_at=now_ms())
    assert refusal(post(shop, over["jobId"], "cancel")) == (410, "expired")


def test_failed_verification_can_be_canceled(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.change(one["verificationId"], status="failed", ended_at=now_ms())
    assert post(shop, one["jobId"], "cancel").json()["status"] == "canceled"


def test_only_one_of_many_simultaneous_cancels_succeeds(shop: KeyedApi) -> None:
    one = shop.accepted()
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: post(shop, one["jobId"], "cancel"), range(16))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 15


@pytest.mark.parametrize("name", IDS)
def test_exact_answer_of_a_resend(shop: KeyedApi, name: str) -> None:
    one = sent(shop)
    answer = shop.ask("POST", f"{OTP}/{one[name]}/resend", headers={"X-Request-ID": "again-1"})
    assert answer.status_code == 202
    assert answer.headers["x-request-id"] == "again-1"
    assert "otp" not in answer.json()
    found = re.fullmatch(
        r'\{"message":"The code has been queued for sending again\.",'
        rf'"verificationId":"{one["verificationId"]}","jobId":([1-9][0-9]*),'
        rf'"otp_expires_at":"{re.escape(one["otp_expires_at"])}","resendsRemaining":2\}}',
        answer.text,
    )
    assert found, answer.text
    again = stored(shop.server.database, int(found[1]))
    assert (again.status, again.request_id) == ("queued", "again-1")
    assert [job["jobId"] for job in shown(shop, one)["jobs"]] == [one["jobId"], again.id]
    assert shop.check(jobId=again.id, otp=one["otp"]).json()["valid"] is True


def test_resend_is_refused_while_a_message_waits(shop: KeyedApi) -> None:
    one = shop.accepted()
    assert refusal(post(shop, one["jobId"], "resend")) == (409, "still_queued")


def test_early_resend_is_refused_with_retry_after(shop: KeyedApi) -> None:
    one = sent(shop, seconds_ago=10)
    answer = post(shop, one["jobId"], "resend")
    assert refusal(answer) == (429, "resend_too_early")
    assert 1 <= int(answer.headers["Retry-After"]) <= 20


def test_fourth_resend_is_refused(shop: KeyedApi) -> None:
    one = sent(shop)
    shop.change(one["verificationId"], resends=3)
    answer = post(shop, one["jobId"], "resend")
    assert refusal(answer) == (429, "resends_used_up")
    assert "Retry-After" not in answer.headers
    assert shown(shop, one)["resendsRemaining"] == 0


def test_ended_verification_is_not_resent(shop: KeyedApi) -> None:
    used, over = sent(shop), sent(shop)
    shop.check(jobId=used["jobId"], otp=used["otp"])
    assert refusal(post(shop, used["jobId"], "resend")) == (409, "not_pending")
    shop.change(over["verificationId"], expires_at=now_ms())
    assert refusal(post(shop, over["jobId"], "resend")) == (410, "expired")


def test_resend_counts_against_the_limits_and_returns_their_headers(api: WebServer) -> None:
    shop = keyed(api, limits="per_number=2/1h per_prefix=0")
    one = sent(shop)
    answer = post(shop, one["jobId"], "resend")
    assert answer.headers["RateLimit"].startswith('"per_number-1h";r=0;t=')
    second = shown(shop, one)["jobs"][1]["jobId"]
    shop.change_job(second, status="sent", created_at=now_ms() - 60_000)
    refused = post(shop, one["jobId"], "resend")
    assert refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 0


def test_only_one_of_many_simultaneous_resends_succeeds(shop: KeyedApi) -> None:
    one = sent(shop)
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: post(shop, one["jobId"], "resend"), range(16))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 15
    assert len(shown(shop, one)["jobs"]) == 2


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("read", "GET", f"/{NOTHING}"),
        ("read", "GET", "/1"),
        ("read", "GET", ""),
        ("send", "POST", f"/{NOTHING}/cancel"),
        ("send", "POST", f"/{NOTHING}/resend"),
    ],
)
def test_each_request_requires_a_key_with_its_scope(
    api: WebServer, scope: str, method: str, path: str
) -> None:
    others = {"send", "verify", "read", "sandbox"} - {scope}
    lacking = keyed(api, *others)
    assert refusal(lacking.ask(method, OTP + path)) == (403, "scope_missing")
    nobody = KeyedApi(api, "hh_live_nobody")
    assert refusal(nobody.ask(method, OTP + path)) == (401, None)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["verificationId"] for one in answer.json()["verifications"]]


def test_key_lists_its_verifications_newest_first(shop: KeyedApi) -> None:
    made = [shop.accepted()["verificationId"] for _ in range(3)]
    keyed(shop.server).accepted()
    KeyedApi(shop.server, KEY).accepted()
    assert ids(shop.get()) == made[::-1]
    assert ids(shop.get("/")) == made[::-1]


def test_list_entries_equal_the_single_answers(shop: KeyedApi) -> None:
    one = sent(shop, reference="order-1", metadata={"a": [1]})
    post(shop, one["jobId"], "resend")
    assert shop.get().json() == {"verifications": [shown(shop, one)], "nextCursor": None}


def test_list_continues_at_its_cursor(shop: KeyedApi) -> None:
    made = [shop.accepted()["verificationId"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while True:
        page = shop.get(limit=2, cursor=cursor)
        found += ids(page)
        cursor = page.json()["nextCursor"]
        if cursor is None:
            break
        assert cursor == found[-1]
    assert found == made[::-1]


def test_a_full_last_page_has_no_cursor(shop: KeyedApi) -> None:
    for _ in range(2):
        shop.accepted()
    assert shop.get(limit=2).json()["nextCursor"] is None


def test_list_can_be_filtered(shop: KeyedApi) -> None:
    phone = new_number()
    one = shop.accepted(phone, reference="order-1")
    other = shop.accepted(reference="order-1")
    third = shop.accepted(reference="order-2")
    post(shop, third["jobId"], "cancel")
    shop.check(jobId=other["jobId"], otp=other["otp"])
    first, second, last = (one["verificationId"], other["verificationId"], third["verificationId"])
    assert ids(shop.get(phoneNumber=phone)) == [first]
    assert ids(shop.get(reference="order-1")) == [second, first]
    assert ids(shop.get(reference="order-1", status="approved")) == [second]
    assert ids(shop.get(status="canceled")) == [last]
    assert ids(shop.get(status="pending,canceled")) == [last, first]
    assert ids(shop.get(phoneNumber=phone, reference="order-2")) == []
    assert ids(shop.get(reference="order-3")) == []


@pytest.mark.parametrize("written", ["+{}", " {}", "%2B{}"])
def test_a_plus_in_the_query_need_not_be_escaped(shop: KeyedApi, written: str) -> None:
    phone = new_number()
    one = shop.accepted(phone)
    address = f"{OTP}?phoneNumber={written.format(phone[1:])}"
    assert ids(shop.ask("GET", address)) == [one["verificationId"]]


def test_number_or_reference_of_another_key_lists_nothing(shop: KeyedApi) -> None:
    phone = new_number()
    one = shop.accepted(phone, reference="order-77")
    other = keyed(shop.server)
    assert ids(other.get(phoneNumber=phone)) == ids(other.get(reference="order-77")) == []
    assert ids(other.get(cursor=one["verificationId"])) == []


def test_admin_lists_verifications_of_all_keys(shop: KeyedApi) -> None:
    phone = new_number()
    environment = KeyedApi(shop.server, KEY)
    made = [maker.accepted(phone)["verificationId"] for maker in (shop, environment)]
    admin = keyed(shop.server, "admin")
    assert ids(admin.get(phoneNumber=phone)) == made[::-1]
    assert ids(admin.get(limit=2)) == made[::-1]
    assert ids(admin.get(limit=2, status="pending")) == made[::-1]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"status": "done"}, "invalid_parameter"),
        ({"status": "pending,done"}, "invalid_parameter"),
        ({"cursor": "v1"}, "invalid_parameter"),
        ({"cursor": "1"}, "invalid_parameter"),
        ({"limit": "0"}, "invalid_parameter"),
        ({"limit": "201"}, "invalid_parameter"),
        ({"limit": "-1"}, "invalid_parameter"),
        ({"limit": "x"}, "invalid_parameter"),
        ({"limit": "٥"}, "invalid_parameter"),
        ({"phoneNumber": "201001234567"}, "invalid_parameter"),
        ({"phoneNumber": "x"}, "invalid_parameter"),
    ],
)
def test_invalid_query_is_refused(shop: KeyedApi, query: dict[str, str], word: str | None) -> None:
    assert refusal(shop.get(**query)) == (400, word)


@pytest.mark.parametrize("reference", ["\x00", "a\x00b", "'; --", "%", "\u202e", "x" * 9000])
def test_unusual_reference_finds_nothing(shop: KeyedApi, reference: str) -> None:
    shop.accepted(reference="order-1")
    assert ids(shop.get(reference=reference)) == []


def test_empty_filter_is_ignored(shop: KeyedApi) -> None:
    one = shop.accepted()
    empty = {"phoneNumber": "", "reference": "", "status": "", "cursor": "", "limit": ""}
    assert ids(shop.get(**empty)) == [one["verificationId"]]


def test_unknown_number_is_null(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.change(one["verificationId"], phone="", link_mode="reply", locale=None)
    found = shown(shop, one)
    assert (found["phoneNumber"], found["mode"], found["locale"]) == (None, "reply", None)


@pytest.mark.parametrize("query", ["status=approved,pending", "status=approved&status=pending"])
def test_several_statuses_can_be_given_in_every_form(shop: KeyedApi, query: str) -> None:
    one, other, third = shop.accepted(), shop.accepted(), shop.accepted()
    assert shop.check(jobId=one["jobId"], otp=one["otp"]).json()["valid"]
    shop.ask("POST", f"{OTP}/{third['jobId']}/cancel")
    answer = shop.ask("GET", f"{OTP}?{query}")
    assert ids(answer) == [other["verificationId"], one["verificationId"]]
