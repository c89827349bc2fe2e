"""Alerts about senders: a problem, or connected again."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from hudhud.core.stored_sentences import columns
from hudhud.db.tables import senders
from hudhud.maintenance.alerts.state import OldColumn, Subject
from hudhud.senders.records import detail_of

CONNECTED: Final = "connected"

TITLES: Final = {
    "logged_out": "is logged out",
    "restricted": "is restricted",
    "outdated": "is outdated",
    "replaced": "was replaced",
    "reconnecting": "cannot connect",
    CONNECTED: "is connected again",
}

WATCHED: Select[Any] = select(
    senders.c.name,
    senders.c.state,
    *(senders.c[name] for name in columns("detail", None)),
    senders.c.failed_reconnects,
    senders.c.alerted_state,
)


def subjects(connection: Connection, most_reconnects: int) -> list[Subject]:
    """Return all senders, with the alerts due."""
    rows = connection.execute(WATCHED)
    return [_subject(row, most_reconnects) for row in rows]


def _subject(row: Row[Any], most_reconnects: int) -> Subject:
    return Subject(
        name=f"sender {row.name}",
        due=partial(due, row.state, row.failed_reconnects, most_reconnects),
        ending=CONNECTED,
        message=partial(message, row),
        old_column=OldColumn(senders.c.alerted_state, senders.c.name, row.name, row.alerted_state),
    )


def due(state: str, failed_reconnects: int, most_reconnects: int, told: str | None) -> str | None:
    """Return the state to alert about, or None.

    A problem ends only with `connected`: a sender that shows a new QR code after a logout still
    needs an operator.
    """
    if state == CONNECTED:
        return None if told is None else state
    if state == "reconnecting" and failed_reconnects < most_reconnects:
        return None
    return state if state in TITLES and state != told else None


def message(row: Row[Any], what: str) -> tuple[str, str]:
    """Return title and text: which sender, what happened, what to do."""
    title = f"Hudhud: sender {row.name} {TITLES[what]}"
    if what == CONNECTED:
        return title, "Messages are being sent again. Nothing to do."
    if what == "reconnecting":
        return title, (
            f"Connecting failed {row.failed_reconnects} times. {detail_of(row).english()}"
        )
    return title, detail_of(row).english()
