"""The error of a database that only an admin can mend, and the logging of database errors."""

from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.errors import HudhudError


class DatabaseLost(HudhudError, SQLAlchemyError):
    """The database is damaged, or its file was removed or replaced.

    The `Database` logs it once, so those who catch it do not. `state` is the short form for
    /readyz, `remedy` what to do.
    """

    def __init__(self, state: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.state = state
        self.problem = problem
        self.remedy = remedy


def cause_of(error: SQLAlchemyError) -> str:
    """Return the database's own words, without the statement."""
    return str(error.__cause__ or error)


def log_unusable(
    write_line: Callable[..., object], event: str, error: SQLAlchemyError, **facts: object
) -> None:
    """Log a database error, unless the `Database` has logged it."""
    if not isinstance(error, DatabaseLost):
        write_line(event, error=cause_of(error), **facts)
