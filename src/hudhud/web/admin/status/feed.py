"""Events for the open dashboards: read once, rendered once for each view, sent to all.

One thread waits at the database's doorbell while a dashboard is open. Changes are sent at most
every `PAUSE_SECONDS`; what only grows older, every `REFRESH_SECONDS`.
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
from hudhud.db.engine import Database
from hudhud.messages import listing, statistics
from hudhud.messages.listing import LARGEST_PAGE, Job
from hudhud.messages.statistics import QueueNumbers
from hudhud.senders import overview
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.ui.view import View
from hudhud.web.http.request import AnyRequest
from hudhud.web.state import OwnSender

PAUSE_SECONDS = 0.3
IDLE_SECONDS = 1.0
REFRESH_SECONDS = 15.0
# A watcher that takes nothing for so many events is cut off; it comes back by itself.
MOST_WAITING = 100
# So long a stream that was cut off may take to end by itself.
CUT_OFF_SECONDS = 2.0
# A page that was rendered this long ago may have missed what has changed since.
MISSED_MS = MINUTE_MS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of the stream."""

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the status page shows, read in one moment."""

    cards: tuple[SenderCard, ...]
    numbers: QueueNumbers
    newest: tuple[Job, ...] = ()
    read_at: int = 0

    @property
    def window(self) -> int:
        """The id of the oldest job that is watched; 0 where all are."""
        return self.newest[-1].id if len(self.newest) == LARGEST_PAGE else 0

    def essence(self) -> dict[str, object]:
        """Return what of each part is worth telling at once: all but what only grows older."""
        cards = tuple(
            replace(card, uptime=(), uptime_share=None, last_sent_at=None) for card in self.cards
        )
        return {"verdict": (cards, self.numbers), "senders": cards, "numbers": self.numbers}


def read_snapshot(database: Database, sender: OwnSender, *, newest: int = 0) -> Snapshot:
    """Read what the status page shows, with as many of the newest jobs."""
    now = now_ms()
    with database.read() as connection:
        return Snapshot(
            cards=tuple(overview.cards(connection, now=now)),
            numbers=statistics.numbers(
                connection, channel=sender.channel, now=now, mean_gap=sender.mean_gap
            ),
            newest=tuple(listing.newest(connection, now=now, limit=newest)) if newest else (),
            read_at=now,
        )


class Render:
    """How the page's parts are rendered for the stream."""

    def __init__(
        self,
        parts: Callable[[View, Snapshot], Mapping[str, str]],
        row: Callable[[View, Job], str],
    ) -> None:
        self.parts = parts
        self.row = row


@dataclass(eq=False, slots=True)
class Watcher:
    """One open stream; `told_at` is when it last got all that it had missed."""

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
        """Pass events on, from any thread; a watcher that takes none is cut off."""
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
        """Let the stream end; where its reader takes nothing, end it from outside."""
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
    """Keeps all watchers up to date."""

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
        """End all streams, and those that would begin."""
        with self._changed:
            self._stopping = True
            watchers = list(self._watchers)
            self._changed.notify()
        for watcher in watchers:
            watcher.end()

    def stop(self) -> None:
        """Close, and wait for the thread."""
        self.close()
        self._thread.join()

    def watch(self, view: View) -> Watcher:
        """Begin to watch; the first events tell everything."""
        watcher = Watcher(view, asyncio.get_running_loop(), self.leave)
        with self._changed:
            if self._stopping:
                watcher.end()
            else:
                self._watchers.add(watcher)
            self._changed.notify()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Stop watching."""
        watcher.leave()
        with self._changed:
            self._watchers.discard(watcher)

    def _run(self) -> None:
        while self._wait_for_watchers():
            try:
                self._serve_watchers()
            except SQLAlchemyError as error:
                log.warning("the dashboards cannot be told", error=str(error.__cause__ or error))
                self._recover()
            except Exception:
                log.exception("telling the dashboards broke")
                self._recover()

    def _recover(self) -> None:
        """Wait, and mark every watcher for all that it misses meanwhile."""
        for watcher in self._present():
            watcher.is_new = True
        time.sleep(IDLE_SECONDS)

    def _wait_for_watchers(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._watchers or self._stopping)
            return not self._stopping

    def _serve_watchers(self) -> None:
        """Send what changes to all watchers, until none is left."""
        told = _Told()
        with closing(self._database.doorbell()) as doorbell:
            while (watchers := self._present()) and not self._stopping:
                snapshot = read_snapshot(self._database, self._sender, newest=LARGEST_PAGE)
                news = told.news(snapshot)
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
                told = rendered.everything(watcher.view, since=watcher.told_at - MISSED_MS)
            else:
                told = rendered.news(watcher.view, news)
            if told:
                watcher.tell(told)
            watcher.is_new = False
            watcher.told_at = snapshot.read_at


def feed_of(request: AnyRequest) -> Feed:
    """Return the feed of the application that got the request."""
    return cast("Feed", request.app.state.feed)


@dataclass(frozen=True, slots=True)
class _News:
    """What is new: which parts, and which jobs."""

    parts: frozenset[str]
    jobs: tuple[Job, ...]


class _Told:
    """What was sent last."""

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
    """Events for one snapshot, each view rendered once."""

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
        told = [event for name, event in parts.items() if name in news.parts]
        return [*told, self._of_jobs(view, news.jobs)] if news.jobs else told

    def _of_parts(self, view: View) -> dict[str, StreamEvent]:
        if view not in self._parts:
            html = self._render.parts(view, self._snapshot)
            self._parts[view] = {name: StreamEvent(name, text) for name, text in html.items()}
        return self._parts[view]

    def _of_jobs(self, view: View, changed: tuple[Job, ...]) -> StreamEvent:
        """Return rows, the id below which no rows are sent, and how many jobs there are."""
        rows = [{"id": job.id, "html": self._row(view, job)} for job in changed]
        total = sum(self._snapshot.numbers.counts.values())
        data = {"window": self._snapshot.window, "total": total, "rows": rows}
        return StreamEvent("rows", json.dumps(data))

    def _row(self, view: View, job: Job) -> str:
        key = (view, job.id)
        if key not in self._rows:
            self._rows[key] = self._render.row(view, job)
        return self._rows[key]
