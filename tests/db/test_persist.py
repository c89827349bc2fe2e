"""A write is repeated until it succeeds, unless its error will not pass by itself."""

import sqlite3
from collections.abc import Callable

import pytest
import structlog
from sqlalchemy.exc import OperationalError, ResourceClosedError
from structlog.testing import capture_logs

from hudhud.db.persist import persist

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

PROBLEM = "it cannot be written, trying again"


def locked() -> OperationalError:
    """What SQLite says while another process holds the write lock."""
    reason = sqlite3.OperationalError("database is locked")
    reason.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return OperationalError("insert", None, reason)


def failing(*errors: Exception) -> tuple[Callable[[], None], list[str]]:
    """A write that fails with these errors, one after the other, and the writes that succeeded."""
    left, written = list(errors), list[str]()

    def write() -> None:
        if left:
            raise left.pop(0)
        written.append("written")

    return write, written


def test_it_is_tried_again_until_it_is_written() -> None:
    write, written = failing(locked(), locked())
    with capture_logs() as logs:
        persist(write, log=log, problem=PROBLEM, pause_seconds=0)
    assert written == ["written"]
    assert [(line["event"], line["log_level"]) for line in logs] == [(PROBLEM, "error")] * 2


@pytest.mark.parametrize("error", [ResourceClosedError("a defect of ours"), ValueError("no")])
def test_another_error_is_raised_at_once(error: Exception) -> None:
    write, written = failing(error)
    with capture_logs() as logs, pytest.raises(type(error)):
        persist(write, log=log, problem=PROBLEM, pause_seconds=0)
    assert (written, logs) == ([], [])
