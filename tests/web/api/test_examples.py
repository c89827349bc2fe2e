"""Examples of the document: they fit their schemas, and a server answers as they say."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import jsonschema_rs
import pytest

from hudhud.web.api.examples import ANSWERS, ERRORS, OWN_ERRORS, REQUESTS, Examples
from support.keyed_api import OTP, KeyedApi, keyed, new_number, wrong
from support.web_server import SEND, WebServer

METHODS = ("get", "post")
Content = dict[str, Any]


@pytest.fixture(scope="module")
def document(served: WebServer) -> dict[str, Any]:
    """The document as a server answers it."""
    text = served.client.get("/api/openapi.json").text
    # The validator cannot compile surrogates, which no example has.
    found: dict[str, Any] = json.loads(text.replace(r"\\ud800-\\udfff", ""))
    return found


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, Content]]:
    """Yield the place, the status ("body" for requests) and the description of each content."""
    for path, operations in document["paths"].items():
        for method in METHODS:
            operation = operations.get(method, {})
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{method} {path}", "body", content
            for status, response in operation.get("responses", {}).items():
                for kind, content in response.get("content", {}).items():
                    if "json" in kind:
                        yield f"{method} {path}", status, content


def test_every_request_and_answer_has_examples_that_fit_its_schema(
    document: dict[str, Any],
) -> None:
    for place, status, content in contents(document):
        schema = {**content["schema"], "components": document["components"]}
        assert content.get("examples"), (place, status)
        for title, example in content.get("examples", {}).items():
            found = list(jsonschema_rs.Draft202012Validator(schema).iter_errors(example["value"]))
            assert not found, (place, status, title, found)


def test_first_example_of_a_send_is_the_number_alone() -> None:
    assert next(iter(REQUESTS["Send a code"].values())) == {"phoneNumber": "+201001234567"}


@pytest.fixture
def shop(empty_api: WebServer) -> KeyedApi:
    """A key with all scopes."""
    scopes = ("send", "verify", "read", "sandbox")
    return keyed(empty_api, *scopes, may_link_verify=True)


def test_requests_of_the_examples_are_accepted(shop: KeyedApi) -> None:
    for example in REQUESTS["Send a code"].values():
        assert shop.ask("POST", SEND, example).status_code == 202
    for example in REQUESTS["Let the user write first"].values():
        assert shop.ask("POST", f"{OTP}/link", example).status_code == 201
    for example in REQUESTS["Write to the sandbox"].values():
        assert shop.ask("POST", "/api/v1/sandbox/inbound", example).status_code == 202
    names = ("verificationId", "jobId", "phoneNumber")
    for name, example in zip(names, REQUESTS["Check a code"].values(), strict=True):
        one = {**shop.accepted(phone := new_number(), code="482913"), "phoneNumber": phone}
        checked = shop.check(**{**dict(example), name: one[name]})  # type: ignore[call-overload]
        assert checked.json()["valid"] is True


def shape(value: Any) -> Any:
    """Return the fields of a body, with those of the objects inside."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value[:1]] if isinstance(value, list) else None


def examples_of(found: Mapping[str, Mapping[int, Examples]], name: str, status: int) -> list[Any]:
    return list(found[name][status].values())


def test_answers_have_the_fields_of_the_examples(shop: KeyedApi) -> None:
    sent = shop.send(new_number(), reference="order-1042", locale="ar")
    one = sent.json()
    wrong_check = shop.check(jobId=one["jobId"], otp=wrong(one["otp"]))
    verification, job = shop.get(f"/{one['verificationId']}"), shop.get(f"/{one['jobId']}")
    listed = shop.get(limit=1)
    shop.change_job(one["jobId"], status="sent", created_at=0)
    resent = shop.ask("POST", f"{OTP}/{one['jobId']}/resend")
    canceled = shop.ask("POST", f"{OTP}/{one['jobId']}/cancel")
    other = shop.accepted()
    right = shop.check(jobId=other["jobId"], otp=other["otp"])
    link = shop.ask("POST", f"{OTP}/link", {"mode": "reply"})
    told: list[tuple[httpx.Response, str, int]] = [
        (sent, "Send a code", 202),
        (right, "Check a code", 200),
        (wrong_check, "Check a code", 200),
        (verification, "Get the status", 200),
        (job, "Get the status", 200),
        (listed, "List verifications", 200),
        (resent, "Send the code again", 202),
        (canceled, "Cancel", 200),
        (link, "Let the user write first", 201),
    ]
    for answer, name, status in told:
        assert answer.status_code == status, (name, answer.text)
        shown = [shape(example) for example in examples_of(ANSWERS, name, status)]
        assert shape(answer.json()) in shown, name


def unscoped(shop: KeyedApi) -> httpx.Response:
    other = keyed(shop.server, "send")
    return other.check(jobId=1, otp="4711")


def elsewhere(shop: KeyedApi) -> httpx.Response:
    return keyed(shop.server, "send", networks=("198.51.100.0/24",)).send()


def used_up(shop: KeyedApi) -> httpx.Response:
    one = shop.accepted()
    answers = [shop.check(jobId=one["jobId"], otp=wrong(one["otp"])) for _ in range(6)]
    return answers[-1]


def used(shop: KeyedApi) -> httpx.Response:
    one = shop.accepted()
    answers = [shop.check(jobId=one["jobId"], otp=one["otp"]) for _ in range(2)]
    return answers[-1]


def over(shop: KeyedApi) -> httpx.Response:
    one = shop.accepted()
    shop.change(one["verificationId"], expires_at=0)
    return shop.check(jobId=one["jobId"], otp=one["otp"])


def repeated_with_another_body(shop: KeyedApi) -> httpx.Response:
    headers = {"Idempotency-Key": "one"}
    bodies = [{"phoneNumber": new_number()} for _ in range(2)]
    return [shop.ask("POST", SEND, body, headers) for body in bodies][-1]


def limited(shop: KeyedApi) -> httpx.Response:
    key, phone = keyed(shop.server, "send", limits="per_number=1/30s"), new_number()
    return [key.send(phone) for _ in range(2)][-1]


def resent_at_once(shop: KeyedApi) -> httpx.Response:
    one = shop.accepted()
    shop.change_job(one["jobId"], status="sent")
    return shop.ask("POST", f"{OTP}/{one['jobId']}/resend")


def posted(content: bytes, kind: str, path: str = SEND) -> Callable[[KeyedApi], httpx.Response]:
    def post(shop: KeyedApi) -> httpx.Response:
        headers = {"X-API-KEY": shop.key, "Content-Type": kind}
        return shop.server.client.post(path, content=content, headers=headers)

    return post


def with_key(key: str | None) -> Callable[[KeyedApi], httpx.Response]:
    headers = {} if key is None else {"X-API-KEY": key}
    return lambda shop: httpx.get(f"{shop.server.client.base_url}{OTP}", headers=headers)


@pytest.mark.parametrize(
    ("ask", "name", "status", "title"),
    [
        (lambda shop: shop.ask("POST", SEND, {}), "Send a code", 400, "No number"),
        (lambda shop: shop.send("12"), "Send a code", 400, "No such number"),
        (posted(b"{", "application/json"), "Send a code", 400, "No JSON"),
        (lambda shop: shop.send(reference="x" * 65), None, 400, "A wrong field"),
        (with_key(None), None, 401, "No key"),
        (with_key("wrong"), None, 401, "Wrong key"),
        (unscoped, None, 403, "Without the scope"),
        (elsewhere, None, 403, "From another address"),
        (lambda shop: shop.check(jobId=999_999, otp="4711"), None, 404, "Unknown"),
        (over, None, 410, "Expired"),
        (posted(b"x" * 2_000_000, "application/json"), None, 413, "Too large"),
        (posted(b"", "multipart/form-data; boundary=x", f"{OTP}/verify"), None, 415, "Multipart"),
        (repeated_with_another_body, None, 422, "Other body"),
        (used, "Check a code", 409, "Used"),
        (used_up, "Check a code", 429, "Attempts used up"),
        (resent_at_once, "Send the code again", 429, "Too early"),
    ],
)
def test_errors_are_those_of_the_examples(
    shop: KeyedApi,
    ask: Callable[[KeyedApi], httpx.Response],
    name: str | None,
    status: int,
    title: str,
) -> None:
    answer = ask(shop)
    shown = ERRORS[status] if name is None else OWN_ERRORS[name][status]
    assert (answer.status_code, answer.json()) == (status, shown[title])


def test_refusal_of_a_limit_has_the_words_of_the_example(shop: KeyedApi) -> None:
    found: dict[str, Any] = limited(shop).json()
    shown: Any = ERRORS[429]["Limit reached"]
    assert (found["error"], set(found)) == (shown["error"], set(shown))
    assert found["message"].partition("Try again")[0] == shown["message"].partition("Try again")[0]


def test_keys_of_the_examples_name_operations_of_the_document(document: dict[str, Any]) -> None:
    summaries = {
        operation["summary"]
        for operations in document["paths"].values()
        for method, operation in operations.items()
        if method in METHODS
    }
    assert summaries >= {*REQUESTS, *ANSWERS, *OWN_ERRORS}
