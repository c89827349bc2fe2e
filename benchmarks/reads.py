"""Time the dashboard's reads: every page and JSON route."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, get_args
from urllib.parse import quote, urlsplit

from benchmarks.threads import running
from hudhud.messages.listing import MOST_COUNTED
from hudhud.messages.states import STATUSES, LegacyStatus
from hudhud.messages.statistics import RANGES

PATIENCE_SECONDS = 30
LIMIT: Final = 50
LAST_NUMBERED: Final = MOST_COUNTED // LIMIT - 1


@dataclass(frozen=True, slots=True)
class Known:
    """Values in the database that searches can find."""

    newest_id: int
    phones: list[str]
    code: str


@dataclass(frozen=True, slots=True)
class Read:
    """A name for the table, and a function that varies the path."""

    name: str
    path: Callable[[], str]


class Reader:
    """Sends requests over a kept connection."""

    def __init__(self, origin: str, key: str) -> None:
        address = urlsplit(origin)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=PATIENCE_SECONDS
        )
        self._headers = {"X-API-Key": key, "Accept-Encoding": "gzip"}

    def read(self, path: str) -> float:
        """Return the milliseconds until the whole answer has arrived."""
        is_page = "/api/" not in path
        started = time.perf_counter()
        self._connection.request(
            "GET", path, headers=self._headers | ({"Accept": "text/html"} if is_page else {})
        )
        answer = self._connection.getresponse()
        body = answer.read()
        milliseconds = (time.perf_counter() - started) * 1000
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        return milliseconds

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def without_pause(reads: list[Read], origin: str, key: str, connections: int) -> Iterator[None]:
    """Read random pages continuously."""
    failures: list[Exception] = []

    def keep_reading(stopping: threading.Event) -> None:
        reader = Reader(origin, key)
        try:
            while not stopping.is_set():
                reader.read(random.choice(reads).path())  # noqa: S311 -- no secret
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            failures.append(error)
        finally:
            reader.close()

    with running(keep_reading, connections):
        yield
    if failures:
        raise failures[0]


def all_reads(known: Known) -> Iterator[Read]:
    """Yield every read of the dashboard."""
    yield from _pages(known)
    yield from _searches(known)
    yield from _filters(known)
    yield Read("numbers (status-and-stats)", lambda: "/admin/api/status-and-stats")
    for chosen in RANGES:
        yield _fixed(f"traffic of a {chosen}", f"/admin/api/traffic?range={chosen}")
    yield Read("HTML page", lambda: "/admin/status")
    yield Read("HTML page, search", lambda: f"/admin/status?searchQuery={_fragment(known, 4)}")


def _pages(known: Known) -> Iterator[Read]:
    yield Read("first page", _jobs)
    yield Read("last page", lambda: _jobs(cursor=str(LIMIT + 1)))
    yield Read("a page by cursor", lambda: _jobs(cursor=str(_any(known.newest_id))))
    yield Read(f"page by number, {LAST_NUMBERED}", lambda: _jobs(page=str(LAST_NUMBERED)))


def _searches(known: Known) -> Iterator[Read]:
    for length in (2, 3, 4, 6):
        yield Read(
            f"search: {length} digits of a phone",
            lambda length=length: _search(_fragment(known, length)),  # type: ignore[misc]
        )
    yield Read("search: a whole phone", lambda: _search(random.choice(known.phones)))  # noqa: S311
    yield Read("search: digits in most phones", lambda: _search("+2010"))
    yield Read("search: digits in none", lambda: _search(f"+2011{_any(9999):04}"))
    yield Read("search: digits in none, common pieces", lambda: _search("2010201020"))
    yield Read("search: by cursor", lambda: _search_from(known, _fragment(known, 4)))
    for name, words in (
        ("text of many", "code"),
        ("text of none", "zebra"),
        ("error", "463"),
        ("error's words", "no WhatsApp account"),
        ("code", known.code),
    ):
        yield _fixed(f"search: {name}", _search(words))


def _filters(known: Known) -> Iterator[Read]:
    for word in get_args(LegacyStatus):
        yield _fixed(f"status {word}", _jobs(filterStatus=word))
    for status in STATUSES:
        yield _fixed(f"delivery {status}", _jobs(filterDelivery=status))
    yield _fixed(
        f"status failed, page {LAST_NUMBERED}",
        _jobs(filterStatus="failed", page=str(LAST_NUMBERED)),
    )
    for word in get_args(LegacyStatus):
        yield Read(
            f"status {word}, 4 digits",
            lambda word=word: _search(_fragment(known, 4), filterStatus=word),  # type: ignore[misc]
        )
    for status in ("read", "canceled"):
        yield Read(
            f"delivery {status}, 7 digits",
            lambda status=status: _search(_fragment(known, 7), filterDelivery=status),  # type: ignore[misc]
        )
    yield _fixed("status failed, error", _search("not connected", filterStatus="failed"))
    yield _fixed("status sent, error that none has", _search("463", filterStatus="sent"))
    yield _fixed("status sent, text of none", _search("zebra", filterStatus="sent"))


def _fixed(name: str, path: str) -> Read:
    return Read(name, lambda: path)


def _search(words: str, **parameters: str) -> str:
    return _jobs(searchQuery=words, **parameters)


def _search_from(known: Known, words: str) -> str:
    return _search(words, cursor=str(_any(known.newest_id)))


def _jobs(**parameters: str) -> str:
    query: Mapping[str, str] = {"limit": str(LIMIT), **parameters}
    return "/admin/api/jobs?" + "&".join(f"{name}={quote(one)}" for name, one in query.items())


def _fragment(known: Known, length: int) -> str:
    """Return the last digits of a number, which people usually search for."""
    return random.choice(known.phones)[-length:]  # noqa: S311 -- no secret


def _any(most: int) -> int:
    return random.randrange(1, most + 1)  # noqa: S311 -- no secret
