"""Sends and checks are answered the same with and without the shortcut around the framework."""

import gzip
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import func, select, text

from hudhud.db import tables
from hudhud.db.engine import Database
from support.keyed_api import NO_LIMITS, VERIFY, KeyedApi, keyed, new_number, wrong
from support.web_server import SEND, ServeWeb, WebServer

LARGE = b'{"phoneNumber": "' + b"1" * 200_000 + b'"}'
JSON = {"Content-Type": "application/json"}
# Codes, ids, times and numbers differ from request to request.
VARIABLE = re.compile(
    r"v[0-9a-f]{43}|\+?\d{4}-\d\d-\d\dT[0-9:.]+Z|\d{4,}|(?<=\"jobId\":)\d+|(?<=in )\d+(?= s)|"
    r"(?<=t=)\d+|hh_live_[\w-]+"
)
OF_THE_SERVER = {"date", "x-request-id", "content-length", "retry-after"}
Case = Callable[[KeyedApi], httpx.Response]
CASES: dict[str, Case] = {}


def case(work: Case) -> Case:
    CASES[work.__name__] = work
    return work


def post(
    api: KeyedApi, path: str, content: bytes | Iterator[bytes] = b"", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    chosen = {"X-API-KEY": api.key, **JSON, **named}
    return api.server.client.post(path, content=content, headers=chosen)


def number() -> bytes:
    return b'{"phoneNumber": "%s"}' % new_number().encode()


@case
def send(api: KeyedApi) -> httpx.Response:
    return api.send()


@case
def send_with_every_field(api: KeyedApi) -> httpx.Response:
    return api.send(
        locale="pt-XX", length=8, ttlSeconds=90, reference="r", metadata={"a": 1}, hideCode=True
    )


@case
def send_by_form(api: KeyedApi) -> httpx.Response:
    return api.form(SEND, phoneNumber=new_number())


@case
def send_compressed(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, gzip.compress(number()), content_encoding="gzip")


@case
def send_in_an_unknown_encoding(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, number(), content_encoding="br")


@case
def send_damaged(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, number(), content_encoding="gzip")


@case
def send_in_chunks(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, iter([number()]))


@case
def send_too_much(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, LARGE)


@case
def send_too_much_in_chunks(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, iter([LARGE[:60_000], LARGE[60_000:]]))


@case
def send_too_much_compressed(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, gzip.compress(LARGE), content_encoding="gzip")


@case
def send_no_json(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, b"{")


@case
def send_without_a_number(api: KeyedApi) -> httpx.Response:
    return api.ask("POST", SEND, {})


@case
def send_to_no_number(api: KeyedApi) -> httpx.Response:
    return api.send("0100 123")


@case
def send_with_a_wrong_field(api: KeyedApi) -> httpx.Response:
    return api.send(length=3)


@case
def send_by_multipart(api: KeyedApi) -> httpx.Response:
    files = {"phoneNumber": (None, new_number())}
    return api.server.client.post(SEND, files=files, headers={"X-API-KEY": api.key})


@case
def send_without_a_key(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, number(), X_API_KEY="")


@case
def send_with_a_wrong_key(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, number(), X_API_KEY="hh_live_wrong")


@case
def send_with_a_key_that_may_only_read(api: KeyedApi) -> httpx.Response:
    return keyed(api.server, "read").send()


@case
def send_with_a_key_of_another_network(api: KeyedApi) -> httpx.Response:
    return keyed(api.server, "send", networks=["192.0.2.0/24"]).send()


@case
def send_beyond_a_limit(api: KeyedApi) -> httpx.Response:
    limited, phone = keyed(api.server, "send", limits="per_number=1/1h per_prefix=0"), new_number()
    limited.send(phone)
    return limited.send(phone)


@case
def send_within_a_limit(api: KeyedApi) -> httpx.Response:
    return keyed(api.server, "send", limits="per_number=2/1h per_prefix=0").send()


@case
def send_twice_under_one_idempotency_key(api: KeyedApi) -> httpx.Response:
    body = {"phoneNumber": new_number()}
    api.ask("POST", SEND, body, {"Idempotency-Key": "one"})
    return api.ask("POST", SEND, body, {"Idempotency-Key": "one"})


@case
def send_another_body_under_one_idempotency_key(api: KeyedApi) -> httpx.Response:
    api.ask("POST", SEND, {"phoneNumber": new_number()}, {"Idempotency-Key": "one"})
    return api.ask("POST", SEND, {"phoneNumber": new_number()}, {"Idempotency-Key": "one"})


@case
def send_an_unknown_template(api: KeyedApi) -> httpx.Response:
    return api.send(template="none")


@case
def send_with_a_request_id_and_a_query(api: KeyedApi) -> httpx.Response:
    return post(api, f"{SEND}?a=b", number(), X_Request_ID="mine")


@case
def send_in_other_letters(api: KeyedApi) -> httpx.Response:
    return post(api, SEND.upper().replace("/V1", "/v1"), number())


@case
def send_as_a_browser(api: KeyedApi) -> httpx.Response:
    return post(api, SEND, b"{", Accept="text/html", Content_Type="text/plain")


@case
def get_instead_of_a_send(api: KeyedApi) -> httpx.Response:
    return api.get("/send")


@case
def check_the_right_code(api: KeyedApi) -> httpx.Response:
    one = api.accepted()
    return api.check(verificationId=one["verificationId"], otp=one["otp"])


@case
def check_a_wrong_code(api: KeyedApi) -> httpx.Response:
    phone = new_number()
    return api.check(phoneNumber=phone, otp=wrong(api.accepted(phone)["otp"]))


@case
def check_a_used_code(api: KeyedApi) -> httpx.Response:
    one = api.accepted()
    api.check(jobId=one["jobId"], otp=one["otp"])
    return api.check(jobId=one["jobId"], otp=one["otp"])


@case
def check_after_too_many_attempts(api: KeyedApi) -> httpx.Response:
    one = api.accepted()
    answers = [api.check(jobId=one["jobId"], otp=wrong(one["otp"])) for _ in range(6)]
    return answers[-1]


@case
def check_after_too_many_wrong_codes(api: KeyedApi) -> httpx.Response:
    limited = keyed(api.server, "send", "verify", limits=f"wrong_codes=1/1h {NO_LIMITS}")
    one = limited.accepted()
    limited.check(jobId=one["jobId"], otp=wrong(one["otp"]))
    return limited.check(jobId=one["jobId"], otp=one["otp"])


@case
def check_nothing(api: KeyedApi) -> httpx.Response:
    return api.check(phoneNumber=new_number(), otp="1234")


@case
def check_without_a_code(api: KeyedApi) -> httpx.Response:
    return api.check(phoneNumber=new_number())


@case
def check_by_multipart(api: KeyedApi) -> httpx.Response:
    files = {"otp": (None, "1234")}
    return api.server.client.post(VERIFY, files=files, headers={"X-API-KEY": api.key})


@case
def check_with_a_key_that_may_only_send(api: KeyedApi) -> httpx.Response:
    return keyed(api.server, "send").check(jobId=1, otp="1234")


@case
def check_twice_under_one_idempotency_key(api: KeyedApi) -> httpx.Response:
    one = api.accepted()
    body = {"jobId": one["jobId"], "otp": wrong(one["otp"])}
    api.ask("POST", VERIFY, body, {"Idempotency-Key": "one"})
    return api.ask("POST", VERIFY, body, {"Idempotency-Key": "one"})


@contextmanager
def without_shortcuts(server: WebServer) -> Iterator[None]:
    with patch.dict(server.web.__dict__, {"_shortcuts": {}}):
        yield


def shown(answer: httpx.Response) -> dict[str, Any]:
    """Return all of an answer that does not differ from request to request."""
    headers = {name: VARIABLE.sub("…", value) for name, value in answer.headers.items()}
    return {
        "status": answer.status_code,
        "headers": {name: headers[name] for name in headers if name not in OF_THE_SERVER},
        "names": set(headers),
        "body": VARIABLE.sub("…", answer.text),
    }


def stored(database: Database) -> Mapping[str, int]:
    """Return the numbers of rows, of wrong attempts and of what limits counted."""
    counted = ("verifications", "messages", "idempotency_keys", "kept_answers", "limit_counts")
    sums = (tables.verifications.c.attempts, tables.limit_counts.c.count)
    with database.read() as connection:
        rows = {
            name: connection.scalar(select(func.count()).select_from(tables.metadata.tables[name]))
            for name in counted
        }
        added = {str(column): connection.scalar(select(func.sum(column))) for column in sums}
    return {name: int(value or 0) for name, value in (rows | added).items()}


def effects(work: Case, api: KeyedApi) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what a case answers, and the changes of the stored numbers."""
    before = stored(api.server.database)
    answer = shown(work(api))
    after = stored(api.server.database)
    return answer, {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize("name", CASES)
def test_answer_and_rows_are_the_same_without_the_shortcut(api: WebServer, name: str) -> None:
    with_shortcut = effects(CASES[name], keyed(api, "send", "verify", "read"))
    with without_shortcuts(api):
        assert effects(CASES[name], keyed(api, "send", "verify", "read")) == with_shortcut


def test_locked_database_and_a_defect_are_answered_the_same(
    serve_web: ServeWeb, database: Database, impatient: Database
) -> None:
    api = keyed(serve_web(impatient), "send")
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("LOCK TABLE verifications IN ACCESS EXCLUSIVE MODE"))
        check_twice(api, 503)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE texts RENAME TO lost"))
    check_twice(api, 500)


def check_twice(api: KeyedApi, status: int) -> None:
    """Check that a send is answered with this status, with and without the shortcut."""
    answer = shown(api.send())
    assert answer["status"] == status
    with without_shortcuts(api.server):
        assert shown(api.send()) == answer
