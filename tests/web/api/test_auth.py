"""API keys: access by scope, allowed addresses, and expiry."""

import re
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from hudhud.auth.api_key_settings import SCOPES
from hudhud.auth.api_keys import digest
from hudhud.auth.wrong_keys import MOST_WRONG
from hudhud.core.clock import now_ms
from hudhud.db.tables import api_keys
from hudhud.web.http.api_key import KEY_WRONG
from support.keys import make_key
from support.web_server import KEY, SEND, ServeWeb, WebServer

OTP = "/api/v1/otp"
ROUTES = [
    ("POST", SEND, "send"),
    ("POST", f"{OTP}/verify", "verify"),
    ("GET", OTP, "read"),
    ("GET", f"{OTP}/999999999", "read"),
    ("POST", f"{OTP}/999999999/cancel", "send"),
    ("POST", f"{OTP}/999999999/resend", "send"),
    ("POST", f"{OTP}/link", "send"),
    ("POST", f"{OTP}/link", "verify"),
    ("GET", "/api/v1/sandbox/messages", "sandbox"),
    ("POST", "/api/v1/sandbox/inbound", "sandbox"),
]


def known_key(server: WebServer, *scopes: str, **settings: Any) -> str:
    """Create a named key that the server has already loaded."""
    key = make_key(server.database, secrets.token_hex(8), *scopes, **settings)
    server.renew_keys()
    return key


def ask(
    server: WebServer, key: str, method: str = "POST", path: str = SEND, **headers: str
) -> httpx.Response:
    """Send an invalid request, which has no effect if permitted."""
    body: dict[str, Any] | None = {} if method == "POST" else None
    return server.client.request(method, path, headers={"X-API-KEY": key, **headers}, json=body)


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_request_without_the_scope_is_refused_with_a_remedy(
    api: WebServer, method: str, path: str, scope: str
) -> None:
    others = [one for one in SCOPES if one not in (scope, "admin")]
    key = known_key(api, *others)
    answer = ask(api, key, method, path)
    assert answer.status_code == 403
    assert answer.json()["error"] == "scope_missing"
    sentence = answer.json()["message"]
    assert f"it lacks the scope {scope}." in sentence
    made = re.search(r"hudhud keys create NAME ((?:--scope \w+ ?)+)$", sentence)
    assert made is not None
    better = known_key(api, *re.findall(r"--scope (\w+)", made[1]))
    assert ask(api, better, method, path).status_code not in (401, 403)


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_scope_admin_permits_the_whole_api(
    api: WebServer, method: str, path: str, scope: str
) -> None:
    key = known_key(api, "admin")
    assert ask(api, key, method, path).status_code not in (401, 403), scope


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_environment_key_may_use_the_whole_api_but_not_the_dashboard(
    api: WebServer, method: str, path: str, scope: str
) -> None:
    assert ask(api, KEY, method, path).status_code not in (401, 403), scope
    assert ask(api, KEY, "GET", "/admin/api/jobs").status_code == 403


def test_new_keys_work_at_their_first_request(api: WebServer) -> None:
    for _ in range(5):  # one refresh a second could hide that a key is unknown at first
        key = make_key(api.database, secrets.token_hex(8), "send")
        assert ask(api, key).status_code == 400
    admin = make_key(api.database, secrets.token_hex(8), "admin")
    assert ask(api, admin, "GET", "/admin/api/jobs").status_code == 200


def test_allowed_addresses_are_checked_before_scopes(
    api: WebServer,
) -> None:
    far = known_key(api, "read", networks=["192.0.2.0/24", "2001:db8::/32"])
    near = known_key(api, "send", networks=["192.0.2.0/24", "127.0.0.1"])
    refused = ask(api, far)
    assert refused.status_code == 403
    assert refused.json()["error"] == "address_not_allowed"
    assert "address" in refused.json()["message"]
    assert ask(api, near).status_code == 400


def test_forwarded_header_of_an_untrusted_client_is_ignored(api: WebServer) -> None:
    key = known_key(api, "send", networks=["192.0.2.0/24"])
    refused = ask(api, key, **{"X-Forwarded-For": "192.0.2.9"})
    assert refused.json()["error"] == "address_not_allowed"


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("192.0.2.9", 400),
        ("::ffff:192.0.2.9", 400),
        ("198.51.100.9, 192.0.2.9", 400),
        ("192.0.2.9, 198.51.100.9", 403),
        ("somewhere", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_trusted_proxy_determines_the_client_address(
    serve_web: ServeWeb, forwarded: str, status: int
) -> None:
    server = serve_web(trusted_proxies="127.0.0.1")
    key = known_key(server, "send", networks=["192.0.2.0/24"])
    assert ask(server, key, **{"X-Forwarded-For": forwarded}).status_code == status


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_many_wrong_keys_of_a_client_are_refused_but_no_right_one(serve_web: ServeWeb) -> None:
    server = serve_web(trusted_proxies="127.0.0.1")
    guesser = {"X-Forwarded-For": "198.51.100.9"}
    answers = [ask(server, f"wrong-{number}", **guesser) for number in range(MOST_WRONG + 1)]
    assert [answer.status_code for answer in answers] == [401] * MOST_WRONG + [429]
    assert answers[-1].json()["error"] == "too_many_wrong_keys"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert ask(server, KEY, **guesser).status_code == 400
    assert ask(server, "wrong", **{"X-Forwarded-For": "198.51.100.10"}).status_code == 401


def test_expired_key_is_refused_like_a_wrong_one(api: WebServer) -> None:
    soon = now_ms() + 3_600_000
    key = known_key(api, "send", expires_at=soon, networks=["192.0.2.0/24"])
    assert ask(api, key).status_code == 403
    with api.database.write() as connection:
        of_key = api_keys.c.digest == digest(key)
        connection.execute(update(api_keys).where(of_key).values(expires_at=now_ms()))
    api.renew_keys()
    refused = ask(api, key)
    assert (refused.status_code, refused.json()) == (401, {"message": KEY_WRONG})
