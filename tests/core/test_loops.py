"""Loops continue while the database is unusable."""

from collections.abc import Callable
from threading import Event

import pytest
import structlog
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from hudhud.core.database_lost import DatabaseLost
from hudhud.core.loops import repeat

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

UNUSABLE = OperationalError("select 1", None, Exception("locked"))


def steps(stopping: Event, *errors: Exception) -> Callable[[], None]:
    """Return a step that raises these errors, then ends the loop."""
    left = list(errors)

    def step() -> None:
        if left:
            raise left.pop(0)
        stopping.set()

    return step


def test_unusable_database_is_logged_and_the_loop_continues() -> None:
    stopping, ends = Event(), list[str]()
    with capture_logs() as logs:
        repeat(
            steps(stopping, UNUSABLE, UNUSABLE),
            stopping=stopping,
            log=log,
            pause_seconds=0,
            on_unusable=lambda: ends.append("end"),
        )
    said = "the database cannot be used, trying again"
    assert [(line["event"], line["log_level"]) for line in logs] == [(said, "error")] * 2
    assert ends == ["end", "end"]


def test_lost_database_is_not_logged_again() -> None:
    stopping, ends = Event(), list[str]()
    lost = DatabaseLost("damaged", "The database is damaged.", "Restore a backup.")
    with capture_logs() as logs:
        repeat(
            steps(stopping, lost, lost),
            stopping=stopping,
            log=log,
            pause_seconds=0,
            on_unusable=lambda: ends.append("end"),
        )
    assert logs == []
    assert ends == ["end", "end"]


def test_other_error_is_logged_if_a_sentence_is_given() -> None:
    stopping = Event()
    with capture_logs() as logs:
        repeat(
            steps(stopping, ValueError()),
            stopping=stopping,
            log=log,
            pause_seconds=0,
            broken="it failed, and goes on",
        )
    assert [line["event"] for line in logs] == ["it failed, and goes on"]


def test_other_error_ends_the_loop_without_a_sentence() -> None:
    stopping = Event()
    with pytest.raises(ValueError, match="broken"):
        repeat(steps(stopping, ValueError("broken")), stopping=stopping, log=log, pause_seconds=0)


def test_no_step_runs_after_the_end() -> None:
    stopping = Event()
    stopping.set()
    repeat(lambda: pytest.fail("called"), stopping=stopping, log=log, pause_seconds=0)
