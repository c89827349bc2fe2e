"""API keys on their page: made, shown once, revoked; and the audit that tells of it."""

import re

import httpx
import pytest

from hudhud import api_keys
from support.admin import Person, script
from support.html import Page
from support.services import wait_until
from support.web_server import SECONDS, WebServer

KEYS = "/admin/keys"


def make(person: Person, **fields: str) -> httpx.Response:
    return person.fill(KEYS, KEYS, **fields)


def in_use(server: WebServer) -> dict[str, str]:
    with server.database.read() as connection:
        return {
            key.name: key.scopes for key in api_keys.list_keys(connection) if not key.revoked_at
        }


def test_a_key_is_shown_once_and_works(member: Person, served: WebServer) -> None:
    answer = make(member, name=" checkout ", scope="send")
    assert answer.status_code == 200
    found = re.search(r'id="new-key">(hh_live_[\w-]+)</code>', answer.text)
    assert found is not None
    assert in_use(served)["checkout"] == "send"
    assert found[1] not in member.get(KEYS).text
    assert answer.headers["cache-control"] == "no-store"
    audit = member.get("/admin/audit?what=keys").text
    assert "Key made:" in audit
    assert found[1] not in audit


@pytest.mark.parametrize(
    ("name", "scope", "said"),
    [
        ("", "send", "A key&#39;s name has 1 to 60 characters."),
        ("\u202eevil", "send", "A key&#39;s name holds no control characters."),
        ("x" * 61, "send", "A key&#39;s name has 1 to 60 characters."),
        ("no scope", "", "A key needs one or more of these scopes"),
        ("odd scope", "root", "A key needs one or more of these scopes"),
    ],
)
def test_a_key_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    member: Person, served: WebServer, name: str, scope: str, said: str
) -> None:
    answer = make(member, name=name, scope=scope)
    assert answer.status_code == 400
    assert said in answer.text
    assert Page(answer.text).attributes("input", id="key-name")["value"] == name
    assert name not in in_use(served)


def test_two_keys_cannot_have_one_name(member: Person) -> None:
    make(member, name="twin", scope="send")
    assert "exists already" in make(member, name="twin", scope="send").text


def test_a_revoked_key_is_gone(member: Person, served: WebServer) -> None:
    make(member, name="short lived", scope="admin")
    with served.database.read() as connection:
        keys = api_keys.list_keys(connection)
    prefix = next(key.prefix for key in keys if key.name == "short lived")
    answer = member.fill(KEYS, f"{KEYS}/revoke", prefix=prefix)
    assert answer.status_code == 303
    assert "short lived" not in in_use(served)
    assert "Key short lived is revoked." in member.get(KEYS).text
    assert "Key revoked:" in member.get("/admin/audit").text


def test_a_key_that_is_named_like_anothers_prefix_hinders_nothing(
    member: Person, served: WebServer
) -> None:
    make(member, name="target", scope="send")
    with served.database.write() as connection:
        keys = api_keys.list_keys(connection)
        prefix = next(key.prefix for key in keys if key.name == "target")
        api_keys.create(connection, prefix)
    member.fill(KEYS, f"{KEYS}/revoke", prefix=prefix)
    assert "target" not in in_use(served)
    assert prefix in in_use(served)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("path", [KEYS, f"{KEYS}/revoke"])
def test_a_key_makes_and_revokes_no_keys(admin_key: str, dashboard: WebServer, path: str) -> None:
    with script(dashboard, **{"X-API-KEY": admin_key}) as client:
        wait_until(lambda: client.get(KEYS).status_code == 200, SECONDS, "the key to work")
        fields = {"name": "another", "scope": "admin", "prefix": admin_key[:14]}
        assert client.post(path, data=fields).status_code == 403
    assert in_use(dashboard) == {"backoffice": "admin"}


def test_an_unknown_key_cannot_be_revoked(member: Person) -> None:
    make(member, name="stays", scope="send")
    member.fill(KEYS, f"{KEYS}/revoke", prefix="hh_live_nobody")
    assert "There is no such key." in member.get(KEYS).text


@pytest.mark.parametrize("path", [KEYS, f"{KEYS}/revoke"])
def test_a_key_is_not_changed_without_the_forms_token(
    member: Person, served: WebServer, path: str
) -> None:
    before = in_use(served)
    fields = {"name": "forged", "scope": "admin", "prefix": "hh_live_"}
    assert member.client.post(path, data=fields).status_code == 403
    assert in_use(served) == before


def test_a_name_that_others_chose_stays_text(member: Person) -> None:
    make(member, name="<script>alert(1)</script>", scope="send")
    for path in (KEYS, "/admin/audit"):
        assert "<script>alert" not in member.get(path).text
