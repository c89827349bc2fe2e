"""The status page on a real server."""

import json

import httpx
import pytest

from hudhud.core.clock import now_ms
from hudhud.messages import counters
from support.admin import HTML, Person
from support.html import Page
from support.queued import put_sender
from support.stored_jobs import StoredJob, put_jobs
from support.web_server import WebServer

BODY = "Your code:\n\n{code}\n\nFor the test of the status page."


@pytest.fixture(scope="module", autouse=True)
def stored(served: WebServer) -> list[int]:
    """Sixty jobs, a third of which failed."""
    put_sender(served.database, "main")
    now = now_ms()
    return put_jobs(
        served.database,
        *(
            StoredJob(
                phone=f"+2010000000{number:02}",
                status="failed" if number % 3 == 0 else "read",
                error="Odd." if number % 3 == 0 else None,
                sent_at=None if number % 3 == 0 else now - 5000,
                finished_at=now - 5000 if number % 3 == 0 else None,
                created_at=now - 6000,
                body=BODY,
            )
            for number in range(60)
        ),
    )


def part(person: Person, path: str, target: str) -> str:
    """Request a part as the page's script does."""
    headers = {"HX-Request": "true", "HX-Target": target, "Accept": "text/html"}
    answer = person.client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.text


def rows(html: str) -> list[int]:
    found = Page(html).elements
    return [int(attributes["data-id"]) for tag, attributes in found if "data-id" in attributes]


def test_admin_root_redirects_to_the_status_page(member: Person) -> None:
    answer = member.get("/admin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/status")


def test_the_page_has_every_part(member: Person) -> None:
    page = Page(member.get("/admin/status").text)
    for wanted in ("verdict", "senders", "numbers", "traffic", "jobs", "jobs-body", "live"):
        assert wanted in page.ids


@pytest.mark.parametrize("name", ["jobs", "traffic"])
def test_script_gets_only_the_requested_part(member: Person, name: str) -> None:
    html = part(member, "/admin/status", f"section#{name}")
    assert html.lstrip().startswith("<section")
    assert Page(html).elements[0][1]["id"] == name


def test_form_sent_by_script_gets_every_changed_part(member: Person) -> None:
    html = part(member, "/admin/status?filterStatus=failed", "div#notices")
    targets = [found["hx-target"] for tag, found in Page(html).elements if tag == "hx-partial"]
    assert targets == ["#status"]


def test_pages_of_the_list_have_no_gaps(member: Person, stored: list[int]) -> None:
    seen: list[int] = []
    address = "/admin/status?limit=25"
    while address:
        html = member.get(address).text
        seen += rows(html)
        page = Page(html)
        address = page.attributes("a", id="older")["href"] if page.has("a", id="older") else ""
    assert seen == sorted(stored, reverse=True)
    newer = page.attributes("a", id="newer")["href"]
    assert rows(member.get(newer).text) == seen[25:50]


def test_filter_is_in_the_address_and_shown_in_the_form(member: Person) -> None:
    address = "/admin/status?filterStatus=failed&filterDelivery=failed&limit=50&searchQuery=Odd"
    html = member.get(address).text
    page = Page(html)
    assert len(rows(html)) == 20
    assert "Newest 20 of 20" in page.text.replace("\n", " ")
    chosen = [found for tag, found in page.elements if tag == "option" and "selected" in found]
    selected = [found["value"] for found in chosen if "value" in found]
    assert selected == ["failed", "failed"]
    assert page.attributes("input", id="search")["value"] == "Odd"


def test_links_of_the_page_keep_the_filter(member: Person) -> None:
    html = member.get("/admin/status?filterStatus=failed&limit=25&unknown=x").text
    page = Page(html)
    links = [found.get("href", "") for tag, found in page.elements if tag == "a"]
    month = [link for link in links if "range=month" in link]
    assert month == ["/admin/status?filterStatus=failed&limit=25&range=month#traffic"]


def test_search_without_results_says_so_and_how_to_continue(member: Person) -> None:
    page = Page(member.get("/admin/status?searchQuery=nothing+has+this").text)
    assert "No job matches" in page.text
    assert "nothing has this" in page.text
    assert "Clear the filter" in page.text


def test_retry_all_is_offered_with_valid_failed_jobs(member: Person) -> None:
    assert "Retry all still valid (20)" in member.get("/admin/status?filterStatus=failed").text
    assert "Retry all" not in member.get("/admin/status").text


def test_words_of_the_chart_differ_from_those_of_a_row(member: Person, served: WebServer) -> None:
    with served.database.write() as connection:
        counters.add(connection, now=now_ms(), moved={}, happened={"sent": 1})
    html = member.client.get("/admin/status", headers={"Accept-Language": "ar"}).text
    words = Page(html).text.split()
    for word in ("مقبولة", "مُرسَلة", "مُسلَّمة", "فاشلة"):
        assert word in words
    assert 'data-label="أُرسلت"' in html


def test_charts_have_their_numbers_and_a_text_alternative(
    member: Person, served: WebServer
) -> None:
    with served.database.write() as connection:
        counters.add(connection, now=now_ms(), moved={}, happened={"accepted": 3})
    for chosen, places in (("hour", 60), ("day", 24), ("month", 30)):
        html = part(member, f"/admin/status?range={chosen}", "section#traffic")
        data = next(
            found["data-series"] for _tag, found in Page(html).elements if "data-series" in found
        )
        series = json.loads(data)
        assert {len(values) for name, values in series.items() if name != "ticks"} == {places}
        assert series["labels"][-1].endswith(", so far")
        with_script, without_script = html.split("<noscript>")
        for table in (with_script, without_script):
            assert table.count('<tr><th scope="row">') == places
        assert "<details" not in without_script
        assert sum(series["accepted"]) == 3


def test_unknown_range_falls_back_to_the_default(member: Person) -> None:
    page = Page(member.get("/admin/status?range=century").text)
    assert page.attributes("section", id="traffic")["data-range"] == "day"


def test_job_page_shows_its_timeline(member: Person, stored: list[int]) -> None:
    answer = member.get(f"/admin/jobs/{stored[0]}")
    page = Page(answer.text)
    assert [found["data-step"] for _tag, found in page.elements if "data-step" in found] == [
        "accepted",
        "failed",
    ]
    assert "Your code:\n\n••••\n\nFor the test of the status page." in page.text
    assert "{code}" not in answer.text


def test_drawer_request_gets_only_the_job(member: Person, stored: list[int]) -> None:
    html = part(member, f"/admin/jobs/{stored[0]}", "dialog#drawer")
    assert "<html" not in html
    assert Page(html).attributes("div", id="job")["data-job"] == str(stored[0])


@pytest.mark.parametrize("number", ["999999", "0", "x", "1e3", "9" * 30])
def test_unknown_job_shows_a_not_found_page(member: Person, number: str) -> None:
    answer = member.get(f"/admin/jobs/{number}")
    assert answer.status_code == 404
    assert "Job not found" in answer.text


def test_logout_asks_for_confirmation(member: Person) -> None:
    html = member.get("/admin/whatsapp/logout-session?sender=main").text
    assert "Log out sender" in html
    assert 'name="sender" value="main"' in html
    assert member.get("/admin/whatsapp/logout-session?sender=nobody").status_code == 404


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/status", "/admin/jobs/1", "/admin/audit", "/admin/keys"]
)
def test_every_page_requires_a_login(stranger: Person, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/admin/login?next=")


def test_partial_request_of_an_ended_session_gets_no_login_form(served: WebServer) -> None:
    headers = {"HX-Request": "true", "HX-Target": "section#jobs", "Accept": HTML}
    answer = httpx.get(f"http://127.0.0.1:{served.port}/admin/status", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/admin/login"
