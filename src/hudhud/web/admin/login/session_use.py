"""Records the use of sessions in the background.

Otherwise every request would wait for seconds while the write lock is held.
"""

import asyncio

import structlog
from cachetools import TTLCache
from sqlalchemy.exc import SQLAlchemyError

from hudhud.auth import sessions
from hudhud.auth.sessions import SEEN_MS, Session
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database, may_pass

MOST_KEPT = 1000

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class SessionUse:
    """Tries once per session and `SEEN_MS`, even after a failure."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tried: TTLCache[bytes, bool] = TTLCache(MOST_KEPT, SEEN_MS / 1000)
        self._running: set[asyncio.Task[None]] = set()

    def note_soon(self, session: Session) -> None:
        """Record a use in the background if due; event loop only."""
        if not sessions.wants_touch(session, now=now_ms()) or not self._is_time(session.digest):
            return
        task = asyncio.create_task(asyncio.to_thread(self._touch, session))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _is_time(self, digest: bytes) -> bool:
        if digest in self._tried:
            return False
        self._tried[digest] = True
        return True

    def _touch(self, session: Session) -> None:
        try:
            with self._database.write() as connection:
                sessions.touch(connection, session, now=now_ms())
        except SQLAlchemyError as error:
            if not may_pass(error):
                log.exception("cannot record the use of a session")
