"""Thread loops that survive database errors."""

from collections.abc import Callable
from threading import Event

from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import FilteringBoundLogger

from hudhud.core.database_lost import log_unusable


def repeat(
    step: Callable[[], object],
    *,
    stopping: Event,
    log: FilteringBoundLogger,
    pause_seconds: float,
    unusable: str = "the database cannot be used, trying again",
    broken: str | None = None,
    on_unusable: Callable[[], None] = lambda: None,
) -> None:
    """Call `step`, which does its own waiting, until `stopping` is set.

    After a database error it logs `unusable`, calls `on_unusable` and pauses. Other errors are
    logged as `broken`, or raised if that is None.
    """
    while not stopping.is_set():
        try:
            step()
        except SQLAlchemyError as error:
            log_unusable(log.error, unusable, error)
            on_unusable()
            stopping.wait(pause_seconds)
        except Exception:
            if broken is None:
                raise
            log.exception(broken)
            stopping.wait(pause_seconds)
