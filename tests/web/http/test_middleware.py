"""Headers of every answer under /admin, /api and /static."""

from typing import Any

import httpx
import pytest

from hudhud.web.http.static_files import static_url
from support.admin import HTML, Person
from support.web_server import WebServer

LOGGED_IN = [
    ("GET", "/admin", 303, {}),
    ("GET", "/admin/status", 200, {}),
    ("HEAD", "/admin/status", 200, {}),
    ("GET", "/admin/live/nowhere", 404, {}),
    ("GET", "/admin/jobs/999999", 404, {"Accept": "*/*"}),
    ("GET", "/admin/api/jobs", 200, {"Accept": "*/*"}),
    ("HEAD", "/admin/api/jobs", 200, {"Accept": "*/*"}),
    ("GET", "/admin/api/jobs?limit=none", 400, {"Accept": "*/*"}),
    ("GET", "/admin/status?lang=ar", 303, {}),
    ("POST", "/admin/jobs/retry/1", 403, {}),
    ("OPTIONS", "/admin/status", 204, {}),
]
STRANGERS = [
    ("GET", "/admin/status", 303, {}),
    ("GET", "/admin/live", 401, {"Accept": "*/*"}),
    ("GET", "/admin/api/jobs", 401, {"Accept": "*/*"}),
    ("GET", "/admin/api/jobs", 401, {"X-API-KEY": "wrong"}),
    ("POST", "/admin/logout", 303, {}),
    ("PATCH", "/admin/keys", 404, {"Accept": "*/*"}),
]


def judge(person: Person, method: str, path: str, status: int, headers: dict[str, Any]) -> None:
    """Send a request and check the standard headers, each present once."""
    answer = person.client.request(method, path, headers={"Accept": HTML, **headers})
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize(("method", "path", "status", "headers"), LOGGED_IN)
def test_headers_of_answers_to_a_logged_in_person(
    member: Person, method: str, path: str, status: int, headers: dict[str, Any]
) -> None:
    judge(member, method, path, status, headers)


@pytest.mark.parametrize(("method", "path", "status", "headers"), STRANGERS)
def test_headers_of_answers_to_a_stranger(
    stranger: Person, method: str, path: str, status: int, headers: dict[str, Any]
) -> None:
    judge(stranger, method, path, status, headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("name", "status"), [("admin.css", 200), ("nowhere.css", 404)])
def test_headers_of_existing_and_missing_static_files(
    stranger: Person, method: str, name: str, status: int
) -> None:
    address = static_url("admin.css").replace("admin.css", name)
    answer = stranger.client.request(method, address)
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert ("immutable" in answer.headers.get("cache-control", "")) == (status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/otp/send", 400),
        ("GET", "/api/v1/otp", 200),
        ("GET", "/api/v1/otp/1", 404),
        ("HEAD", "/api/v1/otp", 200),
        ("GET", "/api/v1/nowhere", 404),
    ],
)
def test_answers_of_the_api_are_neither_kept_nor_guessed(
    served: WebServer, method: str, path: str, status: int
) -> None:
    answer = served.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("key", [None, "wrong"])
def test_refused_key_names_a_scheme_that_browsers_do_not_ask_for(
    served: WebServer, key: str | None
) -> None:
    headers = {} if key is None else {"X-API-KEY": key}
    answer = httpx.get(f"{served.client.base_url}/api/v1/otp", headers=headers)
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == ['ApiKey realm="hudhud"']


def test_other_paths_get_no_page_headers(served: WebServer) -> None:
    assert "referrer-policy" not in served.client.get("/healthz").headers
