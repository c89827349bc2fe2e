"""The keys page: created, shown once, rotated, revoked, and audited."""

import re
from typing import Any

import httpx
import pytest

from hudhud.auth import api_keys
from hudhud.core.clock import DAY_MS, now_ms
from support.admin import Person, script
from support.html import Page
from support.keys import make_key
from support.services import wait_until
from support.web_server import SECONDS, WebServer

KEYS = "/admin/keys"
ROTATE = f"{KEYS}/rotate"
REVOKE = f"{KEYS}/revoke"
REVOKE_SECRET = f"{KEYS}/revoke-secret"
SHOWN = re.compile(r'id="new-key">(hh_(?:live|test)_[\w-]+)</code>')


def make(person: Person, **fields: Any) -> httpx.Response:
    return person.fill(KEYS, KEYS, **fields)


def shown_in(answer: httpx.Response) -> str:
    """Return the secret that the answer shows."""
    found = SHOWN.search(answer.text)
    assert found is not None, answer.text
    return found[1]


def listed(server: WebServer) -> list[Any]:
    """Return the secrets in use."""
    now = now_ms()
    with server.database.read() as connection:
        return [key for key in api_keys.list_keys(connection) if api_keys.still_works(key, now)]


def in_use(server: WebServer) -> dict[str, str]:
    return {key.name: key.scopes for key in listed(server)}


def stored(server: WebServer, key: str) -> Any:
    with server.database.read() as connection:
        return api_keys.stored(connection, key)


def row_of(page: str, prefix: str) -> str:
    """Return the page's row of a secret, without markup."""
    found = re.search(rf'<tr role="row" data-key="{prefix}">(.*?)</tr>', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def test_a_key_is_shown_once_and_works(member: Person, served: WebServer) -> None:
    answer = make(member, name=" checkout ", scope="send")
    assert answer.status_code == 200
    key = shown_in(answer)
    assert in_use(served)["checkout"] == "send"
    assert key not in member.get(KEYS).text
    assert answer.headers["cache-control"] == "no-store"
    audit = member.get("/admin/audit?what=keys").text
    assert "Key created:" in audit
    assert key not in audit


def test_every_option_is_stored_shown_and_audited(member: Person, served: WebServer) -> None:
    answer = make(
        member,
        name="everything",
        scope=["read", "send", "verify"],
        show_code="on",
        code_length="8",
        link_verify="on",
        networks="192.0.2.7, 2001:db8::/32",
        days="90",
        per_number="2/1m, 9/1h",
        per_prefix="0",
        per_key="",
    )
    row = stored(served, shown_in(answer))
    assert (row.scopes, row.hides_code, row.may_link_verify) == ("send verify read", False, True)
    assert row.code_length == 8
    assert row.networks == "192.0.2.7 2001:db8::/32"
    assert row.limits == "per_number=2/1m,9/1h per_prefix=0"
    assert row.expires_at - row.created_at == 90 * DAY_MS
    seen = row_of(member.get(KEYS).text, row.prefix)
    for part in (
        "everything codes of 8 digits links may approve",
        "send, verify, read",
        "For one number: 2/1m,9/1h For neighbouring numbers: no limit",
        "192.0.2.7 2001:db8::/32 not yet",
    ):
        assert part in seen
    audit = "/admin/audit?what=keys"
    assert f"Scopes: {api_keys.described(row).english()}." in member.get(audit).text
    arabic = member.client.get(audit, headers={"Accept-Language": "ar"}).text
    for words in (" أرقام", "يسمح بالتحقق بالرابط", "ينتهي في "):
        assert words in arabic
    assert " digits" not in arabic


def test_key_that_has_codes_checked_here_hides_them(member: Person, served: WebServer) -> None:
    row = stored(served, shown_in(make(member, name="hiding", scope=["send", "verify"])))
    assert (row.hides_code, row.code_length) == (True, None)
    assert "hiding answers without the code" in row_of(member.get(KEYS).text, row.prefix)


def test_a_test_key_is_marked(member: Person, served: WebServer) -> None:
    row = stored(served, shown_in(make(member, name="trial", scope="send", test="on")))
    assert row.prefix.startswith("hh_test_")
    assert row.scopes == "send sandbox"
    assert "trial test key: to the sandbox only" in row_of(member.get(KEYS).text, row.prefix)


def test_form_preselects_the_default_scopes(member: Person) -> None:
    page = member.get(KEYS).text
    checked = re.findall(r'name="scope" value="(\w+)" checked', page)
    assert checked == ["send", "verify", "read"]
    assert Page(page).attributes("input", id="key-per_number")["placeholder"] == "1/30s,5/1h,10/1d"
    assert Page(page).attributes("input", id="key-per_key")["placeholder"] == "no limit"


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"name": ""}, "key-name", "A key&#39;s name has 1 to 60 characters."),
        ({"name": "\u202eevil"}, "key-name", "A key&#39;s name holds no control characters."),
        ({"name": "x" * 61}, "key-name", "A key&#39;s name has 1 to 60 characters."),
        ({"scope": ""}, None, "A key needs one or more of these scopes"),
        ({"scope": "root"}, None, "A key needs one or more of these scopes"),
        ({"scope": "admin", "test": "on"}, None, "A test key cannot have the scope admin."),
        ({"networks": "the office"}, "key-networks", "A key cannot be used from “the”:"),
        ({"days": "0"}, "key-days", "A key expires after 1 to 3650 days, or never."),
        ({"days": "3651"}, "key-days", "A key expires after 1 to 3650 days, or never."),
        ({"days": "soon"}, "key-days", "A key expires after 1 to 3650 days, or never."),
        ({"per_key": "often"}, "key-per_key", "Not a valid limit: write it as 1/30s"),
    ],
)
def test_refused_key_gives_the_reason_and_keeps_the_input(
    member: Person, served: WebServer, wrong: dict[str, str], field: str | None, said: str
) -> None:
    before = in_use(served)
    answer = make(member, **{"name": "refused", "scope": "send", "per_country": "7/1h", **wrong})
    assert answer.status_code == 400
    assert answer.text.count(said) == 1
    page = Page(answer.text)
    assert page.attributes("input", id="key-per_country")["value"] == "7/1h"
    assert page.attributes("input", id="key-name")["value"] == wrong.get("name", "refused")
    if field is not None:
        assert page.attributes("input", id=field)["aria-invalid"] == "true"
        assert "key-wrong" in str(page.attributes("input", id=field)["aria-describedby"])
    assert in_use(served) == before


def test_two_keys_cannot_have_one_name(member: Person) -> None:
    make(member, name="twin", scope="send")
    assert "exists already" in make(member, name="twin", scope="send").text


@pytest.mark.parametrize(("overlap", "length"), [("0", 0), ("24h", DAY_MS), ("30d", 30 * DAY_MS)])
def test_a_rotated_key_shows_its_new_secret_once(
    member: Person, served: WebServer, overlap: str, length: int
) -> None:
    old = make_key(served.database, f"rotated {overlap}", "send", hides_code=True)
    answer = member.fill(KEYS, ROTATE, owner=old[:14], overlap=overlap)
    assert answer.status_code == 200
    new = shown_in(answer)
    assert f"rotated {overlap}</bdi>” has a new secret." in answer.text
    before, after = stored(served, old), stored(served, new)
    assert (after.name, after.owner, after.hides_code) == (before.name, old[:14], True)
    assert before.expires_at == after.created_at + length
    assert new not in member.get(KEYS).text
    audit = member.get("/admin/audit?what=keys").text
    assert "New secret of key" in audit
    assert "The previous secret works until" in audit
    assert new not in audit


def test_replaced_secret_can_be_ended_at_once(member: Person, served: WebServer) -> None:
    old = make_key(served.database, "leaked", "send")
    new = shown_in(member.fill(KEYS, ROTATE, owner=old[:14], overlap="7d"))
    page = member.get(KEYS).text
    assert "replaced ends in" in row_of(page, old[:14])
    assert "Revoke" not in row_of(page, old[:14])
    assert "Revoke" in row_of(page, new[:14])
    assert f"Yes, end {old[:14]}…" in row_of(page, old[:14])
    assert "ends in 7 days" in row_of(page, old[:14])
    assert member.fill(KEYS, REVOKE_SECRET, prefix=old[:14]).status_code == 303
    assert [key.prefix for key in listed(served) if key.name == "leaked"] == [new[:14]]


def test_secrets_of_a_key_are_grouped_newest_first(member: Person, served: WebServer) -> None:
    old = make_key(served.database, "together", "read")
    other = make_key(served.database, "between", "read")
    new = shown_in(member.fill(KEYS, ROTATE, owner=old[:14], overlap="1h"))
    shown = re.findall(r'data-key="(hh_[^"]+)"', member.get(KEYS).text)
    first = shown.index(new[:14])
    assert shown[first : first + 3] == [new[:14], old[:14], other[:14]]


def test_overlap_that_is_not_offered_is_refused(member: Person, served: WebServer) -> None:
    old = make_key(served.database, "kept", "send")
    answer = member.fill(KEYS, ROTATE, owner=old[:14], overlap="100d")
    assert answer.status_code == 400
    assert stored(served, old).expires_at is None


def test_revoked_key_is_removed_with_all_its_secrets(member: Person, served: WebServer) -> None:
    key = shown_in(make(member, name="short lived", scope="admin"))
    member.fill(KEYS, ROTATE, owner=key[:14], overlap="24h")
    answer = member.fill(KEYS, REVOKE, owner=key[:14])
    assert answer.status_code == 303
    assert "short lived" not in in_use(served)
    page = member.get(KEYS).text
    assert "Key short lived is revoked." in page
    assert "Key revoked:" in member.get("/admin/audit").text
    ended = page[page.index('id="ended-keys"') :]
    assert ended.count("short lived") == 2


def test_key_named_like_another_keys_prefix_does_not_prevent_revoking(
    member: Person, served: WebServer
) -> None:
    prefix = make_key(served.database, "target", "send")[:14]
    make_key(served.database, prefix)
    member.fill(KEYS, REVOKE, owner=prefix)
    assert "target" not in in_use(served)
    assert prefix in in_use(served)


def test_last_use_and_near_expiry_are_shown(member: Person, served: WebServer) -> None:
    now = now_ms()
    used = make_key(served.database, "used", "read", expires_at=now + 3 * DAY_MS)
    far = make_key(served.database, "far", "read", expires_at=now + 30 * DAY_MS)
    ring = served.web.state.app_state.api_key_cache
    ring._renew()
    ring.identify(used)
    wait_until(lambda: stored(served, used).last_used_at, SECONDS, "the note of the use")
    page = member.get(KEYS).text
    assert re.search(r"\d+ s ago", row_of(page, used[:14]))
    assert "in 3 days" in row_of(page, used[:14])
    assert "not yet" in row_of(page, far[:14])
    assert "in 30 days" not in row_of(page, far[:14])


def test_environment_key_is_listed_and_cannot_be_changed(member: Person, served: WebServer) -> None:
    assert served.client.get("/api/v1/otp/1").status_code in (200, 404)  # uses it
    wait_until(
        lambda: "ago" in row_of(member.get(KEYS).text, "API_KEY"), SECONDS, "the note of the use"
    )
    row = row_of(member.get(KEYS).text, "API_KEY")
    assert "send, verify, read, sandbox" in row
    assert "Revoke" not in row
    assert "Rotate" not in row


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("path", [KEYS, ROTATE, REVOKE, REVOKE_SECRET])
def test_api_key_cannot_create_or_revoke_keys(
    admin_key: str, dashboard: WebServer, path: str
) -> None:
    with script(dashboard, **{"X-API-KEY": admin_key}) as client:
        wait_until(lambda: client.get(KEYS).status_code == 200, SECONDS, "the key to work")
        fields = {
            "name": "another",
            "scope": "admin",
            "prefix": admin_key[:14],
            "owner": admin_key[:14],
        }
        assert client.post(path, data=fields).status_code == 403
    assert in_use(dashboard) == {"backoffice": "admin"}


@pytest.mark.parametrize(
    ("path", "field"), [(REVOKE, "owner"), (ROTATE, "owner"), (REVOKE_SECRET, "prefix")]
)
def test_an_unknown_key_cannot_be_changed(
    member: Person, served: WebServer, path: str, field: str
) -> None:
    old = make_key(served.database, f"replaced beside {path}", "send")
    member.fill(KEYS, ROTATE, owner=old[:14], overlap="24h")
    before = in_use(served)
    answer = member.fill(KEYS, path, **{field: "hh_live_nobody"})
    assert answer.status_code == 303
    assert "There is no such key." in member.get(KEYS).text
    assert in_use(served) == before


@pytest.mark.parametrize("path", [KEYS, ROTATE, REVOKE, REVOKE_SECRET])
def test_key_is_not_changed_without_the_csrf_token(
    member: Person, served: WebServer, path: str
) -> None:
    before = in_use(served)
    fields = {"name": "forged", "scope": "admin", "prefix": "hh_live_", "owner": "hh_live_"}
    assert member.client.post(path, data=fields).status_code == 403
    assert in_use(served) == before


def test_names_are_escaped(member: Person) -> None:
    make(member, name="<script>alert(1)</script>", scope="send")
    for path in (KEYS, "/admin/audit"):
        assert "<script>alert" not in member.get(path).text
