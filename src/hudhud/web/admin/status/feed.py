"""Events for open dashboards, read once and rendered once per view.

One thread waits for the database's doorbell while a dashboard is open. Changes are sent at most
every `PAUSE_SECONDS`; values that only age, every `REFRESH_SECONDS`.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, cast

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import Database
from hudhud.messages import listing, statistics
from hudhud.messages.listing import LARGEST_PAGE, Job
from hudhud.messages.statistics import QueueNumbers
from hudhud.senders import overview
from hudhud.senders.overview import SenderCard
from hudhud.verification import trials
from hudhud.verification.trials import Trial
from hudhud.web.admin.ui.view import View
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import OwnSender

PAUSE_SECONDS = 0.3
IDLE_SECONDS = 1.0
REFRESH_SECONDS = 15.0
# A watcher with more unread events is cut off; the browser reconnects.
MOST_WAITING = 100
# How long a stream that was cut off may take to end by itself.
CUT_OFF_SECONDS = 2.0
# A page may have been rendered this long before its stream begins.
MISSED_MS = MINUTE_MS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of the stream."""

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The status page's data, read at one moment.

    `is_fresh` until the first code that is no test code, or the first test code that was typed.
    """

    cards: tuple[SenderCard, ...]
    numbers: QueueNumbers
    trial: Trial | None = None
    is_fresh: bool = False
    newest: tuple[Job, ...] = ()
    read_at: int = 0

    @property
    def window(self) -> int:
        """The id of the oldest watched job; 0 if all are watched."""
        return self.newest[-1].id if len(self.newest) == LARGEST_PAGE else 0

    def essence(self) -> dict[str, object]:
        """Return the data of each part without values that only age."""
        cards = tuple(
            replace(card, uptime=(), uptime_share=None, last_sent_at=None) for card in self.cards
        )
        return {
            "verdict": (cards, self.numbers, self.is_fresh),
            "senders": (cards, self.numbers.refused),
            "trial": self.trial,
            "numbers": self.numbers,
        }


def read_snapshot(database: Database, sender: OwnSender, *, newest: int = 0) -> Snapshot:
    """Read the status page's data, with the `newest` jobs."""
    now = now_ms()
    with database.read() as connection:
        cards = tuple(overview.cards(connection, now=now))
        numbers = statistics.numbers(
            connection, channel=sender.channel, now=now, mean_gap=sender.mean_gap
        )
        has_sent = any(card.last_sent_at is not None for card in cards)
        jobs = sum(numbers.counts.values())
        return Snapshot(
            cards=cards,
            numbers=numbers,
            trial=trials.newest(connection, now=now),
            is_fresh=trials.is_fresh(connection, jobs=jobs, has_sent=has_sent),
            newest=tuple(listing.newest(connection, now=now, limit=newest)) if newest else (),
            read_at=now,
        )


class Render:
    """Functions that render the page's parts for the stream."""

    def __init__(
        self,
        parts: Callable[[View, Snapshot], Mapping[str, str]],
        row: Callable[[View, Job], str],
    ) -> None:
        self.parts = parts
        self.row = row


@dataclass(eq=False, slots=True)
class Watcher:
    """One open stream; `told_at` is the time of the last snapshot sent."""

    view: View
    loop: asyncio.AbstractEventLoop
    forget: Callable[["Watcher"], None]
    events: asyncio.Queue[StreamEvent | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)
    is_new: bool = True
    is_cut_off: bool = False
    has_left: bool = False
    told_at: int = field(default_factory=now_ms)

    def tell(self, events: list[StreamEvent]) -> None:
        """Queue events, from any thread; cut off a watcher if it stalls."""
        self.loop.call_soon_threadsafe(self._put, events)

    def end(self) -> None:
        """End the stream, from any thread."""
        self.loop.call_soon_threadsafe(self._cut_off)

    def leave(self) -> None:
        """Note that the stream is no longer read."""
        self.has_left = True

    def _put(self, events: list[StreamEvent]) -> None:
        if self.is_cut_off:
            return
        if self.events.qsize() > MOST_WAITING:
            self._cut_off()
            return
        for event in events:
            self.events.put_nowait(event)

    def _cut_off(self) -> None:
        """End the stream; cancel it if its reader does not read."""
        self.is_cut_off = True
        while not self.events.empty():
            self.events.get_nowait()
        self.events.put_nowait(None)
        self.loop.call_later(CUT_OFF_SECONDS, self._abort)

    def _abort(self) -> None:
        if not self.has_left and self.task is not None:
            self.task.cancel()
            self.forget(self)  # the stream's generator is left suspended


class Feed:
    """Sends events to all watchers from one thread."""

    def __init__(self, database: Database, sender: OwnSender, render: Render) -> None:
        self._database = database
        self._sender = sender
        self._render = render
        self._watchers: set[Watcher] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End all streams and refuse new ones."""
        with self._changed:
            self._stopping = True
            watchers = list(self._watchers)
            self._changed.notify()
        for watcher in watchers:
            watcher.end()

    def stop(self) -> None:
        """Close the feed and wait for its thread."""
        self.close()
        self._thread.join()

    def watch(self, view: View) -> Watcher:
        """Add a watcher; its first events contain everything."""
        watcher = Watcher(view, asyncio.get_running_loop(), self.leave)
        with self._changed:
            if self._stopping:
                watcher.end()
            else:
                self._watchers.add(watcher)
            self._changed.notify()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Remove a watcher."""
        watcher.leave()
        with self._changed:
            self._watchers.discard(watcher)

    def _run(self) -> None:
        while self._wait_for_watchers():
            try:
                self._serve_watchers()
            except SQLAlchemyError as error:
                log_unusable(
                    log.warning, "dashboard updates paused: the database cannot be read", error
                )
                self._recover()
            except Exception:
                log.exception("dashboard updates failed")
                self._recover()

    def _recover(self) -> None:
        """Pause, and send every watcher everything afterwards."""
        for watcher in self._present():
            watcher.is_new = True
        time.sleep(IDLE_SECONDS)

    def _wait_for_watchers(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._watchers or self._stopping)
            return not self._stopping

    def _serve_watchers(self) -> None:
        sent = _Sent()
        with closing(self._database.doorbell()) as doorbell:
            while (watchers := self._present()) and not self._stopping:
                snapshot = read_snapshot(self._database, self._sender, newest=LARGEST_PAGE)
                news = sent.news(snapshot)
                self._tell(watchers, snapshot, news)
                self._pause(doorbell.wait)

    def _present(self) -> list[Watcher]:
        with self._changed:
            return list(self._watchers)

    def _pause(self, wait: Callable[[float], bool]) -> None:
        time.sleep(PAUSE_SECONDS)
        end = time.monotonic() + IDLE_SECONDS - PAUSE_SECONDS
        while time.monotonic() < end and not self._stopping:
            if any(watcher.is_new for watcher in self._present()) or wait(PAUSE_SECONDS / 3):
                return

    def _tell(self, watchers: list[Watcher], snapshot: Snapshot, news: "_News") -> None:
        rendered = _Rendered(self._render, snapshot)
        for watcher in watchers:
            if watcher.is_new:
                events = rendered.everything(watcher.view, since=watcher.told_at - MISSED_MS)
            else:
                events = rendered.news(watcher.view, news)
            if events:
                watcher.tell(events)
            watcher.is_new = False
            watcher.told_at = snapshot.read_at


def feed_of(request: AnyRequest) -> Feed:
    """Return the feed of the request's application."""
    return cast("Feed", request.app.state.feed)


@dataclass(frozen=True, slots=True)
class _News:
    """The parts and jobs that have changed."""

    parts: frozenset[str]
    jobs: tuple[Job, ...]


class _Sent:
    """The data that was sent last."""

    def __init__(self) -> None:
        self._essence: dict[str, object] = {}
        self._jobs: dict[int, Job] | None = None
        self._refreshed = 0.0

    def news(self, snapshot: Snapshot) -> _News:
        parts = self._new_parts(snapshot.essence())
        before = self._jobs
        self._jobs = {job.id: job for job in snapshot.newest}
        if before is None:
            return _News(parts, ())
        return _News(parts, tuple(job for job in snapshot.newest if before.get(job.id) != job))

    def _new_parts(self, essence: dict[str, object]) -> frozenset[str]:
        known, self._essence = self._essence, essence
        now = time.monotonic()
        if now - self._refreshed > REFRESH_SECONDS:
            self._refreshed = now
            return frozenset(essence)
        return frozenset(name for name in essence if essence[name] != known.get(name))


class _Rendered:
    """The events of one snapshot, rendered once per view."""

    def __init__(self, render: Render, snapshot: Snapshot) -> None:
        self._render = render
        self._snapshot = snapshot
        self._parts: dict[View, dict[str, StreamEvent]] = {}
        self._rows: dict[tuple[View, int], str] = {}

    def everything(self, view: View, *, since: int) -> list[StreamEvent]:
        fresh = tuple(job for job in self._snapshot.newest if job.changed_at >= since)
        return [*self._of_parts(view).values(), self._of_jobs(view, fresh)]

    def news(self, view: View, news: _News) -> list[StreamEvent]:
        parts = self._of_parts(view) if news.parts else {}
        events = [event for name, event in parts.items() if name in news.parts]
        return [*events, self._of_jobs(view, news.jobs)] if news.jobs else events

    def _of_parts(self, view: View) -> dict[str, StreamEvent]:
        if view not in self._parts:
            html = self._render.parts(view, self._snapshot)
            self._parts[view] = {name: StreamEvent(name, text) for name, text in html.items()}
        return self._parts[view]

    def _of_jobs(self, view: View, changed: tuple[Job, ...]) -> StreamEvent:
        """Return rows, the oldest watched job's id, and the number of jobs."""
        rows = [{"id": job.id, "html": self._row(view, job)} for job in changed]
        total = sum(self._snapshot.numbers.counts.values())
        data = {"window": self._snapshot.window, "total": total, "rows": rows}
        return StreamEvent("rows", json.dumps(data))

    def _row(self, view: View, job: Job) -> str:
        key = (view, job.id)
        if key not in self._rows:
            self._rows[key] = self._render.row(view, job)
        return self._rows[key]
