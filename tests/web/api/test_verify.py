"""POST /api/v1/otp/verify: every answer, and one approval among simultaneous right checks."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hudhud.core.clock import now_ms
from support.keyed_api import VERIFY, KeyedApi, keyed, new_number, refusal, wrong
from support.web_server import KEY, ServeWeb, WebServer

INVALID = (400, "invalid_parameter")
NOTHING = "v" + "0" * 43
OVER = '{"message":"The code has expired. Send a new one.","error":"expired"}'
USED = '{"message":"This code was used already.","error":"already_used"}'
USED_UP = (
    '{"message":"Too many wrong codes were tried. Send a new one.","error":"max_attempts_reached"}'
)
NOTHING_PENDING = (
    '{"message":"There is no pending verification for this. Send a new code.",'
    '"error":"nothing_pending"}'
)


@pytest.fixture
def shop(api: WebServer) -> KeyedApi:
    """A key that sends and checks."""
    return keyed(api)


@pytest.fixture
def environment(api: WebServer) -> KeyedApi:
    """The key of API_KEY."""
    return KeyedApi(api, KEY)


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer.status_code, answer.text


def test_exact_answer_to_a_right_code(shop: KeyedApi) -> None:
    one = shop.accepted()
    answer = shop.check(verificationId=one["verificationId"], otp=one["otp"])
    assert told(answer) == (
        200,
        f'{{"valid":true,"status":"approved","verificationId":"{one["verificationId"]}"}}',
    )


def test_exact_answer_to_a_wrong_code(shop: KeyedApi) -> None:
    one = shop.accepted()
    answer = shop.check(verificationId=one["verificationId"], otp=wrong(one["otp"]))
    assert told(answer) == (
        200,
        '{"valid":false,"status":"pending",'
        f'"verificationId":"{one["verificationId"]}","attemptsRemaining":4}}',
    )


@pytest.mark.parametrize("name", ["phoneNumber", "verificationId", "jobId", "jobId as text"])
def test_a_verification_may_be_named_in_three_ways(shop: KeyedApi, name: str) -> None:
    phone = new_number()
    one = shop.accepted(phone)
    named: dict[str, Any] = {
        "phoneNumber": {"phoneNumber": phone},
        "verificationId": {"verificationId": one["verificationId"]},
        "jobId": {"jobId": one["jobId"]},
        "jobId as text": {"jobId": str(one["jobId"])},
    }[name]
    assert shop.check(**named, otp=one["otp"]).json()["valid"] is True


@pytest.mark.parametrize(
    "typed", ["٠٤٧١", "۰۴۷۱", " 04 71 ", "04-71", "04\u201371", "0\u00a0471", "\u200f0471\u200e"]
)
def test_common_spellings_of_a_code_are_accepted(shop: KeyedApi, typed: str) -> None:
    one = shop.accepted(code="0471")
    assert shop.check(jobId=one["jobId"], otp=typed).json()["valid"] is True


def test_a_code_may_be_a_number_in_json(shop: KeyedApi) -> None:
    one = shop.accepted(code="4711")
    assert shop.check(jobId=one["jobId"], otp=4711).json()["valid"] is True


@pytest.mark.parametrize("code", ["0345", "0000", "00345", "0000000345", "345000"])
def test_a_number_in_json_may_have_lost_its_zeros(shop: KeyedApi, code: str) -> None:
    one = shop.accepted(code=code)
    assert shop.check(jobId=one["jobId"], otp=int(code)).json()["valid"] is True


@pytest.mark.parametrize("typed", [346, 3450, 5, 10**12, 10**99])
def test_a_wrong_number_in_json_uses_one_attempt(shop: KeyedApi, typed: int) -> None:
    one = shop.accepted(code="0345")
    assert shop.check(jobId=one["jobId"], otp=typed).json()["attemptsRemaining"] == 4
    assert shop.verification(one["verificationId"]).attempts == 1


def test_a_text_gets_no_zeros(shop: KeyedApi) -> None:
    phone = new_number()
    one = shop.accepted(phone, code="0345")
    assert shop.check(jobId=one["jobId"], otp="345").json()["valid"] is False
    assert shop.form(VERIFY, phoneNumber=phone, otp="345").json()["valid"] is False


def test_a_negative_number_is_compared_as_a_text(shop: KeyedApi) -> None:
    one = shop.accepted(code="0345")
    assert shop.check(jobId=one["jobId"], otp=-345).json()["valid"] is False
    assert shop.verification(one["verificationId"]).attempts == 1


def test_form_is_accepted(shop: KeyedApi) -> None:
    phone = new_number()
    shop.accepted(phone, code="0471")
    assert shop.form(VERIFY, phoneNumber=phone, otp="0472").json()["attemptsRemaining"] == 4
    assert shop.form(VERIFY, phoneNumber=phone, otp="٠٤٧١").json()["valid"] is True


def test_last_wrong_code_ends_the_verification(shop: KeyedApi) -> None:
    one = shop.accepted()
    named = {"verificationId": one["verificationId"]}
    answers = [shop.check(**named, otp=wrong(one["otp"])).json() for _ in range(5)]
    assert [answer["attemptsRemaining"] for answer in answers] == [4, 3, 2, 1, 0]
    assert [answer["status"] for answer in answers] == ["pending"] * 4 + ["max_attempts_reached"]
    refused = shop.check(**named, otp=one["otp"])
    assert told(refused) == (429, USED_UP)
    assert "Retry-After" not in refused.headers


def test_number_of_attempts_is_configurable(serve_web: ServeWeb) -> None:
    shop = keyed(serve_web(otp_max_attempts=1))
    one = shop.accepted()
    assert shop.check(jobId=one["jobId"], otp=wrong(one["otp"])).json() == {
        "valid": False,
        "status": "max_attempts_reached",
        "verificationId": one["verificationId"],
        "attemptsRemaining": 0,
    }


def test_a_used_code_is_refused(shop: KeyedApi) -> None:
    one = shop.accepted()
    assert shop.check(jobId=one["jobId"], otp=one["otp"]).status_code == 200
    for typed in (one["otp"], wrong(one["otp"])):
        assert told(shop.check(jobId=one["jobId"], otp=typed)) == (409, USED)


def test_expired_code_is_refused(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.change(one["verificationId"], expires_at=now_ms())
    for typed in (one["otp"], wrong(one["otp"])):
        assert told(shop.check(jobId=one["jobId"], otp=typed)) == (410, OVER)
    shop.change(one["verificationId"], status="expired")
    assert told(shop.check(jobId=one["jobId"], otp=one["otp"])) == (410, OVER)


@pytest.mark.parametrize("status", ["canceled", "failed"])
def test_canceled_or_failed_verification_is_not_pending(shop: KeyedApi, status: str) -> None:
    one = shop.accepted()
    shop.change(one["verificationId"], status=status)
    assert told(shop.check(jobId=one["jobId"], otp=one["otp"])) == (404, NOTHING_PENDING)


@pytest.mark.parametrize(
    "named", [{"phoneNumber": "+201000000000"}, {"verificationId": NOTHING}, {"jobId": 10**17}]
)
def test_unknown_verification_is_not_pending(shop: KeyedApi, named: dict[str, Any]) -> None:
    assert told(shop.check(**named, otp="1234")) == (404, NOTHING_PENDING)


@pytest.mark.parametrize("name", ["phoneNumber", "verificationId", "jobId"])
def test_verification_of_another_key_is_not_pending_and_loses_no_attempt(
    shop: KeyedApi, name: str
) -> None:
    phone = new_number()
    one = shop.accepted(phone)
    named = {"phoneNumber": phone, **one}[name]
    other = keyed(shop.server)
    assert told(other.check(**{name: named}, otp=one["otp"])) == (404, NOTHING_PENDING)
    assert shop.verification(one["verificationId"]).attempts == 0
    admin = keyed(shop.server, "admin")
    assert admin.check(**{name: named}, otp=one["otp"]).json()["valid"] is True


def test_newest_code_of_a_number_is_checked(shop: KeyedApi) -> None:
    phone = new_number()
    shop.accepted(phone, code="1111")
    shop.accepted(phone, code="2222")
    assert shop.check(phoneNumber=phone, otp="1111").json()["valid"] is False
    assert shop.check(phoneNumber=phone, otp="2222").json()["valid"] is True


def test_scope_is_required(api: WebServer) -> None:
    lacking = keyed(api, "send", "read")
    one = lacking.accepted()
    answer = lacking.check(jobId=one["jobId"], otp=one["otp"])
    assert refusal(answer) == (403, "scope_missing")
    assert lacking.verification(one["verificationId"]).status == "pending"


def test_environment_key_may_check_the_newest_code_of_a_number(environment: KeyedApi) -> None:
    phone = new_number()
    older, newest = environment.accepted(phone, code="1111"), environment.accepted(phone)
    assert len(newest["otp"]) == 4
    assert environment.check(phoneNumber=phone, otp="1111").json() == {
        "valid": False,
        "status": "pending",
        "verificationId": newest["verificationId"],
        "attemptsRemaining": 4,
    }
    by_id = environment.check(verificationId=older["verificationId"], otp="1111")
    assert told(by_id) == (404, NOTHING_PENDING)
    assert environment.check(phoneNumber=phone, otp=newest["otp"]).json()["valid"] is True
    assert refusal(environment.check(phoneNumber=phone, otp="1111")) == (409, "already_used")


def test_wrong_codes_refuse_no_send_of_the_environment_key(environment: KeyedApi) -> None:
    phone = new_number()
    one = environment.accepted(phone)
    for _ in range(6):
        tried = environment.check(phoneNumber=phone, otp=wrong(one["otp"]))
    assert refusal(tried) == (429, "max_attempts_reached")
    again = environment.accepted(phone)
    assert environment.check(phoneNumber=phone, otp=again["otp"]).json()["valid"] is True


def test_key_is_required(api: WebServer) -> None:
    answer = httpx.post(f"{api.client.base_url}{VERIFY}", json={"jobId": 1, "otp": "1"})
    missing = '{"message":"Unauthorized: API Key is missing from headers."}'
    assert told(answer) == (401, missing)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"phoneNumber": "", "jobId": None},
        {"jobId": 0},
        {"phoneNumber": "+201001234567", "jobId": 1},
        {"phoneNumber": "+201001234567", "verificationId": NOTHING},
        {"phoneNumber": "+201001234567", "verificationId": NOTHING, "jobId": 1},
    ],
)
def test_exactly_one_verification_must_be_named(shop: KeyedApi, fields: dict[str, Any]) -> None:
    answer = shop.check(**fields, otp="1234")
    assert refusal(answer) == INVALID
    assert "exactly one" in answer.json()["message"]


@pytest.mark.parametrize(
    "verification", ["v", "V" + "0" * 43, NOTHING + "0", NOTHING[:-1] + "g", 5, [], [NOTHING]]
)
def test_malformed_id_is_refused(shop: KeyedApi, verification: Any) -> None:
    assert refusal(shop.check(verificationId=verification, otp="1234")) == INVALID


@pytest.mark.parametrize("job", [-1, 10**18, 1.5, "one", "0", True, [1], {"id": 1}])
def test_malformed_job_id_is_refused(shop: KeyedApi, job: Any) -> None:
    assert refusal(shop.check(jobId=job, otp="1234")) == INVALID


@pytest.mark.parametrize("phone", ["201001234567", 5, "x", ["+201001234567"]])
def test_invalid_number_is_refused_like_in_a_send(shop: KeyedApi, phone: Any) -> None:
    answer = shop.check(phoneNumber=phone, otp="1234")
    assert refusal(answer) == INVALID
    assert "Invalid phone number format" in answer.json()["message"]


@pytest.mark.parametrize("typed", [None, "", [], {}, True, 1.5, "1" * 101, 10**100, ["1234"]])
def test_typed_code_is_required(shop: KeyedApi, typed: Any) -> None:
    one = shop.accepted()
    answer = shop.check(jobId=one["jobId"], otp=typed)
    assert refusal(answer) == INVALID
    assert '"otp"' in answer.json()["message"]
    assert shop.verification(one["verificationId"]).attempts == 0


def test_body_without_a_code_is_refused_with_a_reason(shop: KeyedApi) -> None:
    assert refusal(shop.check(jobId=1)) == INVALID


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_refused(shop: KeyedApi, content: bytes) -> None:
    headers = {"X-API-KEY": shop.key, "Content-Type": "application/json"}
    answer = shop.server.client.post(VERIFY, content=content, headers=headers)
    assert answer.status_code == 400


def test_multipart_body_is_refused_without_using_an_attempt(shop: KeyedApi) -> None:
    one = shop.accepted()
    fields = {"jobId": (None, str(one["jobId"])), "otp": (None, one["otp"])}
    headers = {"X-API-KEY": shop.key}
    answer = shop.server.client.post(VERIFY, files=fields, headers=headers)
    assert refusal(answer) == (415, "unsupported_media_type")
    for accepted in ("application/json", "application/x-www-form-urlencoded"):
        assert accepted in answer.json()["message"]
    row = shop.verification(one["verificationId"])
    assert (row.status, row.attempts) == ("pending", 0)


def test_key_is_checked_before_the_type_of_the_body(api: WebServer) -> None:
    fields = {"otp": (None, "1234")}
    answer = api.client.post(VERIFY, files=fields, headers={"X-API-KEY": "wrong"})
    assert answer.status_code == 401


def test_invalid_request_uses_no_attempt(shop: KeyedApi) -> None:
    one = shop.accepted()
    shop.check(jobId=one["jobId"])
    shop.check(jobId=one["jobId"], phoneNumber="x", otp="1")
    assert shop.verification(one["verificationId"]).attempts == 0


def test_one_of_a_hundred_simultaneous_right_checks_is_valid(shop: KeyedApi) -> None:
    one = shop.accepted()
    with ThreadPoolExecutor(20) as threads:
        answers = list(
            threads.map(lambda _: shop.check(jobId=one["jobId"], otp=one["otp"]), range(100))
        )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 99}
    assert [answer.json()["valid"] for answer in answers if answer.status_code == 200] == [True]


def test_a_hundred_simultaneous_wrong_checks_use_five_attempts(shop: KeyedApi) -> None:
    one = shop.accepted()
    typed = wrong(one["otp"])
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: shop.check(jobId=one["jobId"], otp=typed), range(100)))
    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 95}
    assert shop.verification(one["verificationId"]).attempts == 5


def test_answer_never_contains_a_code(shop: KeyedApi) -> None:
    one = shop.accepted(length=10)
    typed = wrong(one["otp"])
    answers = [
        shop.check(jobId=one["jobId"], otp=typed),
        shop.check(jobId=one["jobId"], otp=one["otp"]),
        shop.check(jobId=one["jobId"], otp=one["otp"]),
    ]
    assert not any(one["otp"] in answer.text or typed in answer.text for answer in answers)


def test_too_many_wrong_codes_for_a_number_get_429(api: WebServer) -> None:
    shop = keyed(api, "send", "verify", limits="per_number=0 wrong_codes=1/1h")
    phone = new_number()
    one = shop.accepted(phone)
    assert shop.check(jobId=one["jobId"], otp=wrong(one["otp"])).json()["valid"] is False
    for answer in (shop.check(phoneNumber=phone, otp=one["otp"]), shop.send(phone)):
        assert (answer.status_code, answer.json()["error"]) == (429, "too_many_wrong_codes")
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
