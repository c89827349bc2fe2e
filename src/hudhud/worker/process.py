"""The process of one sender, started by the supervisor.

    python -m hudhud.worker.process NAME

Its stdin is a pipe from the supervisor. When the pipe closes, the supervisor has ended and this
process exits at once, so that no orphan uses the session that the next supervisor starts.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core import logs
from hudhud.core.database_lost import log_unusable
from hudhud.core.errors import HudhudError
from hudhud.core.settings import load_settings
from hudhud.worker.build import Builders, build_worker
from hudhud.worker.this_machine import lock_sender

LOCK_PATIENCE_SECONDS = 10.0
# sqlite3 releases the GIL at each row. A thread in a transaction must get it back soon, because it
# holds the database's lock; Python's default of 5 ms is too long.
SWITCH_SECONDS = 0.0001
FAILED_EXIT_CODE = 1
ORPHAN_EXIT_CODE = 11
LOCKED_EXIT_CODE = 12

log = structlog.get_logger(__name__)


def main(builders: Builders | None = None) -> None:
    """Run the sender named on the command line until asked to stop.

    Tests pass `builders`, by name of the channel, for channels with shorter waits.
    """
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=_exit_with_supervisor, daemon=True).start()
    code = FAILED_EXIT_CODE
    try:
        code = _run(sys.argv[1], builders)
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        # Exit hooks of libraries must not keep this process alive, or release the sender's lock
        # before it ends.
        os._exit(code)


def _run(name: str, builders: Builders | None) -> int:
    try:
        settings = load_settings()
        logs.configure(settings, process=f"sender-{name}")
        if not lock_sender(settings.data_dir, name, patience=LOCK_PATIENCE_SECONDS):
            log.error("another process on this machine runs this sender", sender=name)
            return LOCKED_EXIT_CODE
        worker = build_worker(settings, name, builders)
        _on_signal(worker.request_stop)
        return worker.run()
    except HudhudError as error:
        log.error("the sender cannot start", sender=name, error=str(error))
    except SQLAlchemyError as error:
        log_unusable(log.error, "the sender cannot use the database", error, sender=name)
    return FAILED_EXIT_CODE


def _on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop())


def _exit_with_supervisor() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(ORPHAN_EXIT_CODE)


if __name__ == "__main__":
    main()
