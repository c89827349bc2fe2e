"""Alerts about countries that the conversion guard watches: guarded, or no longer."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from hudhud.core.clock import iso
from hudhud.db.tables import country_guards
from hudhud.maintenance.alerts.state import UNTOLD, AlertState, OldColumn, Subject

GUARDED: Final = "guarded"
OVER: Final = "over"


def subjects(connection: Connection, states: Mapping[str, AlertState], now: int) -> list[Subject]:
    """Return every country that was ever guarded, with the alert that is due."""
    return [_subject(guard, states, now) for guard in connection.execute(select(country_guards))]


def _subject(guard: Row[Any], states: Mapping[str, AlertState], now: int) -> Subject:
    name = f"country {guard.country}"
    return Subject(
        name=name,
        due=due(guard, states.get(name, UNTOLD).told, now),
        ending=OVER,
        message=partial(message, guard),
        old_column=OldColumn(
            country_guards.c.alerted, country_guards.c.country, guard.country, guard.alerted
        ),
    )


def due(guard: Row[Any], told: str | None, now: int) -> str | None:
    """Return the word of the alert that is due, or None."""
    if guard.until > now:
        return None if told == GUARDED else GUARDED
    return None if told is None else OVER


def message(guard: Row[Any], what: str) -> tuple[str, str]:
    """Return title and text of an alert: which country, what happened, what to do now."""
    country = guard.country
    if what == OVER:
        return f"Hudhud: {country} is no longer guarded", "Codes are sent there. Nothing to do."
    title = f"Hudhud: far fewer codes to {country} are approved than usual"
    share = f"{guard.share} % of the codes of an hour were approved, usual are {guard.habit} %."
    cause = "Somebody may be having codes sent to numbers that pay for them."
    if guard.blocks:
        return title, (
            f"{share} {cause} Sends to {country} are refused until {iso(guard.until)} or longer. "
            "Look at which key and addresses they come from."
        )
    return title, (
        f"{share} {cause} Look at which key and addresses they come from. To refuse sends to "
        f"{country} set CONVERSION_GUARD=block, or DENIED_COUNTRIES={country}."
    )
