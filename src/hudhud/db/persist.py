"""Retry writes that must not be lost."""

import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import FilteringBoundLogger

from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import may_pass


def persist(
    write: Callable[[], object],
    *,
    log: FilteringBoundLogger,
    problem: str,
    pause_seconds: float,
) -> None:
    """Call `write` until it succeeds, pausing while the database is unavailable.

    Logs each failure as `problem`. Raises errors that are not temporary.
    """
    while True:
        try:
            write()
        except SQLAlchemyError as error:
            if not may_pass(error):
                raise
            log_unusable(log.error, problem, error)
        else:
            return
        time.sleep(pause_seconds)
