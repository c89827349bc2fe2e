"""Alerts about a person or key that searches for many different codes."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row

from hudhud.core.clock import MINUTE_MS, iso
from hudhud.maintenance.alerts.state import Subject
from hudhud.messages import code_searches

LIMITED: Final = "limited"


def subjects(connection: Connection, now: int) -> list[Subject]:
    """Return who reached the limit within a day, with the alert due: one for all of it."""
    rows = code_searches.limited(connection, now=now)
    return [
        Subject(name=f"code searches {row.who}", due=due, message=partial(message, row))
        for row in rows
    ]


def due(told: str | None) -> str | None:
    """Return the name of the alert due, or None."""
    return LIMITED if told is None else None


def message(row: Row[Any], _what: str) -> tuple[str, str]:
    """Return title and text: who, what happened, what to do."""
    return f"Hudhud: {row.who} searches for many codes", (
        f"More than {code_searches.MOST} different searches that may be codes came from {row.who} "
        f"within {code_searches.WINDOW_MS // MINUTE_MS} minutes, until {iso(row.at)}. Further ones "
        "leave codes out. If nobody here made them, change the admin password or revoke the key: "
        "its page Audit shows the addresses."
    )
