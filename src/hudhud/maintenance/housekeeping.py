"""Housekeeping: leases, expiry, alerts, deletion, indexing, and rewriting of rows.

Each `serve` and each `worker` runs one loop; several may run at the same time.
"""

import threading
import time

import structlog

from hudhud.core import loops
from hudhud.core.clock import now_ms
from hudhud.db import phone_index
from hudhud.db.engine import Database
from hudhud.db.rewriting import Rewriting
from hudhud.db.uptime import Uptime
from hudhud.maintenance.alerts.send import Alerts
from hudhud.maintenance.retention import Retention
from hudhud.messages import queue
from hudhud.senders import records
from hudhud.verification import lifecycle
from hudhud.verification.limits import conversion_guard

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.25
TIDY_SECONDS = 1.0
JUDGE_SECONDS = 60.0
# Deletion is not urgent; a long pause leaves the lock to others.
PURGE_SECONDS = 60.0
ALERT_SECONDS = 1.0
INDEX_SECONDS = 1.0
# Between two batches of a long backlog.
INDEX_PAUSE_SECONDS = 0.05


class Housekeeping:
    """Expires rows every second (`most_erased` codes at once), deletes every minute."""

    def __init__(
        self,
        *,
        database: Database,
        guard: conversion_guard.Mode,
        alerts: Alerts,
        retention: Retention,
        rewriting: Rewriting,
        most_erased: int = lifecycle.EXPIRED_AT_ONCE,
    ) -> None:
        self._database = database
        self._guard = guard
        self._alerts = alerts
        self._retention = retention
        self._rewriting = rewriting
        self._most_erased = most_erased
        self._tidy_at = 0.0
        self._judge_at = 0.0
        self._purge_at = 0.0
        self._index_at = 0.0
        self._uptime = Uptime(database)

    def run(self, stopping: threading.Event) -> None:
        """Do the housekeeping until `stopping`."""
        loops.repeat(
            lambda: stopping.wait(self._tick()),
            stopping=stopping,
            log=log,
            pause_seconds=TIDY_SECONDS,
            broken="unexpected error in the housekeeping; trying again",
            on_unusable=self._uptime.end,
        )
        self._alerts.wait(ALERT_SECONDS)

    def _tick(self) -> float:
        """Do the work due; return the seconds until the next tick."""
        now = time.monotonic()
        self._uptime.resume()
        if now >= self._tidy_at:
            more = self._tidy()
            self._alerts.check()
            self._tidy_at = now if more else now + TIDY_SECONDS
        if now >= self._judge_at:
            self._judge_at = now + JUDGE_SECONDS
            conversion_guard.judge(self._database, mode=self._guard, now=now_ms())
        pauses = (self._delete_some(now), self._index_some(now), self._rewriting.rewrite_some())
        return max((pause for pause in pauses if pause is not None), default=TICK_SECONDS)

    def _delete_some(self, now: float) -> float | None:
        """Delete a batch; return the seconds to pause, None when done."""
        if now < self._purge_at:
            return None
        pause = self._retention.delete_some()
        if pause is None:
            self._purge_at = now + PURGE_SECONDS
        return pause

    def _index_some(self, now: float) -> float | None:
        """Index a batch of new phones; return the seconds to pause, None when done."""
        if now < self._index_at:
            return None
        with self._database.read() as connection:
            has_new = phone_index.has_new(connection)
        if has_new:
            with self._database.write() as connection:
                has_new = phone_index.index_some(connection)
        if not has_new:
            self._index_at = now + INDEX_SECONDS
        return INDEX_PAUSE_SECONDS if has_new else None

    def _tidy(self) -> bool:
        """Reclaim and expire messages and codes; return whether more codes are due."""
        now = now_ms()
        grace = self._uptime.has_lasted(2 * records.HEARTBEAT_MS)
        # Each of these two updates the counters last in its own transaction (`counters.py`).
        with self._database.write() as connection:
            reclaimed = queue.reclaim(connection, now=now) if grace else 0
        with self._database.write() as connection:
            expired = queue.expire(connection, now=now)
        with self._database.write() as connection:
            erased = lifecycle.expire(connection, now=now, most=self._most_erased)
        if reclaimed or expired:
            log.warning("messages reclaimed or expired", reclaimed=reclaimed, expired=expired)
        return erased == self._most_erased
