"""Limits over HTTP: 429 and the headers of all answers."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx

from hudhud.core.rates import Rate
from hudhud.db.engine import Database
from hudhud.verification.limits.rate_limits import LimitReached, Quota, QuotaPolicy
from hudhud.web.http.rate_limit_headers import headers
from support.keys import make_key
from support.web_server import KEY, PHONE, SEND, ServeWeb, WebServer

ITEM = re.compile(r'"([a-z_]+-\d+[smhd])"((?:;[a-z]=\d+)+)')


QUOTA = Quota(
    (
        QuotaPolicy("per_number", Rate(1, 30_000), 0, 12_001),
        QuotaPolicy("per_number", Rate(5, 3_600_000), 4, 3_600_000),
        QuotaPolicy("total", Rate(100, 60_000), 0, 5000),
    )
)


def items(header: str) -> dict[str, dict[str, int]]:
    """Parse a list of structured fields: strings with integer parameters."""
    read = {}
    for item in header.split(", "):
        found = ITEM.fullmatch(item)
        assert found is not None, item
        pairs = (pair.split("=") for pair in found[2][1:].split(";"))
        read[found[1]] = {name: int(value) for name, value in pairs}
    return read


def send(server: WebServer, key: str, phone: str = PHONE, **fields: object) -> httpx.Response:
    return server.client.post(
        SEND, json={"phoneNumber": phone, **fields}, headers={"X-API-KEY": key}
    )


def test_environment_key_has_no_limits_and_no_headers(serve_web: ServeWeb) -> None:
    server = serve_web()
    for _ in range(12):
        answer = send(server, KEY)
        assert answer.status_code == 202
        assert "RateLimit" not in answer.headers
        assert "RateLimit-Policy" not in answer.headers


def test_new_key_has_the_default_limits_and_their_headers(
    serve_web: ServeWeb, database: Database
) -> None:
    key = make_key(database)
    server = serve_web()
    accepted = send(server, key)
    assert accepted.status_code == 202
    assert items(accepted.headers["RateLimit-Policy"]) == {
        "per_number-30s": {"q": 1, "w": 30},
        "per_number-1h": {"q": 5, "w": 3600},
        "per_number-1d": {"q": 10, "w": 86_400},
        "per_prefix-10m": {"q": 1000, "w": 600},
    }
    left = items(accepted.headers["RateLimit"])
    assert [one["r"] for one in left.values()] == [0, 4, 9, 999]
    assert left["per_number-30s"]["t"] == 30
    refused = send(server, key)
    assert refused.status_code == 429
    assert refused.json()["error"] == "rate_limited"
    assert "to this number: at most 1 in 30s" in refused.json()["message"]
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert items(refused.headers["RateLimit"])["per_number-30s"]["r"] == 0
    assert refused.headers["RateLimit-Policy"] == accepted.headers["RateLimit-Policy"]
    assert send(server, key, "+201001234568").status_code == 202


def test_configured_limit_applies_to_the_environment_key(serve_web: ServeWeb) -> None:
    server = serve_web(limit_per_client_ip="2/1h")
    codes = [send(server, KEY, clientIp="2001:db8::1").status_code for _ in range(3)]
    assert codes == [202, 202, 429]
    assert send(server, KEY, clientIp="2001:db8::2").status_code == 429
    assert send(server, KEY, clientIp="2001:db8:1::1").status_code == 202
    assert send(server, KEY).status_code == 202


def test_simultaneous_sends_never_exceed_a_limit(serve_web: ServeWeb) -> None:
    server = serve_web(limit_total="7/1h")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(server, KEY), range(40)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(202), codes.count(429)) == (7, 33)


def test_denied_country_is_refused_with_an_error_word(serve_web: ServeWeb) -> None:
    server = serve_web(allowed_countries="EG,US")
    assert send(server, KEY).status_code == 202
    refused = send(server, KEY, "+12645550123")
    assert refused.status_code == 403
    assert refused.json() == {
        "message": "No codes are sent to AI here.",
        "error": "country_not_allowed",
    }


def test_headers_name_each_limit_and_its_remaining_quota() -> None:
    assert headers(QUOTA) == {
        "RateLimit-Policy": '"per_number-30s";q=1;w=30, "per_number-1h";q=5;w=3600, '
        '"total-1m";q=100;w=60',
        "RateLimit": '"per_number-30s";r=0;t=13, "per_number-1h";r=4;t=3600, "total-1m";r=0;t=5',
    }


def test_headers_of_a_refusal_agree_with_retry_after() -> None:
    refused = LimitReached(Quota(QUOTA.policies, is_reached=True))
    assert refused.retry_after == 13
    assert refused.word == "rate_limited"
    assert str(refused) == ("Too many codes to this number: at most 1 in 30s. Try again in 13 s.")
    shown = headers(refused.quota)
    assert shown["RateLimit"] == '"per_number-30s";r=0;t=13, "total-1m";r=0;t=5'
    assert shown["RateLimit-Policy"] == headers(QUOTA)["RateLimit-Policy"]


def test_without_a_limit_there_are_no_headers() -> None:
    assert headers(Quota(())) == {}
