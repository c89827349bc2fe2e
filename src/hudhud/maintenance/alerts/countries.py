"""Alerts about countries: guarded, or no longer guarded."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from hudhud.core.clock import iso
from hudhud.db.tables import country_guards
from hudhud.maintenance.alerts.state import OldColumn, Subject

GUARDED: Final = "guarded"
OVER: Final = "over"


def subjects(connection: Connection, now: int) -> list[Subject]:
    """Return all countries that were ever guarded, with the alerts due."""
    return [_subject(guard, now) for guard in connection.execute(select(country_guards))]


def _subject(guard: Row[Any], now: int) -> Subject:
    return Subject(
        name=f"country {guard.country}",
        due=partial(due, guard, now),
        ending=OVER,
        message=partial(message, guard),
        old_column=OldColumn(
            country_guards.c.alerted, country_guards.c.country, guard.country, guard.alerted
        ),
    )


def due(guard: Row[Any], now: int, told: str | None) -> str | None:
    """Return the name of the alert due, or None."""
    if guard.until > now:
        return None if told == GUARDED else GUARDED
    return None if told is None else OVER


def message(guard: Row[Any], what: str) -> tuple[str, str]:
    """Return title and text: which country, what happened, what to do."""
    country = guard.country
    if what == OVER:
        return (
            f"Hudhud: {country} is no longer guarded",
            "Codes are sent to this country. Nothing to do.",
        )
    title = f"Hudhud: far fewer codes to {country} are approved than usual"
    share = f"{guard.share}% of an hour's codes were approved; the usual share is {guard.habit}%."
    cause = "This may be pumping: requesting codes to earn from the traffic."
    if guard.blocks:
        return title, (
            f"{share} {cause} Sends to {country} are refused until {iso(guard.until)} or longer. "
            "Check which API key and client addresses request them."
        )
    return title, (
        f"{share} {cause} Check which API key and client addresses request them. To refuse "
        f"sends to {country}, set CONVERSION_GUARD=block or DENIED_COUNTRIES={country}."
    )
