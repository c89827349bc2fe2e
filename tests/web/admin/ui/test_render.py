"""Common properties of all dashboard pages: headers, language, theme, escaping."""

import base64

import httpx
import pytest

from hudhud.core.clock import now_ms
from hudhud.web.admin.ui.notices import Notice, NoticeKey
from hudhud.web.admin.ui.render import warm
from hudhud.web.http.static_files import FILES
from support.admin import Person
from support.html import Page
from support.queued import change, put_sender, submit
from support.web_server import WebServer

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
PAGES = [
    "/admin/status",
    "/admin/status?filterStatus=failed&range=month",
    "/admin/jobs/{job}",
    "/admin/audit",
    "/admin/keys",
    "/admin/webhooks",
    "/admin/second-factor",
    "/admin/whatsapp/logout-session?sender=main",
    "/admin/nowhere",
]


@pytest.fixture
def job(served: WebServer) -> int:
    """A sender, and a failed job whose error contains markup."""
    put_sender(served.database, "main")
    (number,) = submit(served.database, now=now_ms())
    change(served.database, number, status="failed", error=HOSTILE, finished_at=now_ms())
    return number


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_page_complies_with_the_content_security_policy(
    member: Person, job: int, path: str, language: str
) -> None:
    answer = member.client.get(path.format(job=job), headers={"Accept-Language": language})
    page = Page(answer.text)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert page.inline == []
    assert all(address.startswith("/static/") for address in page.loads)
    html = page.attributes("html")
    assert (html["lang"], html["dir"]) == (language, {"en": "ltr", "ar": "rtl"}[language])


def test_login_complies_with_the_content_security_policy(stranger: Person) -> None:
    answer = stranger.get("/admin/login")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert Page(answer.text).inline == []


@pytest.mark.parametrize("path", PAGES)
def test_element_ids_are_unique(member: Person, job: int, path: str) -> None:
    page = Page(member.get(path.format(job=job)).text)
    assert len(page.ids) == len(set(page.ids))


def test_every_file_that_a_page_loads_exists(member: Person) -> None:
    for address in Page(member.get("/admin/status").text).loads:
        answer = member.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/admin/status", "/admin/jobs/{job}"])
def test_error_texts_are_escaped(member: Person, job: int, path: str) -> None:
    answer = member.get(path.format(job=job)).text
    assert "<script>alert" not in answer
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer


@pytest.mark.parametrize("path", ["/admin/status?searchQuery={}", "/admin/audit?q={}"])
@pytest.mark.usefixtures("job")
def test_search_text_is_escaped(member: Person, path: str) -> None:
    page = Page(member.client.get(path.format(httpx.QueryParams({"x": HOSTILE}).get("x"))).text)
    assert not page.has("img")
    assert HOSTILE in [found.get("value") for tag, found in page.elements if tag == "input"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ar", "ar"),
        ("ar-EG,en;q=0.8", "ar"),
        ("en-GB,ar;q=0.9", "en"),
        ("de, ar;q=0.5, en;q=0.4", "ar"),
        ("ar;q=0, en", "en"),
        ("ar;q=nonsense,en;q=0.1", "ar"),
        ("de,fr", "en"),
        ("", "en"),
        ("*;q=;;,=", "en"),
    ],
)
def test_language_follows_the_browsers_preference(
    stranger: Person, header: str, language: str
) -> None:
    answer = stranger.client.get("/admin/login", headers={"Accept-Language": header})
    assert Page(answer.text).attributes("html")["lang"] == language


def test_chosen_language_is_stored_and_removed_from_the_address(member: Person) -> None:
    answer = member.get("/admin/status?filterStatus=failed&lang=ar&limit=50")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/admin/status?filterStatus=failed&limit=50"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert Page(member.get("/admin/status").text).attributes("html")["lang"] == "ar"


def test_unknown_language_is_ignored(member: Person) -> None:
    assert member.get("/admin/status?lang=tlh").status_code == 200


@pytest.mark.parametrize(("zone", "offset"), [("Asia/Kathmandu", "+05:45"), ("UTC", "+00:00")])
def test_times_use_the_browsers_time_zone(member: Person, job: int, zone: str, offset: str) -> None:
    member.client.cookies.set("hudhud_zone", zone)
    assert f'{offset}" title=' in member.get(f"/admin/jobs/{job}").text


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "../../etc/passwd", "Europe", "é", ""])
def test_unknown_time_zone_is_ignored(member: Person, zone: str) -> None:
    cookies = f"hudhud_zone={zone}; hudhud_session={member.session}"
    answer = member.client.get("/admin/status", headers={b"Cookie": cookies.encode()})
    assert answer.status_code == 200


def test_theme_is_stored(member: Person) -> None:
    assert "data-theme" not in Page(member.get("/admin/keys").text).attributes("html")
    answer = member.fill("/admin/keys", "/admin/theme", theme="dark")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/keys")
    assert Page(member.get("/admin/keys").text).attributes("html")["data-theme"] == "dark"


def test_unknown_theme_is_ignored(member: Person) -> None:
    member.fill("/admin/keys", "/admin/theme", theme='x" onload="y')
    assert "data-theme" not in Page(member.get("/admin/keys").text).attributes("html")


def test_result_of_a_form_is_shown_once(member: Person, served: WebServer) -> None:
    (job,) = submit(served.database, now=now_ms())
    change(served.database, job, status="failed", error="broken", finished_at=now_ms())
    action = f"/admin/jobs/retry/{job}"
    answer = member.fill("/admin/status", action)
    assert answer.status_code == 303
    said = f"Job {job} has been successfully re-queued."
    assert said in member.get("/admin/status").text
    assert said not in member.get("/admin/status").text


@pytest.mark.parametrize(
    "cookie",
    [
        "x",
        "%%%",
        base64.urlsafe_b64encode(b"null").decode(),
        base64.urlsafe_b64encode(b'["ok", "planted"]').decode(),
        base64.urlsafe_b64encode(b'[["ok"], "x"]').decode(),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
        base64.urlsafe_b64encode(bytes(32) + b'["ok", "planted"]').decode(),
        NoticeKey("another secret").seal(Notice("ok", "planted")),
    ],
)
def test_forged_notice_is_ignored(member: Person, cookie: str) -> None:
    member.client.cookies.set("hudhud_flash", cookie)
    answer = member.get("/admin/keys")
    assert answer.status_code == 200
    assert "planted" not in answer.text
    assert not Page(answer.text).has("div", **{"class": "note ok"})


def test_pages_are_compressed_if_accepted(member: Person) -> None:
    plain = member.client.get("/admin/keys", headers={"Accept-Encoding": "identity"})
    packed = member.client.get("/admin/keys", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2


@pytest.mark.parametrize("taken", ["gzip;q=0", "gzip; q=0.000, *", "*;q=0", "identity", ""])
def test_pages_are_not_compressed_if_refused(member: Person, taken: str) -> None:
    answer = member.client.get("/admin/keys", headers={"Accept-Encoding": taken})
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("taken", ["GZIP", "br, gzip;q=0.1", "*", "deflate;q=0,gzip;q=1.0"])
def test_every_spelling_of_gzip_is_recognised(member: Person, taken: str) -> None:
    answer = member.client.get("/admin/keys", headers={"Accept-Encoding": taken})
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/admin", "/admin/keys?lang=en", "/admin/login"])
def test_redirect_has_no_body_and_is_not_cached(member: Person, path: str) -> None:
    answer = member.get(path)
    assert answer.status_code == 303
    assert answer.content == b""
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("digest", "kept"),
    [("0" * 12, "no-store"), (FILES.digest, "public, max-age=31536000, immutable")],
)
def test_file_is_cached_permanently_only_at_its_versioned_address(
    stranger: Person, digest: str, kept: str
) -> None:
    answer = stranger.get(f"/static/{digest}/hudhud.svg")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, kept)


def test_page_dependencies_can_be_preloaded() -> None:
    warm()


def test_unknown_path_is_a_page_for_people_and_json_for_scripts(
    member: Person, served: WebServer
) -> None:
    page = member.get("/admin/nowhere")
    assert (page.status_code, "Page not found" in page.text) == (404, True)
    answer = served.client.get("/admin/nowhere")
    assert (answer.status_code, answer.json()["error"]) == (404, "Not Found")


def test_invalid_parameter_shows_an_error_page(member: Person) -> None:
    answer = member.get("/admin/status?limit=many")
    assert answer.status_code == 400
    assert "limit: must be a whole number" in answer.text


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Job with ID 999999 not found."), ("ar", "لا توجد مهمة برقم \u2068999999\u2069.")],
)
def test_refusal_of_a_script_request_uses_the_readers_language(
    member: Person, language: str, said: str
) -> None:
    headers = {"Accept-Language": language, "HX-Request": "true"}
    answer = member.client.get("/admin/jobs/999999", headers=headers)
    assert answer.status_code == 404
    assert answer.json() == {"message": said}
