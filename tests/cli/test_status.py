"""`hudhud status`: senders and queue, with and without a running service."""

import json

from sqlalchemy import update

from hudhud import __version__
from hudhud.channels.base import StateReport
from hudhud.core.clock import now_ms
from hudhud.core.sentences import other
from hudhud.db import tables
from hudhud.messages.outcomes import Failed
from hudhud.senders import records
from support.command_line import PHONE, QR, Installation, Run


def test_status_shows_senders_and_queue(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", "all", phone="+201009876543"))
    run("send", PHONE, "--no-wait")
    run("send", PHONE, "--no-wait")
    installation.record(Failed(installation.claim(), other("No account."), now_ms()))
    ended = run("status")
    assert ended.code == 0
    assert "main (linked): connected since" in ended.out
    assert "+2010*****43" in ended.out
    assert "1 waiting, the oldest for " in ended.out
    assert "1 failed, 1 queued" in ended.out


def test_status_prints_json_on_request(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("pairing", qr=QR))
    ended = run("status", "--json")
    told = json.loads(ended.out)
    assert told["version"] == __version__
    assert told["database"]["kind"] in ("SQLite", "PostgreSQL")
    assert told["queue"] == {"queued": 0, "sending": 0, "oldest_waits_seconds": None}
    assert told["latest_jobs"] == {}
    (sender,) = told["senders"]
    assert (sender["state"], sender["running"], sender["phone"]) == ("pairing", True, None)
    assert QR not in ended.out


def test_status_reports_a_killed_sender_as_stopped(run: Run, installation: Installation) -> None:
    installation.play_sender(StateReport("connected", "all"))
    with installation.database.write() as connection:
        late = now_ms() - records.LATE_MS
        connection.execute(update(tables.senders).values(heartbeat_at=late))
    ended = run("status")
    assert "main (linked): not running (connected since" in ended.out
    assert "Start it with: hudhud serve" in ended.out
