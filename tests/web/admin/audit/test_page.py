"""The audit page: every kind of entry worded, filtered, searched and paged."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest
from sqlalchemy import insert

from hudhud.auth import audit_log
from hudhud.auth.audit_log import GROUPS, What
from hudhud.auth.first_credentials import FIRST_START
from hudhud.core.clock import now_ms
from hudhud.core.sentences import say
from hudhud.db import tables
from hudhud.web.admin.audit.labels import group_words, words_of
from hudhud.web.admin.ui.actor import actor_name
from hudhud.web.admin.ui.view import Language
from support.admin import PASSWORD, Person
from support.html import Page
from support.shown import fmt
from support.web_server import ServeWeb, WebServer

ACTIONS: tuple[What, ...] = get_args(What)


@pytest.fixture(scope="module", autouse=True)
def _notes(served: WebServer) -> None:
    """120 entries of all kinds, the last in `ACTIONS` order."""
    with served.database.write() as connection:
        for number in range(120):
            what = ACTIONS[-1 - number % len(ACTIONS)]
            outcome = audit_log.AuditOutcome.__args__[number % 3]  # type: ignore[attr-defined] # the words
            audit_log.note(
                connection,
                who="root<b>" if number % 2 else "admin",
                address=None if number % 5 == 0 else "2001:db8::9",
                what=what,
                subject=f"subject {number}",
                outcome=outcome,
                detail=say("command.no_device") if number % 4 == 0 else None,
                now=now_ms(),
            )


def kinds(page: Page) -> list[str]:
    return [found["data-what"] for _tag, found in page.elements if "data-what" in found]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_kind_of_entry_has_words(member: Person, language: str) -> None:
    answer = member.client.get("/admin/audit", headers={"Accept-Language": language})
    page = Page(answer.text)
    assert set(kinds(page)) >= set(ACTIONS)
    assert "root<b>" in page.text
    assert "root<b>" not in answer.text
    if language == "ar":
        assert "لا جهاز مرتبط." in page.text


@pytest.mark.parametrize(
    ("who", "english", "arabic"),
    [
        (audit_log.COMMAND_LINE, "command line", "سطر الأوامر"),
        (FIRST_START, "first start", "التشغيل الأول"),
        ("admin", "admin", "المشرف"),
        ("sara", "sara", "sara"),
        ("<b>", "&lt;b&gt;", "&lt;b&gt;"),
    ],
)
def test_who_did_it_is_named_in_the_readers_language(who: str, english: str, arabic: str) -> None:
    assert actor_name(who, fmt()) == f'<bdi dir="auto">{english}</bdi>'
    assert actor_name(who, fmt("ar")) == f'<bdi dir="auto">{arabic}</bdi>'


def test_key_that_did_it_is_named_as_a_key() -> None:
    name = '<b><bdi dir="auto">shop</bdi></b>'
    assert actor_name("key shop", fmt()) == f"key {name}"
    assert actor_name("key shop", fmt("ar")) == f"المفتاح {name}"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_each_kind_and_group_has_distinct_words(language: Language) -> None:
    notes: list[Any] = [SimpleNamespace(what=what, subject=None) for what in ACTIONS]
    said = {str(words_of(note, fmt(language))) for note in notes}
    assert len(said) == len(ACTIONS)
    assert str(fmt(language).isolated("")) not in said
    assert set(group_words(fmt(language))) == set(GROUPS)


def test_entry_with_an_endlessly_nested_sentence_is_shown(
    served: WebServer, member: Person
) -> None:
    detail = "There is no sender named " * 2000 + "x."
    with served.database.write() as connection:
        connection.execute(
            insert(tables.audit).values(
                at=now_ms(), who="nested", what="pause", outcome="refused", detail=detail
            )
        )
    answer = member.client.get("/admin/audit?q=nested", headers={"Accept-Language": "ar"})
    assert answer.status_code == 200
    with served.database.write() as connection:
        connection.execute(tables.audit.delete().where(tables.audit.c.who == "nested"))


@pytest.mark.parametrize("group", list(GROUPS))
def test_filter_shows_the_entries_of_one_group(member: Person, group: audit_log.Group) -> None:
    page = Page(member.get(f"/admin/audit?what={group}").text)
    assert set(kinds(page)) == set(GROUPS[group])


def test_pages_are_consecutive(member: Person) -> None:
    seen = 0
    address = "/admin/audit?q=subject"
    while address:
        page = Page(member.get(address).text)
        seen += len(kinds(page))
        older = [found["href"] for tag, found in page.elements if found.get("rel") == "next"]
        address = older[0] if older else ""
        assert not older or "q=subject" in address
    assert seen == 120


def test_search_without_results_says_so(member: Person) -> None:
    assert "No entry matches" in member.get("/admin/audit?q=nobody-did-this").text


@pytest.mark.parametrize("query", ["what=nonsense", "before=x", "before=" + "9" * 30, "q=%00"])
def test_invalid_parameters_are_ignored(member: Person, query: str) -> None:
    assert member.get(f"/admin/audit?{query}").status_code == 200


@pytest.mark.parametrize(("days", "said"), [(1, "1 day and"), (30, "30 days and")])
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_page_shows_how_long_entries_are_kept(
    serve_web: ServeWeb, cheap_hashes: None, days: int, said: str
) -> None:
    del cheap_hashes
    server = serve_web(admin_password=PASSWORD, retention_audit_days=days)
    with Person(server) as person:
        person.log_in()
        assert f"Entries are kept for {said}" in person.get("/admin/audit").text
