"""Let concurrent requests share one commit, and so one flush to disk."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.database_lost import DatabaseLost, cause_of
from hudhud.core.errors import QueueUnavailable
from hudhud.db.engine import Database, may_pass

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_GROUP = 500
# SQLite's lock is unfair: without this pause other processes would starve.
PAUSE_SECONDS = 0.002


class GroupCommit(Generic[Item, Result]):
    """Write submitted items in groups on one thread, one transaction per group.

    `write` stores a group and returns a result or an error for each item, in order.
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
        self._waiting: SimpleQueue[tuple[Item, asyncio.Future[Result]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write all submitted items, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    async def submit(self, item: Item) -> Result:
        """Return the item's result once its transaction is on disk.

        Raises QueueUnavailable if the database cannot be written, DatabaseLost if an admin must
        mend it.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put((item, future))
        return await future

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            stopping = False
            while len(group) < self._largest_group and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    stopping = True
                    break
                group.append(following)
            self._commit(group)
            if stopping:
                return
            time.sleep(PAUSE_SECONDS)

    def _commit(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            with self._database.write() as connection:
                results = self._write(connection, [item for item, _ in group])
        except Exception as error:  # every waiting request needs an answer
            results = [_answer(error) for _ in group]
        futures = [future for _, future in group]
        futures[0].get_loop().call_soon_threadsafe(_settle, futures, results)


def _answer(error: Exception) -> Exception:
    if isinstance(error, DatabaseLost) or not isinstance(error, SQLAlchemyError):
        return error
    return QueueUnavailable(cause_of(error)) if may_pass(error) else error


def _settle(futures: list[asyncio.Future[Result]], results: Sequence[Result | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
