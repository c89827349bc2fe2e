"""Concurrent requests share one commit."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import IntegrityError

from hudhud.core.errors import QueueUnavailable
from hudhud.db.engine import Database
from hudhud.db.group_commit import LARGEST_GROUP, GroupCommit
from hudhud.db.migrate import OLDEST_VERSION
from hudhud.db.tables import installation

OTHER_WRITER = """
import sys
from hudhud.db.engine import Database
from hudhud.db.tables import installation

database = Database(sys.argv[1])
for number in range(100):
    with database.write() as connection:
        connection.execute(installation.insert().values(name=f"other-{number}", value="x"))
database.close()
"""


class Store:
    """Writes names into a real database and counts groups and commits."""

    def __init__(self, database: Database) -> None:
        self.groups: list[int] = []
        self.commits = 0
        event.listen(database.engine, "commit", self._count)

    def write(self, connection: Connection, group: Sequence[str]) -> Sequence[str | Exception]:
        """Store all names except the refused ones."""
        self.groups.append(len(group))
        taken = [name for name in group if not name.startswith("refused")]
        if taken:
            rows = [{"name": name, "value": "x"} for name in taken]
            connection.execute(insert(installation), rows)
        return [f"stored {name}" if name in taken else KeyError(name) for name in group]

    def _count(self, connection: Connection) -> None:
        if connection.get_execution_options().get("hudhud_write"):
            self.commits += 1


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@asynccontextmanager
async def committing(
    database: Database, store: Store, largest_group: int = LARGEST_GROUP
) -> AsyncIterator[GroupCommit[str, str]]:
    commits = GroupCommit(database, store.write, largest_group)
    commits.start()
    try:
        yield commits
    finally:
        await commits.stop()


@contextmanager
def locked(database: Database) -> Iterator[None]:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("LOCK TABLE installation IN ACCESS EXCLUSIVE MODE"))
        yield


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(installation.c.name))) - {OLDEST_VERSION}


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop and fail on unhandled errors."""

    async def watched() -> None:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        async with asyncio.timeout(30):
            await test()
        assert problems == []

    asyncio.run(watched())


def test_answer_comes_after_the_commit(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            assert await commits.submit("one") == "stored one"
            assert names(database) == {"one"}

    run(test)


def test_waiting_requests_share_a_commit(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            with locked(database):
                tasks = [asyncio.create_task(commits.submit(f"n{n}")) for n in range(50)]
                await asyncio.sleep(0)
            assert await asyncio.gather(*tasks) == [f"stored n{n}" for n in range(50)]

    run(test)
    # The first requests may have been committed alone; the others waited for the lock together.
    assert sum(store.groups) == 50
    assert store.commits == 1 + len(store.groups) <= 3  # one is the lock's


def test_group_size_is_bounded(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store, largest_group=7) as commits:
            await asyncio.gather(*(commits.submit(f"n{n}") for n in range(30)))

    run(test)
    assert sum(store.groups) == 30
    assert max(store.groups) <= 7


def test_each_request_gets_its_own_result_or_error(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            results = await asyncio.gather(
                *(commits.submit(name) for name in ("a", "refused-b", "c", "refused-d")),
                return_exceptions=True,
            )
        assert results[0] == "stored a"
        assert isinstance(results[1], KeyError)
        assert results[2] == "stored c"
        assert repr(results[3]) == "KeyError('refused-d')"

    run(test)
    assert names(database) == {"a", "c"}


def test_error_of_a_group_reaches_each_request_and_stops_no_later_group(
    database: Database, store: Store
) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            await commits.submit("twice")
            with locked(database):
                tasks = [asyncio.create_task(commits.submit("twice")) for _ in range(5)]
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} == {IntegrityError}
            assert len({id(result) for result in results}) <= 5
            assert await commits.submit("next") == "stored next"

    run(test)
    assert names(database) == {"twice", "next"}


def test_lock_timeout_asks_the_caller_to_retry_later(
    database: Database, impatient: Database
) -> None:
    store = Store(impatient)

    async def test() -> None:
        async with committing(impatient, store) as commits:
            with locked(database):
                results = await asyncio.gather(
                    commits.submit("one"), commits.submit("two"), return_exceptions=True
                )
            assert [type(result) for result in results] == [QueueUnavailable] * 2
            assert await commits.submit("three") == "stored three"

    run(test)
    assert names(database) == {"three"}


def test_canceled_request_does_not_affect_others(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            with locked(database):
                tasks = [asyncio.create_task(commits.submit(f"n{n}")) for n in range(10)]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in results] == [True, False] * 5

    run(test)
    # A submitted request is written even if its caller has gone.
    assert len(names(database)) == 10


def test_stop_writes_pending_requests(database: Database, store: Store) -> None:
    async def test() -> None:
        async with committing(database, store) as commits:
            with locked(database):
                tasks = [asyncio.create_task(commits.submit(f"n{n}")) for n in range(20)]
                await asyncio.sleep(0)
                stopping = asyncio.create_task(commits.stop())
            await asyncio.gather(*tasks)
            await stopping

    run(test)
    assert len(names(database)) == 20


def test_lock_is_free_for_two_milliseconds_between_commits(
    database: Database, store: Store
) -> None:
    ended: list[float] = []
    gaps: list[float] = []
    event.listen(database.engine, "commit", lambda _connection: ended.append(time.monotonic()))
    event.listen(
        database.engine,
        "begin",
        lambda _connection: gaps.extend(time.monotonic() - at for at in ended[-1:]),
    )

    async def test() -> None:
        async with committing(database, store) as commits:
            for number in range(10):
                await asyncio.gather(*(commits.submit(f"{number}-{n}") for n in range(3)))

    run(test)
    assert len(gaps) >= 9
    assert min(gaps) >= 0.002


def test_busy_committer_does_not_starve_another_process(database: Database, store: Store) -> None:
    url = database.url.render_as_string(hide_password=False)

    async def test() -> None:
        async with committing(database, store) as commits:
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_WRITER, url)

            async def load(worker: int) -> None:
                number = 0
                while other.returncode is None:
                    await commits.submit(f"load-{worker}-{number}")
                    number += 1

            await asyncio.gather(*(load(worker) for worker in range(16)))
            assert other.returncode == 0

    run(test)
    assert len([name for name in names(database) if name.startswith("other-")]) == 100
