"""Notice that a database is damaged, or that its file was removed or replaced."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from hudhud.core.database_lost import DatabaseLost
from hudhud.db.dialects import PRIMARY_CODE

DAMAGED = "damaged"
MOVED = "removed or replaced"
RESTORE = "Stop Hudhud and restore a backup (docs/operations.md, Restore a backup)."
REPLACE = (
    "Stop Hudhud, put the file or a backup in its place (docs/operations.md, Restore a backup), "
    "and start Hudhud again."
)
DAMAGED_ON_SQLITE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# data_corrupted and index_corrupted
DAMAGED_ON_POSTGRESQL = frozenset({"XX001", "XX002"})

log = structlog.get_logger(__name__)


def is_damage(error: BaseException | None) -> bool:
    """Return whether a driver's error says that the database's content is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return (code & PRIMARY_CODE) in DAMAGED_ON_SQLITE
    return getattr(error, "sqlstate", None) in DAMAGED_ON_POSTGRESQL


def damaged(shown: str, error: object) -> DatabaseLost:
    """Return the error of a damaged database."""
    return DatabaseLost(DAMAGED, f"The database {shown} is damaged ({error}).", RESTORE)


def log_loss(loss: DatabaseLost) -> None:
    """Log a loss, as the processes of a service do."""
    log.error("the database is lost", error=str(loss))


class Losses:
    """Turns an engine's errors into `DatabaseLost`, and calls `on_loss` once for each loss.

    `file` is None if there is no file to compare. Transactions on a lost SQLite database are
    refused, because their changes would be gone after the restoration. Damage of PostgreSQL is
    reported where it is met: its admin can repair it under a running service.
    """

    def __init__(self, engine: Engine, shown: str, file: Path | None) -> None:
        self.on_loss: Callable[[DatabaseLost], None] = lambda _loss: None
        self.damage: DatabaseLost | None = None
        self._shown = shown
        self._file = file
        self._opened: tuple[int, int] | None = None
        self._reported = set[str]()
        self._reporting = threading.Lock()
        event.listen(engine, "handle_error", self._judge)
        event.listen(engine, "begin", self._require_sound, insert=True)
        if file is not None:
            # Before connecting, because SQLite would create the missing file.
            event.listen(engine, "do_connect", self._require_file)
            event.listen(engine, "connect", self._remember_file)
            event.listen(engine, "begin", self._require_file, insert=True)

    def _judge(self, context: ExceptionContext) -> DatabaseLost | None:
        error = context.original_exception
        if not is_damage(error):
            return None
        loss = damaged(self._shown, error)
        if context.dialect.name == "sqlite":
            self.damage = loss
        self._report(loss)
        return loss

    def _require_sound(self, *_: object) -> None:
        if self.damage is not None:
            raise DatabaseLost(DAMAGED, self.damage.problem, self.damage.remedy)

    def _remember_file(self, *_: object) -> None:
        if self._opened is None:
            self._opened = self._found()

    def _require_file(self, *_: object) -> None:
        if self._is_there():
            self._note_return()
            return
        loss = DatabaseLost(
            MOVED,
            f"The database file {self._file} was removed or replaced while Hudhud used it, so "
            "nothing is accepted or sent.",
            REPLACE,
        )
        self._report(loss)
        raise loss

    def _is_there(self) -> bool:
        return self._opened is None or self._found() == self._opened

    def _note_return(self) -> None:
        if MOVED in self._reported:
            with self._reporting:
                if self._is_there():  # another thread may have reported it since
                    self._reported.discard(MOVED)

    def _report(self, loss: DatabaseLost) -> None:
        with self._reporting:
            if loss.state not in self._reported:
                self._reported.add(loss.state)
                self.on_loss(loss)

    def _found(self) -> tuple[int, int] | None:
        """Return device and inode of the file, None if it does not exist."""
        assert self._file is not None  # noqa: S101 -- otherwise nothing calls this
        try:
            status = os.stat(self._file)  # noqa: PTH116 -- before each transaction: half the time
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return self._opened  # unknown; SQLite reports what it cannot do
        return status.st_dev, status.st_ino
