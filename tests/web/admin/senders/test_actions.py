"""Changes of senders by scripts and forms: sessions, pairing, pause and resume."""

import httpx
import pytest

from support.admin import HTML
from support.audited import asked, notes
from support.queued import put_sender
from support.web_server import WebServer

SENDER = "main-sandbox"


@pytest.mark.parametrize(
    ("path", "kind"), [("reinitialize", "reload"), ("logout-session", "logout")]
)
def test_command_is_sent_to_the_sender(
    dashboard: WebServer, admin: httpx.Client, path: str, kind: str
) -> None:
    put_sender(dashboard.database, SENDER)
    answer = admin.post(f"/admin/whatsapp/{path}")
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert SENDER in answer.json()["message"]
    assert asked(dashboard.database) == [(SENDER, kind, None)]


@pytest.mark.parametrize(
    "written", ["+20 100 123-4567", "0020 100.123.4567", "+20 (0) 1001234567", "+٢٠١٠٠١٢٣٤٥٦٧"]
)
def test_pairing_code_is_requested(dashboard: WebServer, admin: httpx.Client, written: str) -> None:
    put_sender(dashboard.database, SENDER)
    form = {"sender": SENDER, "phoneNumber": written}
    assert admin.post("/admin/whatsapp/pair-phone", data=form).status_code == 200
    assert asked(dashboard.database) == [(SENDER, "pair_phone", "+201001234567")]


def test_invalid_phone_is_refused(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    answer = admin.post("/admin/whatsapp/pair-phone", data={"phoneNumber": "hello"})
    assert answer.status_code == 400
    assert asked(dashboard.database) == []


def test_unknown_sender_is_not_found(admin: httpx.Client) -> None:
    answer = admin.post("/admin/whatsapp/reinitialize", data={"sender": "nobody"})
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "message": "There is no sender named nobody."}


@pytest.mark.parametrize(
    "name", ["x" * 101, "x" * 100_000, "main\0", "main\n", "\u202emain", "There is no " * 8000]
)
@pytest.mark.parametrize("accept", [HTML, "*/*"])
def test_invalid_sender_name_is_not_looked_up(
    dashboard: WebServer, admin: httpx.Client, name: str, accept: str
) -> None:
    headers = {"Accept": accept}
    answer = admin.post("/admin/whatsapp/pause", data={"sender": name}, headers=headers)
    assert answer.status_code == (303 if accept == HTML else 404)
    assert len(answer.headers.get("set-cookie", "")) < 4096
    assert notes(dashboard.database, "pause") == []
    asked_for = admin.get("/admin/whatsapp/logout-session", params={"sender": name[:1000]})
    assert asked_for.status_code == 404


def test_a_script_names_the_sender_in_json(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    put_sender(dashboard.database, "second")
    assert admin.post("/admin/whatsapp/logout-session", json={"sender": "second"}).is_success
    named = {"sender": "second", "phoneNumber": "+201001234567"}
    assert admin.post("/admin/whatsapp/pair-phone", json=named).is_success
    assert admin.post("/admin/whatsapp/reinitialize", json={}).is_success
    assert admin.post("/admin/whatsapp/reinitialize", json={"sender": None}).is_success
    answer = admin.post("/admin/whatsapp/logout-session", json={"sender": "third"})
    assert answer.status_code == 404
    assert asked(dashboard.database) == [
        ("second", "logout", None),
        ("second", "pair_phone", "+201001234567"),
        (SENDER, "reload", None),
        (SENDER, "reload", None),
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b'["second"]'),
        ("application/json", b'{"sender": 5}'),
        ("application/json", b'{"sender": "\xff"}'),
        ("application/json", b"[" * 100_000),
        ("text/plain", b"sender=second"),
        ("multipart/form-data; boundary=x", b"--x--"),
        (None, b"sender=second"),
    ],
)
def test_unreadable_body_does_not_affect_the_default_sender(
    dashboard: WebServer, admin: httpx.Client, kind: str | None, body: bytes
) -> None:
    put_sender(dashboard.database, SENDER)
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("logout-session", "reinitialize", "pause", "pair-phone"):
        answer = admin.post(f"/admin/whatsapp/{path}", content=body, headers=headers)
        assert answer.status_code == 400
    del admin.headers["X-CSRF-Token"]
    answer = admin.post("/admin/whatsapp/pause", content=body, headers=headers)
    assert answer.status_code == 403  # permission is checked first
    assert asked(dashboard.database) == []


def test_sending_is_paused_and_resumed_once(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    statuses = [
        admin.post(f"/admin/whatsapp/{what}").status_code
        for what in ("pause", "pause", "resume", "resume")
    ]
    assert statuses == [200, 409, 200, 409]
    assert [outcome for _, _, outcome in notes(dashboard.database, "pause")] == ["ok", "refused"]
