"""The documentation page, its files, and its OpenAPI document."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Response, get, post
from litestar.params import FromPath
from litestar.testing import TestClient

from hudhud.web.api import schemas
from hudhud.web.api.docs_page import docs_routes
from hudhud.web.api.openapi import (
    API_KEY_SECURITY,
    OPENAPI_PATH,
    ApiOperation,
    SandboxOperation,
    SendOperation,
    openapi_config,
    responses,
)
from hudhud.web.http import errors
from hudhud.web.http.static_files import StaticFiles


@post(
    "/send",
    status_code=202,
    operation_class=SendOperation,
    security=API_KEY_SECURITY,
    responses=responses(400, 401, 413, 500, 503),
)
async def send() -> Response[schemas.Accepted]:
    """Replace the real handler, which needs a database."""
    raise NotImplementedError


@get("/job/{number:str}", operation_class=ApiOperation, responses=responses(401, 404))
async def job(number: FromPath[str]) -> schemas.Job:
    """Replace the real handler, which needs a database."""
    raise NotImplementedError(number)


@get("/sandbox", operation_class=SandboxOperation, responses=responses(400, 401))
async def sandbox() -> schemas.SandboxMessages:
    """Replace the real handler, which needs a database."""
    raise NotImplementedError


def _application() -> Litestar:
    return Litestar(
        [send, job, sandbox, *docs_routes],
        openapi_config=openapi_config(),
        exception_handlers=errors.HANDLERS,
        logging_config=None,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(_application()) as opened:
        yield opened


@pytest.fixture(scope="module")
def document(client: TestClient[Litestar]) -> dict[str, Any]:
    answer = client.get(OPENAPI_PATH)
    assert answer.headers["content-type"] == "application/json"
    parsed: dict[str, Any] = answer.json()
    return parsed


class Page(HTMLParser):
    """A page's files, and any part that would need 'unsafe-inline'."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        address = found.get("src") if tag == "script" else found.get("href")
        if tag in ("script", "link"):
            self.loads.append(address or "")
        if tag == "style" or (tag == "script" and not address):
            self.inline.append(tag)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def page(client: TestClient[Litestar]) -> Page:
    return Page(client.get("/api/docs").text)


def test_page_has_no_inline_script_or_style(page: Page) -> None:
    assert page.inline == []


def test_policy_allows_no_other_origins(client: TestClient[Litestar]) -> None:
    policy = client.get("/api/docs").headers["content-security-policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def test_every_file_of_the_page_is_served_with_its_type(
    client: TestClient[Litestar], page: Page
) -> None:
    types = {
        address.partition("?")[0].rpartition("/")[2]: client.get(address).headers["content-type"]
        for address in page.loads
    }
    assert types == {
        "hudhud.svg": "image/svg+xml",
        "swagger-ui.css": "text/css; charset=utf-8",
        "tokens.css": "text/css; charset=utf-8",
        "docs.css": "text/css; charset=utf-8",
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "docs.js": "text/javascript; charset=utf-8",
    }


def test_files_are_cached_permanently_but_the_page_is_revalidated(
    client: TestClient[Litestar], page: Page
) -> None:
    assert client.get("/api/docs").headers["cache-control"] == "no-cache"
    for address in page.loads:
        assert "immutable" in client.get(address).headers["cache-control"]


def test_a_changed_file_has_another_address(tmp_path: Path) -> None:
    style = tmp_path / "changing.css"
    style.write_text("a{}")
    before = StaticFiles(tmp_path).digest
    style.write_text("b{}")
    assert StaticFiles(tmp_path).digest != before


def test_file_is_compressed_if_accepted(client: TestClient[Litestar], page: Page) -> None:
    address = next(address for address in page.loads if address.endswith("swagger-ui.css"))
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    compressed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert compressed.content == plain.content


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/vendor",
        "/static/vendor/",
        "/static/digest",
        "/static/digest/",
        "/static/digest/vendor",
        "/static/digest/vendor/.stamp",
        "/static/digest/../openapi.py",
        "/static/digest/%2e%2e/openapi.py",
        "/static/digest//etc/passwd",
        "/static/vendor/../../openapi.py",
        "/static/%2e%2e/openapi.py",
        "/static//etc/passwd",
        "/static/missing.js",
    ],
)
def test_only_the_files_are_served(client: TestClient[Litestar], path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "Not Found"


@pytest.mark.parametrize("below", ["openapi.json", "anything", "a.yml"])
def test_paths_below_the_document_are_not_served(client: TestClient[Litestar], below: str) -> None:
    answer = client.get(f"{OPENAPI_PATH}/{below}")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"Cannot GET {OPENAPI_PATH}/{below}"


def test_the_document_lists_the_api_and_not_the_pages(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {"/send", "/job/{number}", "/sandbox"}


def test_the_document_describes_the_key(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["X-API-KEY"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-KEY")
    assert document["paths"]["/send"]["post"]["security"] == [{"X-API-KEY": []}]


def test_the_document_describes_both_kinds_of_body(document: dict[str, Any]) -> None:
    body = document["paths"]["/send"]["post"]["requestBody"]
    assert set(body["content"]) == {"application/json", "application/x-www-form-urlencoded"}
    for content in body["content"].values():
        assert content["schema"]["required"] == ["phoneNumber"]


def test_the_document_describes_every_answer(document: dict[str, Any]) -> None:
    answers = document["paths"]["/send"]["post"]["responses"]
    assert set(answers) == {"202", "400", "401", "413", "500", "503"}
    assert "Retry-After" in answers["503"]["headers"]
    sentences = answers["400"]["content"]["application/json"]["examples"].values()
    assert all(sentence["value"]["message"].startswith("Bad Request") for sentence in sentences)


def test_document_describes_no_impossible_answer(document: dict[str, Any]) -> None:
    assert set(document["paths"]["/job/{number}"]["get"]["responses"]) == {"200", "401", "404"}


def test_the_document_is_the_same_at_every_start(document: dict[str, Any]) -> None:
    with TestClient(_application()) as again:
        assert again.get(OPENAPI_PATH).json() == document


def test_the_document_describes_the_query_of_the_sandbox(document: dict[str, Any]) -> None:
    (parameter,) = document["paths"]["/sandbox"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"]) == ("phoneNumber", "query")
