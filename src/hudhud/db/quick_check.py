"""Look for damage in an SQLite database."""

import sqlite3
from threading import Timer
from typing import cast

from sqlalchemy.exc import OperationalError

from hudhud.db.engine import Database


def quick_check(database: Database, seconds: float) -> str | None:
    """Check the pages for at most `seconds`; return the first damage, or None if none is found.

    Raises DatabaseLost if the damage prevents the check.
    """
    with database.read() as connection:
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        # A progress handler would not be called within a table before SQLite 3.42.
        end = Timer(seconds, driver.interrupt)
        end.start()
        try:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                return None
            raise
        finally:
            end.cancel()
            end.join()
    return None if found == "ok" else " ".join(found.split())
