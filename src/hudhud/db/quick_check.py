"""Look for damage in an SQLite database."""

import sqlite3
import time
from typing import cast

from sqlalchemy.exc import OperationalError

from hudhud.db.engine import Database

# Pages or operations between looks at the clock.
STEPS_BETWEEN_LOOKS = 10_000


def quick_check(
    database: Database, seconds: float, *, steps_between_looks: int = STEPS_BETWEEN_LOOKS
) -> str | None:
    """Look at SQLite's pages for at most `seconds`; return the first damage, None if none is found.

    Raises DatabaseLost if the damage keeps SQLite from looking.
    """
    end = time.monotonic() + seconds
    with database.read() as connection:
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        driver.set_progress_handler(lambda: time.monotonic() > end, steps_between_looks)
        try:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        except OperationalError:  # interrupted
            return None
        finally:
            driver.set_progress_handler(None, 0)
    return None if found == "ok" else " ".join(found.split())
