"""Cache of API keys, to identify callers within microseconds."""

import asyncio
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from hudhud.auth.api_keys import (
    caller,
    digest,
    environment_used_at,
    is_in_use,
    note_environment_used,
)
from hudhud.auth.caller import ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES, Caller
from hudhud.auth.look_limit import LookLimit
from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import Database
from hudhud.db.tables import api_keys

RENEW_SECONDS = 1.0
USED_MS = MINUTE_MS  # shortest interval between two updates of a key's last use
_ENVIRONMENT_ID: Final = 0  # which no row has

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    id: int
    caller: Caller
    expires_at: int | None


class ApiKeyCache:
    """The valid keys, refreshed once a second by a thread.

    An unknown key is looked up in the database before it is refused, as often as `look_limit`
    allows, so that a new key works at once. While the database is unavailable, cached keys keep
    working until they expire. The thread also records when each key was last used, to the minute.
    """

    def __init__(
        self,
        database: Database,
        environment_key: str | None,
        clock: Callable[[], int] = now_ms,
        look_limit: LookLimit | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._look_limit = look_limit or LookLimit()
        self._environment = None if environment_key is None else digest(environment_key)
        self._environment_caller = Caller(ENVIRONMENT, ENVIRONMENT_NAME, ENVIRONMENT_SCOPES)
        self._keys: dict[bytes, _Key | None] = {}  # None: looked up in vain since the last refresh
        self._used: dict[int, int] = {}
        self._noted: dict[int, int] = {}
        self._readable = True
        self._renewing = threading.Lock()  # an earlier read must not replace a later one
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-key-cache", daemon=True)

    def start(self) -> None:
        """Read the keys and start the refreshing thread."""
        self._renew()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and record the last uses."""
        self._stopping.set()
        self._thread.join()
        self._note_uses(least_ms=1)

    async def find(self, presented: str) -> Caller | None:
        """Return the caller of a key, or None if it is invalid, also to the database."""
        if (caller := self.identify(presented)) is not None:
            return caller
        presented_digest = digest(presented)
        if presented_digest in self._keys or not self._look_limit.take():
            return None
        await asyncio.to_thread(self._look_up, presented_digest)
        return self.identify(presented)

    def identify(self, presented: str) -> Caller | None:
        """Return the caller of a cached key, or None."""
        presented_digest = digest(presented)
        now = self._clock()
        if self._environment is not None and hmac.compare_digest(
            presented_digest, self._environment
        ):
            self._used[_ENVIRONMENT_ID] = now
            return self._environment_caller
        # The lookup's timing reveals nothing, because callers cannot choose a key's digest.
        key = self._keys.get(presented_digest)
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            return None
        self._used[key.id] = now
        return key.caller

    async def admin_name(self, presented: str) -> str | None:
        """Return the key's name if it has the scope admin, else None."""
        caller = await self.find(presented)
        return caller.name if caller is not None and caller.may("admin") else None

    def _look_up(self, presented_digest: bytes) -> None:
        """Cache the result of looking for one key, until the next refresh."""
        cached = self._keys  # a refresh meanwhile replaces it, and may know of a later revocation
        found = select(api_keys).where(
            api_keys.c.digest == presented_digest, is_in_use(self._clock())
        )
        try:
            with self._database.read() as connection:
                row = connection.execute(found).first()
        except SQLAlchemyError as error:
            # Not worth a warning, because the refresh warns.
            log.debug("cannot look up an API key", error=str(error.__cause__ or error))
        else:
            cached[presented_digest] = None if row is None else _key(row)

    def _run(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            self._renew()
            self._note_uses(least_ms=USED_MS)

    def _renew(self) -> None:
        with self._renewing:
            self._read_keys()

    def _read_keys(self) -> None:
        try:
            with self._database.read() as connection:
                rows = connection.execute(select(api_keys).where(is_in_use(self._clock()))).all()
        except SQLAlchemyError as error:
            if self._readable:
                log_unusable(
                    log.warning, "cannot refresh API keys, the cached ones keep working", error
                )
            self._readable = False
        else:
            self._keys = {row.digest: _key(row) for row in rows}
            self._readable = True

    def _note_uses(self, *, least_ms: int) -> None:
        """Record uses at least `least_ms` after the last recorded ones."""
        uses = {
            key: used_at
            for key, used_at in list(self._used.items())
            if used_at - self._noted.get(key, 0) >= least_ms
        }
        if not uses:
            return
        try:
            with self._database.write() as connection:
                _write_uses(connection, uses)
        except SQLAlchemyError as error:
            # Not worth a warning, because the next round retries.
            log.debug("cannot record the use of API keys", error=str(error.__cause__ or error))
        else:
            self._noted |= uses


def _key(row: Row[Any]) -> _Key:
    return _Key(row.id, caller(row), row.expires_at)


def _write_uses(connection: Connection, uses: dict[int, int]) -> None:
    """Record when keys were used, unless another process recorded a later use."""
    for key, used_at in uses.items():
        if key != _ENVIRONMENT_ID:
            earlier = func.coalesce(api_keys.c.last_used_at, 0) < used_at
            connection.execute(
                update(api_keys).where(api_keys.c.id == key, earlier).values(last_used_at=used_at)
            )
        elif used_at > (environment_used_at(connection) or 0):
            note_environment_used(connection, used_at)
