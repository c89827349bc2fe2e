"""GET /admin/api/status-and-stats, for scripts of the earlier application."""

from typing import get_args

import httpx
import pytest

from hudhud.channels.base import State, StateReport
from hudhud.core.clock import iso, now_ms
from hudhud.db.engine import Database
from hudhud.senders import records
from hudhud.senders.records import usual
from hudhud.web.admin.json_api import NO_SENDER
from support.admin import script
from support.queued import put_sender, submit
from support.web_server import WebServer

PATH = "/admin/api/status-and-stats"
SENDER = "main-sandbox"
WORDS = {
    "connected": "READY",
    "pairing": "QR_REQUIRED",
    "starting": "CONNECTING",
    "reconnecting": "RECONNECTING",
    "logged_out": "LOGGED_OUT",
    "restricted": "RESTRICTED",
    "outdated": "OUTDATED",
    "replaced": "DISCONNECTED",
    "stopped": "DISCONNECTED",
}


def report(database: Database, new: StateReport) -> None:
    with database.write() as connection:
        records.report(connection, name=SENDER, new=new, now=now_ms())


def test_new_installation_answers_with_every_earlier_field(admin: httpx.Client) -> None:
    answer = admin.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["whatsappStatus"], body["statusDetails"]) == ("DISCONNECTED", NO_SENDER)
    assert body["lastUpdated"].endswith("Z")
    stats = body["stats"]
    assert [stats[name] for name in ("pending", "sent", "failed", "processing")] == [0, 0, 0, 0]


@pytest.mark.parametrize("state", get_args(State))
def test_each_state_maps_to_an_earlier_word(
    dashboard: WebServer, admin: httpx.Client, state: State
) -> None:
    put_sender(dashboard.database, SENDER, state=state)
    body = admin.get(PATH).json()
    assert body["whatsappStatus"] == WORDS[state]
    assert body["statusDetails"] == usual(state).english()


def test_details_contain_the_qr_code(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER, state="pairing")
    report(dashboard.database, StateReport("pairing", qr="2@abc,def"))
    body = admin.get(PATH).json()
    assert (body["whatsappStatus"], body["statusDetails"]) == ("QR_REQUIRED", "2@abc,def")


def test_process_without_a_heartbeat_is_disconnected(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    put_sender(dashboard.database, SENDER, now=now_ms() - 60_000)
    body = admin.get(PATH).json()
    assert (body["whatsappStatus"], body["statusDetails"]) == (
        "DISCONNECTED",
        usual("stopped").english(),
    )


def test_lastupdated_is_the_time_of_the_state(dashboard: WebServer, admin: httpx.Client) -> None:
    at = now_ms()
    put_sender(dashboard.database, SENDER, now=at)
    assert admin.get(PATH).json()["lastUpdated"] == iso(at)


def test_stats_count_by_the_four_words_and_by_exact_status(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    submit(dashboard.database, 3, now=now_ms() - 2000)
    stats = admin.get(PATH).json()["stats"]
    assert (stats["pending"], stats["processing"], stats["sent"], stats["failed"]) == (3, 0, 0, 0)
    assert stats["lastHour"]["accepted"] == 3
    assert 2 <= stats["oldestWaitingSeconds"] < 60


def test_key_of_scope_admin_is_accepted(dashboard: WebServer, admin_key: str) -> None:
    with script(dashboard, **{"X-API-KEY": admin_key}) as client:
        assert client.get(PATH).status_code == 200


def test_other_callers_are_refused(dashboard: WebServer) -> None:
    with script(dashboard) as stranger:
        answer = stranger.get(PATH)
    assert answer.status_code == 401
    assert answer.json() == {
        "success": False,
        "message": "Authentication required",
        "redirectTo": "/admin/login",
    }
    assert dashboard.client.get(PATH).status_code == 403  # the API key has no scope admin
