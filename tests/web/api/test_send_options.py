"""POST /api/v1/otp/send: its optional fields, and the errors of invalid ones."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.keyed_api import NO_LIMITS, KeyedApi, keyed, new_number, refusal
from support.queued import stored
from support.web_server import KEY, PHONE, SEND, ServeWeb, WebServer

INVALID = (400, "invalid_parameter")
TEXTS = '''
[templates."pay.ment".en]
wordings = ["""
Confirm your payment at {brand}:
{code}"""]
'''


TRUE = ["true", "True", "TRUE", "1", "on", "On", "yes", "YES"]
FALSE = ["false", "False", "FALSE", "0", "off", "OFF", "no", "No"]
WRONG: dict[str, list[Any]] = {
    "length": [0, 3, 11, -4, 4.5, True, "4.0", "x", [4], {}, 10**30],
    "ttlSeconds": [0, 59, 901, -60, 60.5, False, "٦٠", [], "1e2"],
    "code": [1234, "123", "12345678901", "12 34", "١٢٣٤", "12-34", []],
    "locale": ["e n", "é", 5, ["en"], "x" * 65, "en\n", True, "-", "e", "en-", "en--gb", "123",
               "languages", "en-languages", "ar,en", "ar;q=0.9", "en" + "-abcdefg" * 8],
    "template": ["o tp", "../otp", 5, {}, "x" * 65, "otp\n"],
    "reference": ["x" * 65, 5, [], {}, "a\nb", "a\x00", "a\u202eb"],
    "metadata": ["x", 5, [], [1], {"x": "y" * 1024}, True],
    "hideCode": [1, 0, 1.0, "y", "2", "ja", "truefalse", " ", [], {}, [True]],
    "clientIp": ["x", 5, "1.2.3", "1.2.3.4/8", "::g", [], "1" * 46, " ", "unknown", "_hidden",
                 "192.0.2.1, 198.51.100.2", "192.0.2.1 198.51.100.2", "[2001:db8::1], ::2",
                 "192.0.2.1:x", "192.0.2.1:", "[2001:db8::1", '"192.0.2.1', "for=192.0.2.1"],
}  # fmt: skip


@pytest.fixture
def shop(api: WebServer) -> KeyedApi:
    """A key that sends and checks."""
    return keyed(api)


def body_of(shop: KeyedApi, answer: dict[str, Any]) -> str:
    """Return the stored text of a message, with its placeholder."""
    return str(stored(shop.server.database, answer["jobId"]).body)


def ttl(shop: KeyedApi, answer: dict[str, Any]) -> int:
    """Return the validity of a code in seconds."""
    row = shop.verification(answer["verificationId"])
    expires = datetime.fromisoformat(answer["otp_expires_at"]).timestamp()
    assert round(expires * 1000) == row.expires_at
    return int((row.expires_at - row.created_at) / 1000)


def test_exact_answer(shop: KeyedApi) -> None:
    answer = shop.send()
    assert answer.status_code == 202
    assert re.fullmatch(
        r'\{"message":"OTP request accepted and has been queued for sending\.",'
        r'"otp":"[0-9]{6}","jobId":[1-9][0-9]*,'
        r'"otp_expires_at":"[0-9T:.-]{23}Z","verificationId":"v[0-9a-f]{43}"\}',
        answer.text,
    )


def test_exact_answer_without_the_code(shop: KeyedApi) -> None:
    answer = shop.send(hideCode=True)
    assert answer.status_code == 202
    assert re.fullmatch(
        r'\{"message":"OTP request accepted and has been queued for sending\.",'
        r'"jobId":[1-9][0-9]*,'
        r'"otp_expires_at":"[0-9T:.-]{23}Z","verificationId":"v[0-9a-f]{43}"\}',
        answer.text,
    )


@pytest.mark.parametrize("field", ["locale", "template", "length", "ttlSeconds", "code"])
@pytest.mark.parametrize("value", [None, ""])
def test_empty_option_counts_as_missing(shop: KeyedApi, field: str, value: Any) -> None:
    assert len(shop.accepted(**{field: value})["otp"]) == 6


@pytest.mark.parametrize("length", [4, 7, 10, "4", "10"])
def test_a_code_may_have_4_to_10_digits(shop: KeyedApi, length: int | str) -> None:
    assert re.fullmatch(f"[0-9]{{{length}}}", shop.accepted(length=length)["otp"])


@pytest.mark.parametrize("seconds", [60, 61, 900, "300"])
def test_a_code_may_be_valid_for_1_to_15_minutes(shop: KeyedApi, seconds: int | str) -> None:
    assert ttl(shop, shop.accepted(ttlSeconds=seconds)) == int(seconds)


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
)
def test_invalid_option_is_refused_by_name(shop: KeyedApi, field: str, value: Any) -> None:
    answer = shop.send(**{field: value})
    assert refusal(answer) == INVALID
    assert f'"{field}"' in answer.json()["message"]


def test_invalid_option_changes_nothing(shop: KeyedApi) -> None:
    phone = new_number()
    assert refusal(shop.send(phone, length=3)) == INVALID
    assert shop.get(phoneNumber=phone).json()["verifications"] == []


@pytest.mark.parametrize("code", ["0000", "0471", "aB3x", "ABCDEFGHIJ", "0123456789"])
def test_caller_may_supply_a_code(shop: KeyedApi, code: str) -> None:
    answer = shop.accepted(code=code, length=8)
    assert answer["otp"] == code
    checked = shop.check(verificationId=answer["verificationId"], otp=code.lower())
    assert checked.json()["valid"] is True


@pytest.mark.parametrize(
    ("wanted", "kept"), [("en", "en"), ("ar", "ar"), ("pt-BR", "pt"), ("FR", "fr"), ("de_AT", "de")]
)
def test_caller_may_choose_the_language(shop: KeyedApi, wanted: str, kept: str) -> None:
    answer = shop.accepted(locale=wanted)
    assert shop.verification(answer["verificationId"]).locale == kept
    assert body_of(shop, answer).isascii() == (kept == "en")


@pytest.mark.parametrize(
    ("wanted", "country", "kept"),
    [
        ("in_ID", "+4915", "id"),  # the code of Indonesian before 1989
        ("prs-AF", "+4915", "fa"),
        ("en_US.UTF-8", "+4915", "en"),
        ("ar-u-nu-latn", "+4915", "ar"),
        ("iw", "+4915", "de"),  # Hebrew, without texts: the country's language
        ("zh-Hant-TW", "+4915", "de"),
        ("i-klingon", "+4915", "de"),
        ("xx", "+4175", "en"),  # the default, because the country has several languages
        ("pt-BR", "+4915", "pt"),
    ],
)
def test_language_without_texts_is_replaced_and_the_answer_says_by_which(
    shop: KeyedApi, wanted: str, country: str, kept: str
) -> None:
    phone = f"{country}{new_number()[-8:]}" if country == "+4915" else "+41791234567"
    answer = shop.send(phone, locale=wanted)
    assert answer.status_code == 202, answer.text
    verification_id = answer.json()["verificationId"]
    assert answer.text.endswith(f',"verificationId":"{verification_id}","locale":"{kept}"}}')
    assert shop.get(f"/{verification_id}").json()["locale"] == kept


@pytest.mark.parametrize("wanted", ["en", "EN", None, ""])
def test_answer_has_no_language_if_it_is_the_requested_one(
    shop: KeyedApi, wanted: str | None
) -> None:
    answer = shop.accepted(locale=wanted)
    assert "locale" not in answer
    kept = "en" if wanted else "ar"
    assert shop.get(f"/{answer['verificationId']}").json()["locale"] == kept


def test_repeated_answer_has_the_same_language(shop: KeyedApi) -> None:
    phone = new_number()
    first, second = (again(shop, "order-1", phone, locale="iw") for _ in range(2))
    assert first.json()["locale"] == "ar"
    assert (second.text, second.headers["Idempotency-Replayed"]) == (first.text, "true")


@pytest.mark.parametrize("name", ["nothing", "link_reply", "otp2"])
def test_unknown_template_is_refused(shop: KeyedApi, name: str) -> None:
    assert refusal(shop.send(template=name)) == (400, "unknown_template")


def test_caller_may_choose_a_template_of_the_file(serve_web: ServeWeb, tmp_path: Path) -> None:
    (tmp_path / "templates.toml").write_text(TEXTS)
    shop = keyed(serve_web(data_dir=tmp_path))
    answer = shop.accepted(template="pay.ment", locale="en")
    assert body_of(shop, answer) == "Confirm your payment at Hudhud:\n{code}"
    assert shop.verification(answer["verificationId"]).template == "pay.ment"


def test_reference_and_metadata_are_returned(shop: KeyedApi) -> None:
    metadata = {"order": 5, "who": "عمر", "deep": {"list": [1, None, True]}}
    answer = shop.accepted(reference="الطلب 5", metadata=metadata)
    shown = shop.get(f"/{answer['verificationId']}").json()
    assert (shown["reference"], shown["metadata"]) == ("الطلب 5", metadata)


@pytest.mark.parametrize(("largest", "is_accepted"), [(1014, True), (1015, False)])
def test_metadata_has_1024_bytes_at_most(
    shop: KeyedApi, largest: int, *, is_accepted: bool
) -> None:
    metadata = {"text": "x" * (largest - 1)}  # the rest takes 11 bytes
    assert (shop.send(metadata=metadata).status_code == 202) == is_accepted


@pytest.mark.parametrize("value", [True, *TRUE])
def test_a_request_may_hide_the_code(shop: KeyedApi, value: Any) -> None:
    answer = shop.accepted(hideCode=value)
    assert "otp" not in answer
    assert shop.verification(answer["verificationId"]).hides_code


@pytest.mark.parametrize("value", TRUE)
def test_a_form_may_hide_the_code(shop: KeyedApi, value: str) -> None:
    answer = shop.form(SEND, phoneNumber=new_number(), hideCode=value)
    assert answer.status_code == 202, answer.text
    assert "otp" not in answer.json()


@pytest.mark.parametrize("value", FALSE)
def test_a_form_may_say_that_the_code_is_not_hidden(shop: KeyedApi, value: str) -> None:
    assert "otp" in shop.form(SEND, phoneNumber=new_number(), hideCode=value).json()


@pytest.mark.parametrize("value", [False, None, "", *FALSE])
def test_key_that_hides_codes_hides_every_code(api: WebServer, value: Any) -> None:
    hiding = keyed(api, hides_code=True)
    assert "otp" not in hiding.accepted(hideCode=value)
    assert "otp" in keyed(api).accepted(hideCode=value)


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1:4711",
        "[192.0.2.1]",
        " 192.0.2.1 ",
        "\t192.0.2.1\r\n",
        '"192.0.2.1:4711"',
        "::ffff:192.0.2.1",
        "[::ffff:192.0.2.1]:4711",
    ],
)
def test_spellings_of_an_address_count_as_one(api: WebServer, address: str) -> None:
    limited = keyed(api, limits=f"{NO_LIMITS} per_client_ip=1/1h")
    assert limited.send(clientIp="192.0.2.1").status_code == 202
    assert refusal(limited.send(clientIp=address)) == (429, "rate_limited")


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_users_address_counts_against_its_limit(api: WebServer, address: str) -> None:
    limited = keyed(api, limits=f"{NO_LIMITS} per_client_ip=2/1h")
    for _ in range(2):
        assert limited.send(clientIp=address).status_code == 202
    answer = limited.send(clientIp=address)
    assert refusal(answer) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    assert limited.send(clientIp="198.51.100.9").status_code == 202


def test_form_may_have_all_options(shop: KeyedApi) -> None:
    phone = new_number()
    answer = shop.form(
        SEND,
        phoneNumber=phone,
        locale="en",
        template="otp",
        length="7",
        ttlSeconds="120",
        reference="order-1",
        hideCode="false",
        clientIp="192.0.2.7",
    )
    assert answer.status_code == 202, answer.text
    assert len(answer.json()["otp"]) == 7
    assert ttl(shop, answer.json()) == 120
    row = shop.verification(answer.json()["verificationId"])
    assert (row.phone, row.reference, row.locale) == (phone, "order-1", "en")


def test_code_supplied_in_a_form_keeps_its_zeros(shop: KeyedApi) -> None:
    assert shop.form(SEND, phoneNumber=new_number(), code="0042").json()["otp"] == "0042"


@pytest.mark.parametrize("twice", ["code=1111&code=2222", "length=4&length=4"])
def test_repeated_option_in_a_form_is_refused(shop: KeyedApi, twice: str) -> None:
    content = f"phoneNumber=%2B201001234567&{twice}"
    headers = {"X-API-KEY": shop.key, "Content-Type": "application/x-www-form-urlencoded"}
    assert refusal(shop.server.client.post(SEND, content=content, headers=headers)) == INVALID


def test_country_that_is_not_allowed_is_refused(serve_web: ServeWeb) -> None:
    server = serve_web(allowed_countries=("SA",))
    answer = server.send(PHONE)
    assert refusal(answer) == (403, "country_not_allowed")
    assert server.send("+966501234567").status_code == 202


def test_new_send_supersedes_the_earlier_one(shop: KeyedApi) -> None:
    phone = new_number()
    old, new = shop.accepted(phone), shop.accepted(phone)
    row = shop.verification(old["verificationId"])
    assert (row.status, row.reason, row.code_sealed) == ("canceled", "superseded", None)
    assert stored(shop.server.database, old["jobId"]).status == "canceled"
    assert stored(shop.server.database, new["jobId"]).status == "queued"


def test_sends_of_a_caller_that_compares_codes_itself_are_not_superseded(api: WebServer) -> None:
    phone = new_number()
    environment = KeyedApi(api, KEY)
    jobs = [environment.accepted(phone) for _ in range(3)]
    assert [stored(api.database, one["jobId"]).status for one in jobs] == ["queued"] * 3
    rows = [environment.verification(one["verificationId"]) for one in jobs]
    assert [row.status for row in rows] == ["canceled", "canceled", "pending"]
    assert all(row.code_sealed is not None for row in rows)


def test_sends_of_other_keys_or_templates_are_not_superseded(shop: KeyedApi) -> None:
    phone = new_number()
    one = shop.accepted(phone)
    keyed(shop.server).accepted(phone)
    KeyedApi(shop.server, KEY).accepted(phone)
    shop.accepted(new_number())
    assert shop.verification(one["verificationId"]).status == "pending"


def again(shop: KeyedApi, key: str, phone: str, **fields: Any) -> httpx.Response:
    """A request with an Idempotency-Key."""
    body = {"phoneNumber": phone, **fields}
    return shop.ask("POST", SEND, body, {"Idempotency-Key": key})


def test_repeated_request_gets_the_same_answer_marked_as_replayed(shop: KeyedApi) -> None:
    phone = new_number()
    first, second = (again(shop, "order-1", phone) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.text == second.text
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(shop.get(phoneNumber=phone).json()["verifications"]) == 1


def test_same_fields_in_another_order_or_format_are_the_same_request(shop: KeyedApi) -> None:
    phone = new_number()
    headers = {"X-API-KEY": shop.key, "Idempotency-Key": "order-1"}
    post = shop.server.client.post
    json = {**headers, "Content-Type": "application/json"}
    answers = [
        post(SEND, json={"phoneNumber": phone, "locale": "en"}, headers=headers),
        post(SEND, content=f' {{"locale":"en",  "phoneNumber":"{phone}"}}', headers=json),
        post(SEND, data={"phoneNumber": phone, "locale": "en"}, headers=headers),
    ]
    assert len({answer.text for answer in answers}) == 1


def test_another_body_under_the_same_key_is_refused(shop: KeyedApi) -> None:
    phone = new_number()
    assert again(shop, "order-1", phone).status_code == 202
    assert refusal(again(shop, "order-1", new_number())) == (422, "idempotency_key_reused")
    assert refusal(again(shop, "order-1", phone, length=5)) == (422, "idempotency_key_reused")


def test_another_caller_may_use_the_same_key(shop: KeyedApi) -> None:
    assert again(shop, "order-1", new_number()).status_code == 202
    assert again(keyed(shop.server), "order-1", new_number()).status_code == 202


def test_refused_request_may_be_corrected_and_retried_with_its_key(api: WebServer) -> None:
    shop = keyed(api, limits="per_number=1/1h per_prefix=0")
    phone = new_number()
    assert refusal(again(shop, "order-1", phone, length=3)) == INVALID
    assert refusal(again(shop, "order-1", phone, template="nothing")) == (400, "unknown_template")
    assert again(shop, "order-1", phone).status_code == 202
    assert refusal(again(shop, "order-2", phone)) == (429, "rate_limited")
    assert again(shop, "order-2", new_number()).status_code == 202


def test_repeated_answer_omits_a_used_code(shop: KeyedApi) -> None:
    phone = new_number()
    first = again(shop, "order-1", phone).json()
    assert shop.check(phoneNumber=phone, otp=first["otp"]).json()["valid"]
    repeated = again(shop, "order-1", phone)
    assert repeated.status_code == 202
    del first["otp"]
    assert repeated.json() == first


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_idempotency_key_has_1_to_255_characters(shop: KeyedApi, key: str) -> None:
    answer = again(shop, key, new_number())
    assert refusal(answer) == INVALID
    assert "Idempotency-Key" in answer.json()["message"]


def test_simultaneous_requests_with_one_idempotency_key_create_one_message(shop: KeyedApi) -> None:
    phone = new_number()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: again(shop, "order-1", phone), range(48)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len(shop.get(phoneNumber=phone).json()["verifications"]) == 1


def test_message_of_a_test_key_goes_to_the_sandbox_of_a_live_installation(
    serve_web: ServeWeb,
) -> None:
    server = serve_web(channel="linked")
    live, test = keyed(server), keyed(server, is_test=True)
    found = [stored(server.database, one.accepted()["jobId"]).channel for one in (live, test)]
    assert found == ["linked", "sandbox"]
