"""Stored states of alerts, so that restarts neither repeat nor lose them.

A subject without a row has no problem, or none that has been reported.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, and_, delete, select, update

from hudhud.db.engine import Database
from hudhud.db.tables import alerts
from hudhud.db.upserts import insert_or_ignore


class AlertState(NamedTuple):
    """A row of `alerts`, without its subject."""

    told: str | None = None
    telling: str | None = None  # the alert that is being sent
    attempts: int = 0
    next_attempt_at: int = 0  # no other process sends it before


UNTOLD = AlertState()
NOTHING = "-"


class OldColumn(NamedTuple):
    """The column in which the previous version keeps the state, with its value.

    The value is the alert that was sent last, or `told alert attempts next_attempt_at` while that
    version sends one, where `-` means none.
    """

    column: Column[str | None]
    key: Column[Any]
    subject: str | int
    value: str | None

    def state(self) -> AlertState:
        """Return the state that the value describes."""
        told, *sending = (self.value or NOTHING).split()
        sent = AlertState(None if told == NOTHING else told)
        if not sending:
            return sent
        alert, attempts, next_attempt_at = sending
        return AlertState(sent.told, alert, int(attempts), int(next_attempt_at))


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of alerts: the alert due after the one that was sent last, and its text.

    `ending` is the alert that ends the problem; without one, the problem ends with its subject.
    """

    name: str  # key in `alerts`, for example "sender main"
    due: Callable[[str | None], str | None]
    message: Callable[[str], tuple[str, str]]
    ending: str | None = None
    old_column: OldColumn | None = None  # None if the previous version does not know the subject

    def state_after(self, alert: str | None) -> AlertState:
        """Return the state after this alert was sent."""
        return UNTOLD if alert == self.ending else AlertState(alert)

    def changed_by_previous_version(self, state: AlertState) -> AlertState | None:
        """Return the state that the previous version left in its column; None if unchanged.

        It may run next to this version while machines are updated.
        """
        if self.old_column is None:
            return None
        old = self.old_column.state()
        is_as_left = old.told == self.told_to_previous_version(state)
        return None if is_as_left or old.telling is not None else old

    def is_sent_by_previous_version(self, now: int) -> bool:
        """Return whether the previous version is sending an alert."""
        return self.old_column is not None and now < self.old_column.state().next_attempt_at

    def told_to_previous_version(self, state: AlertState) -> str | None:
        """Return the alert that the previous version takes as sent."""
        return self.state_after(state.telling or state.told).told


def read_all(connection: Connection) -> Mapping[str, AlertState]:
    """Return the states of all subjects with a sent or current alert."""
    return {
        row.subject: AlertState(row.told, row.telling, row.attempts, row.next_attempt_at)
        for row in connection.execute(select(alerts))
    }


def exchange(database: Database, subject: Subject, before: AlertState, after: AlertState) -> bool:
    """Change a subject's state; return False if another process was faster."""
    with database.write() as connection:
        is_done = _replace(connection, subject.name, before, after)
        if is_done:
            _inform_previous_version(connection, subject, after)
    return is_done


def forget(database: Database, names: Collection[str]) -> None:
    """Delete the states of subjects that no longer exist."""
    with database.write() as connection:
        connection.execute(delete(alerts).where(alerts.c.subject.in_(names)))


def _replace(connection: Connection, name: str, before: AlertState, after: AlertState) -> bool:
    if before == UNTOLD:
        return insert_or_ignore(connection, alerts, {"subject": name, **after._asdict()})
    if after == UNTOLD:
        return connection.execute(delete(alerts).where(_is(name, before))).rowcount == 1
    changed = update(alerts).where(_is(name, before)).values(after._asdict())
    return connection.execute(changed).rowcount == 1


def _is(name: str, state: AlertState) -> ColumnElement[bool]:
    return and_(
        alerts.c.subject == name,
        *(alerts.c[field].is_not_distinct_from(value) for field, value in state._asdict().items()),
    )


def _inform_previous_version(connection: Connection, subject: Subject, state: AlertState) -> None:
    """Mark the alert as sent for processes of the previous version.

    They may run at the same time while machines are updated, and know only the old columns.
    """
    old = subject.old_column
    if old is None:
        return
    told = subject.told_to_previous_version(state)
    connection.execute(
        update(old.column.table).where(old.key == old.subject).values({old.column: told})
    )
