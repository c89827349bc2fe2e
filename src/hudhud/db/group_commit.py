"""Let concurrent requests share one commit, and so one flush to disk."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.database_lost import DatabaseLost, cause_of
from hudhud.core.errors import QueueUnavailable
from hudhud.db.dialects import LOCK_POLL_SECONDS, Locked
from hudhud.db.engine import Database, may_pass

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = TypeVar("Answer")
_Waiting = tuple[Item, asyncio.Future[Result]]

# On SQLite their statements hold up the event loop, for less than 10 ms.
LARGEST_GROUP = 100
# SQLite's lock is unfair: without this pause other processes would starve.
PAUSE_SECONDS = 0.002


class GroupCommit(Generic[Item, Result]):
    """Write submitted items in groups, one transaction per group.

    `write` stores a group and returns a result or an error for each item, in order. On SQLite it
    runs in the event loop's thread, because each statement of another thread would wait for the
    interpreter's lock (docs/decisions/0021-commits-in-the-loop.md). Only what waits for others
    leaves the loop: the commit, and all statements on PostgreSQL.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[Connection, Sequence[Item]], Sequence[Result | Exception]],
        largest_group: int = LARGEST_GROUP,
    ) -> None:
        self._database = database
        self._write = write
        self._largest_group = largest_group
        self._waiting: asyncio.Queue[_Waiting[Item, Result] | None] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="group-commit")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start writing, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write all submitted items, then end."""
        self._waiting.put_nowait(None)
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def submit(self, item: Item) -> Result:
        """Return the item's result once its transaction is on disk.

        Raises QueueUnavailable if the database cannot be written, DatabaseLost if an admin must
        mend it.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, future))
        return await future

    async def _run(self) -> None:
        while (first := await self._waiting.get()) is not None:
            group = [first]
            stopping = False
            while len(group) < self._largest_group and not self._waiting.empty():
                following = self._waiting.get_nowait()
                if following is None:
                    stopping = True
                    break
                group.append(following)
            await self._commit(group)
            if stopping:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _commit(self, group: Sequence[_Waiting[Item, Result]]) -> None:
        items = [item for item, _ in group]
        results: Sequence[Result | Exception]
        try:
            if self._database.is_sqlite:
                results = await self._write_in_loop(items)
            else:
                results = await self._in_thread(lambda: self._write_in_thread(items))
        except Exception as error:  # every waiting request needs an answer
            results = [_answer(error) for _ in group]
        for (_, future), result in zip(group, results, strict=True):
            _settle(future, result)

    async def _write_in_loop(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        with self._database.connect_to_write(waits=False) as connection:
            transaction = await self._begin(connection)
            try:
                results = self._write(connection, items)
            except BaseException:
                transaction.rollback()
                raise
            await self._in_thread(transaction.commit)
        return results

    async def _begin(self, connection: Connection) -> RootTransaction:
        """Begin once SQLite's lock is free, waiting as long as a thread would."""
        deadline = time.monotonic() + self._database.busy_timeout_ms / 1000
        while True:
            try:
                return connection.begin()
            except Locked as error:
                if time.monotonic() >= deadline:
                    raise QueueUnavailable(str(error)) from None
            await asyncio.sleep(LOCK_POLL_SECONDS)

    def _write_in_thread(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        with self._database.write() as connection:
            return self._write(connection, items)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _answer(error: Exception) -> Exception:
    if isinstance(error, DatabaseLost) or not isinstance(error, SQLAlchemyError):
        return error
    return QueueUnavailable(cause_of(error)) if may_pass(error) else error


def _settle(future: "asyncio.Future[Result]", result: Result | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
