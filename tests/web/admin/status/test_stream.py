"""GET /admin/live: sends changes to an open dashboard while its session lasts."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from hudhud.auth import sessions
from hudhud.channels.base import StateReport
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.messages.listing import LARGEST_PAGE, Job
from hudhud.senders import records
from hudhud.verification import job_actions
from hudhud.web.admin.status.feed import Feed, Render, Snapshot, StreamEvent, Watcher
from hudhud.web.admin.ui.view import View
from hudhud.web.state import OwnSender
from hudhud.web.timing import Timing
from support.admin import HTML, PASSWORD, log_in_script, script
from support.queued import change, put_sender, submit
from support.services import wait_until
from support.shown import view
from support.web_server import SECONDS, ServeWeb, WebServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cheap_hashes")]

SENDER = "main-sandbox"
PARTS = {"verdict", "senders", "trial", "numbers"}


class Stream:
    """One open stream and its events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, str]:
        """Return the next event's name and data."""
        name, data = "", []
        for line in self._lines:
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and name:
                return name, "\n".join(data)
        return "closed", ""

    def until(self, wanted: str) -> str:
        """Return the data of the next event of this name, skipping others."""
        for _ in range(200):
            name, data = self.next()
            if name == wanted:
                return data
            assert name != "closed"
        raise AssertionError(f"no {wanted}")

    def row(self, job: int, word: str) -> str:
        """Return the row of a job once it contains a word."""
        for _ in range(50):
            for row in json.loads(self.until("rows"))["rows"]:
                if row["id"] == job and word in row["html"]:
                    return str(row["html"])
        raise AssertionError(f"job {job} was never told to be {word}")


@contextmanager
def logged_in(server: WebServer) -> Iterator[httpx.Client]:
    """A script with a session, which sends its token with every request."""
    with script(server) as client:
        client.headers["X-CSRF-Token"] = log_in_script(client).json()["csrfToken"]
        yield client


@contextmanager
def open_stream(client: httpx.Client) -> Iterator[Stream]:
    with client.stream("GET", "/admin/live", timeout=SECONDS) as answer:
        assert answer.status_code == 200
        yield Stream(answer)


def test_new_stream_sends_every_part(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    (job,) = submit(dashboard.database, now=now_ms())
    with open_stream(admin) as opened:
        assert opened.answer.headers["content-type"].startswith("text/event-stream")
        assert opened.answer.headers["cache-control"] == "no-store"
        assert opened.next()[0] == "hello"
        told = dict(opened.next() for _ in PARTS)
        assert set(told) == PARTS
        assert SENDER in told["senders"]
        assert f"job-{job}" in opened.row(job, "data-delivery")


def test_stream_sends_changes(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    with open_stream(admin) as opened:
        opened.until("numbers")
        (job,) = submit(dashboard.database, now=now_ms())
        assert 'data-delivery="queued"' in opened.row(job, "queued")
        change(dashboard.database, job, status="read", read_at=now_ms())
        assert 'data-delivery="read"' in opened.row(job, 'data-delivery="read"')
        with dashboard.database.write() as connection:
            new = StateReport("logged_out")
            records.report(connection, name=SENDER, new=new, now=now_ms())
            dashboard.database.notify(connection)
        while 'data-state="logged_out"' not in opened.until("senders"):
            pass


def test_each_reader_gets_their_own_language(dashboard: WebServer, admin: httpx.Client) -> None:
    put_sender(dashboard.database, SENDER)
    with open_stream(admin) as english:
        admin.headers["Accept-Language"] = "ar"
        with open_stream(admin) as arabic:
            assert "متصل" in arabic.until("senders")
        assert "Connected" in english.until("senders")


def test_events_hold_no_code(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, otp_length=10)
    with script(server) as client:
        log_in_script(client)
        with open_stream(client) as opened:
            opened.until("numbers")
            accepted = server.send().json()
            assert accepted["otp"] not in opened.row(accepted["jobId"], "queued")


def test_stream_requires_a_session(dashboard: WebServer) -> None:
    with script(dashboard) as stranger:
        assert stranger.get("/admin/live").status_code == 401
        answer = stranger.get("/admin/live", headers={"Accept": HTML})
        assert (answer.status_code, answer.headers["location"][:12]) == (303, "/admin/login")


def test_a_head_request_opens_no_stream(admin: httpx.Client) -> None:
    answer = admin.head("/admin/live")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "0")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_stream_survives_an_unreadable_database(
    serve_web: ServeWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve_web(admin_password=PASSWORD, timing=Timing(beat=0.1))

    def unreadable(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    with logged_in(server) as client, open_stream(client) as opened:
        opened.until("numbers")
        with monkeypatch.context() as broken:
            broken.setattr(sessions, "find", unreadable)
            for _ in range(3):
                opened.until("beat")
        opened.until("beat")


def test_a_logout_ends_the_stream(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD, timing=Timing(beat=0.1))
    with logged_in(server) as client, open_stream(client) as opened:
        opened.until("numbers")
        assert client.post("/admin/logout").status_code in (200, 303)
        opened.until("end")
        assert opened.next()[0] == "closed"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_stopping_server_ends_its_streams(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD)
    with script(server) as client:
        log_in_script(client)
        with open_stream(client) as opened:
            opened.until("numbers")
            server.end_streams()
            while opened.next()[0] != "closed":
                pass
        with open_stream(client) as opened:
            assert opened.next()[0] == "hello"
            assert opened.next()[0] == "closed"


LONG_AGO_MS = 200_000  # within the validity of a code


def test_new_stream_sends_the_watched_range_and_the_number_of_jobs(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    long_ago = now_ms() - LONG_AGO_MS
    submit(dashboard.database, now=long_ago)
    with open_stream(admin) as opened:
        assert json.loads(opened.until("rows")) == {"window": 0, "total": 1, "rows": []}
    first = submit(dashboard.database, LARGEST_PAGE, now=long_ago)[0]
    with open_stream(admin) as opened:
        told = json.loads(opened.until("rows"))
        assert told == {"window": first, "total": LARGEST_PAGE + 1, "rows": []}


def test_new_stream_sends_recently_retried_or_claimed_jobs(
    dashboard: WebServer, admin: httpx.Client
) -> None:
    long_ago = now_ms() - LONG_AGO_MS
    retried, taken = submit(dashboard.database, 2, now=long_ago)
    change(dashboard.database, retried, status="failed", finished_at=long_ago)
    with dashboard.database.write() as connection:
        answer = job_actions.retry(connection, retried, who="admin", now=now_ms())
    assert answer == "done"
    change(dashboard.database, taken, status="sending", sending_at=now_ms())
    with open_stream(admin) as opened:
        rows = {row["id"]: row["html"] for row in json.loads(opened.until("rows"))["rows"]}
    assert 'data-delivery="queued"' in rows[retried]
    assert 'data-delivery="sending"' in rows[taken]


class Fragile(Render):
    """A renderer that can be broken."""

    def __init__(self) -> None:
        super().__init__(self._parts, self._word)
        self.is_broken = False
        self.has_failed = threading.Event()

    def _parts(self, _view: View, _snapshot: Snapshot) -> Mapping[str, str]:
        if self.is_broken:
            self.has_failed.set()
            raise LookupError
        return {"verdict": "", "senders": "", "numbers": ""}

    @staticmethod
    def _word(_view: View, job: Job) -> str:
        return job.status


async def _next_rows(watcher: Watcher) -> dict[int, str]:
    async with asyncio.timeout(SECONDS):
        while True:
            event = await watcher.events.get()
            assert isinstance(event, StreamEvent)
            if event.name == "rows":
                return {row["id"]: row["html"] for row in json.loads(event.data)["rows"]}


async def _watch_through_a_failure(database: Database, render: Fragile, feed: Feed) -> None:
    (job,) = await asyncio.to_thread(submit, database, now=now_ms())
    watcher = feed.watch(view())
    assert await _next_rows(watcher) == {job: "queued"}
    render.is_broken = True
    await asyncio.to_thread(change, database, job, status="failed", finished_at=now_ms())
    put_sender(database)
    assert await asyncio.to_thread(render.has_failed.wait, SECONDS)
    render.is_broken = False
    while (await _next_rows(watcher))[job] != "failed":
        pass
    feed.leave(watcher)


@pytest.mark.usefixtures("capsys")  # the failure is logged
def test_changes_during_a_failure_of_the_feed_are_sent_later(database: Database) -> None:
    render = Fragile()
    feed = Feed(
        database,
        OwnSender("main-sandbox", "sandbox", pace_ms=(500, 1500), mean_gap=0.0),
        render,
    )
    feed.start()
    try:
        asyncio.run(_watch_through_a_failure(database, render, feed))
    finally:
        feed.stop()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_reader_that_takes_no_data_is_disconnected(serve_web: ServeWeb) -> None:
    server = serve_web(admin_password=PASSWORD)
    feed = server.web.state.feed
    with script(server) as client, socket.create_connection(("127.0.0.1", server.port)) as deaf:
        log_in_script(client)
        session = client.cookies["hudhud_session"]
        request = f"GET /admin/live HTTP/1.1\r\nHost: h\r\nCookie: hudhud_session={session}\r\n\r\n"
        deaf.sendall(request.encode())
        wait_until(lambda: len(feed._watchers) == 1, SECONDS, "the watcher")
        (watcher,) = feed._watchers
        flood = [StreamEvent("rows", "x" * 100_000)] * 50

        def is_gone() -> bool:
            watcher.tell(flood)
            return not feed._watchers

        wait_until(is_gone, SECONDS, "the end of the stream")
        assert watcher.is_cut_off
