"""Let requests wait until a verification has ended.

One thread waits at the database's doorbell on behalf of all requests and runs one query for all, so
that hundreds of waiting requests cost as much as one.
"""

import asyncio
import threading
import time
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.clock import now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.db.tables import verifications
from hudhud.verification.lifecycle import PENDING

# The doorbell rings at every commit, possibly hundreds of times per second.
PAUSE_SECONDS = 0.05
# Expiry does not ring the doorbell.
IDLE_SECONDS = 1.0
LOOK_SECONDS = 0.1

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(eq=False, frozen=True, slots=True)
class _Waiter:
    """One waiting request."""

    verification_id: str
    loop: asyncio.AbstractEventLoop
    ended: asyncio.Event

    def wake(self) -> None:
        """Wake the request, from any thread."""
        with suppress(RuntimeError):  # its loop has ended
            self.loop.call_soon_threadsafe(self.ended.set)


class EndWaiter:
    """Wakes requests when their verification has ended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: set[_Waiter] = set()
        self._has_new = False
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Wake all waiting requests, and do not let new ones wait."""
        with self._changed:
            self._stopping = True
            waiters = list(self._waiters)
            self._changed.notify()
        for waiter in waiters:
            waiter.wake()

    def stop(self) -> None:
        """Close, and join the thread."""
        self.close()
        self._thread.join()

    async def until_ended(self, verification_id: str, seconds: float) -> None:
        """Return once the verification is no longer pending, or after `seconds`."""
        waiter = _Waiter(verification_id, asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            if self._stopping:
                return
            self._waiters.add(waiter)
            self._has_new = True
            self._changed.notify()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(waiter.ended.wait(), seconds)
        finally:
            with self._changed:
                self._waiters.discard(waiter)

    def _run(self) -> None:
        while self._wait_for_waiters():
            try:
                self._serve_waiters()
            except SQLAlchemyError as error:
                log_unusable(log.warning, "cannot check waiting requests; trying again", error)
                time.sleep(IDLE_SECONDS)
            except Exception:
                log.exception("unexpected error while checking waiting requests; trying again")
                time.sleep(IDLE_SECONDS)

    def _wait_for_waiters(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._waiters or self._stopping)
            return not self._stopping

    def _serve_waiters(self) -> None:
        """Wake requests whose verification has ended, until none is left."""
        with closing(self._database.doorbell()) as doorbell:
            doorbell.wait(0)  # start listening before the first query
            while (waiters := self._present()) and not self._stopping:
                ended = self._ended({waiter.verification_id for waiter in waiters})
                for waiter in waiters:
                    if waiter.verification_id in ended:
                        waiter.wake()
                        self._forget(waiter)
                self._pause(doorbell)

    def _present(self) -> list[_Waiter]:
        with self._changed:
            self._has_new = False
            return list(self._waiters)

    def _forget(self, waiter: _Waiter) -> None:
        with self._changed:
            self._waiters.discard(waiter)

    def _ended(self, ids: Collection[str]) -> set[str]:
        """Return the verifications that are no longer pending, or deleted."""
        pending = select(verifications.c.id).where(
            verifications.c.id.in_(sorted(ids)),
            verifications.c.status == PENDING,
            verifications.c.expires_at > now_ms(),
        )
        with self._database.read() as connection:
            return set(ids) - set(connection.scalars(pending))

    def _pause(self, doorbell: Doorbell) -> None:
        """Wait about a second for a ring or a new request."""
        time.sleep(PAUSE_SECONDS)
        end = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < end and not (self._has_new or self._stopping):
            if doorbell.wait(LOOK_SECONDS):
                return
