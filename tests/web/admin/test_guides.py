"""The guides and the footer of the dashboard."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from hudhud import __version__
from hudhud.web.admin.guides import LISTED
from support.admin import Person

DOCS = Path(__file__).parents[3] / "docs"
# The pages read no table, so one kind of database is enough.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
GUIDES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))

LINK = re.compile(r'<a href="([^"]+)"')
ID = re.compile(r' id="([^"]+)"')


@pytest.fixture
def admin(person: Person) -> Person:
    """A browser that is logged in."""
    person.log_in()
    return person


def test_every_guide_is_shown_and_every_link_leads_somewhere(admin: Person) -> None:
    pages = {f"/admin/docs/{name}": admin.get(f"/admin/docs/{name}") for name in GUIDES}
    assert {answer.status_code for answer in pages.values()} == {200}
    for path, answer in pages.items():
        article = answer.text.split("<article")[1].split("</article>")[0]
        assert "<h1" in article
        for link in map(unescape, LINK.findall(article)):
            target = urlsplit(urljoin(path, link))
            if target.netloc:
                continue
            if target.path == "/admin/docs/decisions/":
                continue
            assert target.path in pages, (path, link)
            if target.fragment:
                assert target.fragment in ID.findall(pages[target.path].text), (path, link)


def test_folder_of_decisions_lists_them(admin: Person) -> None:
    page = admin.get("/admin/docs/decisions/").text
    article = page.split("<article")[1].split("</article>")[0]
    decisions = [f"/admin/docs/{name}" for name in GUIDES if name.startswith("decisions/")]
    assert LINK.findall(article) == decisions != []


def test_texts_of_a_guide_are_not_read_as_markup(admin: Person) -> None:
    page = admin.get("/admin/docs/settings").text
    assert "<table>" in page
    assert "<code>SESSION_SECRET_PREVIOUS</code>" in page
    assert "<script>" not in page


def test_guides_are_listed_and_the_first_one_opens(admin: Person) -> None:
    answer = admin.get("/admin/docs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/docs/operations")
    page = admin.get("/admin/docs/operations").text
    listed = page.split('<nav class="card"')[1].split("</nav>")[0]
    assert LINK.findall(listed) == [f"/admin/docs/{name}" for name in LISTED]
    assert 'href="/admin/docs/operations" aria-current="page"' in listed


@pytest.mark.parametrize("name", ["nothing", "../README", "..%2fREADME", "operations.md", "%00"])
def test_other_files_are_not_found(admin: Person, name: str) -> None:
    assert admin.get(f"/admin/docs/{name}").status_code == 404


def test_guides_need_a_login(person: Person) -> None:
    answer = person.get("/admin/docs/settings")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/admin/login")


@pytest.mark.parametrize(
    ("language", "reference", "documentation"),
    [("en", "API reference", "Documentation"), ("ar", "مرجع API", "الوثائق")],
)
def test_every_page_ends_with_version_and_documentation(
    admin: Person, language: str, reference: str, documentation: str
) -> None:
    admin.get(f"/admin/keys?lang={language}")
    for path in ("status", "keys", "webhooks", "audit", "docs/settings"):
        footer = admin.get(f"/admin/{path}").text.split("<footer")[1].split("</footer>")[0]
        assert __version__ in footer
        assert f'<a href="/api/docs">{reference}</a>' in footer
        assert f'<a href="/admin/docs">{documentation}</a>' in footer
