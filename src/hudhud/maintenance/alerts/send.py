"""Tell people, through Telegram and whatever else apprise reaches, when something needs them.

One message when a sender gets into trouble, one when it is connected again; likewise of a country
that the conversion guard watches and of a webhook endpoint. `senders.alerted_state` and the columns
`alerted` keep what was told, so that a restart neither repeats nor forgets it:

    NULL                        nothing is wrong, or nobody knows of it yet
    logged_out                  this was told
    - logged_out 2 1763868678036  told before: nothing (`-`); logged_out is being told for the
                                second time, and until that moment by nobody else

The machine whose conditional update succeeds sends the alert, so that of several machines one does.
At least once: a machine that dies between sending and its record makes another one repeat it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import structlog
from sqlalchemy import Column, Row, select, update
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.backoff import doubled
from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.core.settings import Settings
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.maintenance.alerts import countries, senders, webhooks
from hudhud.webhooks.endpoints import list_endpoints

if TYPE_CHECKING:
    from apprise import NotifyBase

# Sending must end within the first wait, which also keeps others from repeating it.
FIRST_WAIT_MS = MINUTE_MS
LONGEST_WAIT_MS = 900_000
MOST_ATTEMPTS = 100  # about a day
NOTHING = "-"


# What ends a trouble.
ENDINGS = frozenset({senders.CONNECTED, countries.OVER, webhooks.WORKS})

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class AlertState(NamedTuple):
    """What the column says: told already, being told, how often tried, until when."""

    told: str | None
    now: str | None = None
    attempts: int = 0
    others_wait_until: int = 0

    @classmethod
    def read(cls, column: str | None) -> "AlertState":
        """Read the column."""
        words = (column or NOTHING).split()
        told = None if words[0] == NOTHING else words[0]
        return cls(told, words[1], int(words[2]), int(words[3])) if len(words) > 1 else cls(told)

    def column(self) -> str | None:
        """Write the column."""
        if self.now is None:
            return self.told
        return f"{self.told or NOTHING} {self.now} {self.attempts} {self.others_wait_until}"


class Subject(NamedTuple):
    """Something that people are told about: its row, what of it is due, and in which words."""

    key: Column[Any]  # which row
    name: str | int
    told: Column[str | None]
    column: str | None  # what `told` holds
    due: str | None
    message: Callable[[str], tuple[str, str]]

    @property
    def label(self) -> str:
        """By which threads and logs name it: a sender may have the name of a country."""
        return f"{self.key.table} {self.name}"

    def exchange(self, database: Database, new: AlertState) -> bool:
        """Change the column from what was read; False where another machine was faster."""
        with database.write() as connection:
            result = connection.execute(
                update(self.key.table)
                .where(self.key == self.name, self.told.is_not_distinct_from(self.column))
                .values({self.told: new.column()})
            )
        return result.rowcount == 1


def targets(settings: Settings) -> list[str]:
    """Return the apprise addresses that are alerted."""
    addresses = (settings.alert_urls or "").split()
    if settings.telegram_bot_token is not None and settings.telegram_chat_id is not None:
        token, chat = settings.telegram_bot_token, settings.telegram_chat_id
        addresses.insert(0, f"tgram://{quote(token, safe=':')}/{quote(chat, safe='@')}/")
    return addresses


def unusable_targets(settings: Settings) -> list[str]:
    """Return a line for each target that apprise does not understand; none of them tells secrets.

    Loads apprise, which takes half a second and 28 MB.
    """
    return [
        f"Alerts to {_shown(address)} cannot be sent: apprise does not understand the address."
        for address in targets(settings)
        if _load(address) is None
    ]


class Alerts:
    """Watches senders, guarded countries, webhooks; `check`, about once a second, never waits."""

    def __init__(
        self, database: Database, settings: Settings, first_wait_ms: int = FIRST_WAIT_MS
    ) -> None:
        self._database = database
        self._targets = targets(settings)
        self._most_reconnects = settings.baileys_max_retries
        self._first_wait_ms = first_wait_ms
        self._threads: dict[str, threading.Thread] = {}
        self._done: dict[str, set[str]] = {}

    def check(self) -> None:
        """Start telling what is due.

        Raises sqlalchemy.exc.SQLAlchemyError where the database cannot be used.
        """
        if not self._targets:
            return
        with self._database.read() as connection:
            rows = connection.execute(senders.WATCHED).all()
            guards = connection.execute(select(tables.country_guards)).all()
            endpoints = list_endpoints(connection)
        now = now_ms()
        for subject in (
            *map(self._sender, rows),
            *(_country(guard, now) for guard in guards),
            *(_endpoint(endpoint, now) for endpoint in endpoints),
        ):
            thread = self._threads.get(subject.label)
            if thread is None or not thread.is_alive():
                self._consider(subject, now)

    def wait(self, seconds: float) -> None:
        """Give what is being sent up to `seconds` to end; what does not is told again."""
        deadline = now_ms() + seconds * 1000
        for thread in self._threads.values():
            thread.join(max(0.0, (deadline - now_ms()) / 1000))

    def _sender(self, row: Row[Any]) -> Subject:
        told = AlertState.read(row.alerted_state).told
        return Subject(
            key=tables.senders.c.name,
            name=row.name,
            told=tables.senders.c.alerted_state,
            column=row.alerted_state,
            due=senders.due(row.state, row.failed_reconnects, told, self._most_reconnects),
            message=partial(senders.message, row),
        )

    def _consider(self, subject: Subject, now: int) -> None:
        state, what = AlertState.read(subject.column), subject.due
        if now < state.others_wait_until and what in {state.now, None}:
            return
        if what is None:
            if state.now is not None:  # it ended before it could be told
                subject.exchange(self._database, AlertState(state.told))
            return
        attempts = state.attempts + 1 if what == state.now else 1
        if attempts > MOST_ATTEMPTS:
            log.error("alert given up", subject=subject.label, what=what)
            subject.exchange(self._database, _told(what))
            return
        claim = AlertState(state.told, what, attempts, now + self._wait_ms(attempts))
        if subject.exchange(self._database, claim):
            self._start(subject._replace(column=claim.column()), claim)

    def _wait_ms(self, attempts: int) -> int:
        return round(doubled(self._first_wait_ms, attempts - 1, most=LONGEST_WAIT_MS))

    def _start(self, subject: Subject, claim: AlertState) -> None:
        thread = threading.Thread(
            target=self._send_to_all,
            args=(subject, claim),
            name=f"alert-{subject.name}",
            daemon=True,
        )
        self._threads[subject.label] = thread
        thread.start()

    def _send_to_all(self, subject: Subject, claim: AlertState) -> None:
        """Send to every target that has not had it yet; on a failure the claim just runs out."""
        what = str(claim.now)
        if claim.attempts == 1:
            self._done[subject.label] = set()
        done = self._done.setdefault(subject.label, set())
        title, body = subject.message(what)
        for address in self._targets:
            if address not in done and _send(address, title, body, what):
                done.add(address)
        if not done.issuperset(self._targets):
            return
        try:
            subject.exchange(self._database, _told(what))
        except SQLAlchemyError as error:
            cause = str(error.__cause__ or error)
            log.warning(
                "alert not recorded, it will be repeated", subject=subject.label, error=cause
            )
        else:
            log.info("alert sent", subject=subject.label, what=what)


def _country(guard: Row[Any], now: int) -> Subject:
    return Subject(
        key=tables.country_guards.c.country,
        name=guard.country,
        told=tables.country_guards.c.alerted,
        column=guard.alerted,
        due=countries.due(guard, AlertState.read(guard.alerted).told, now),
        message=partial(countries.message, guard),
    )


def _endpoint(endpoint: Row[Any], now: int) -> Subject:
    return Subject(
        key=tables.webhook_endpoints.c.id,
        name=endpoint.id,
        told=tables.webhook_endpoints.c.alerted,
        column=endpoint.alerted,
        due=webhooks.due(endpoint, AlertState.read(endpoint.alerted).told, now),
        message=partial(webhooks.message, endpoint),
    )


def _told(what: str) -> AlertState:
    return AlertState(None if what in ENDINGS else what)


def _send(address: str, title: str, body: str, what: str) -> bool:
    from apprise import NotifyType  # noqa: PLC0415 -- 28 MB that most runs never need

    kind = NotifyType.SUCCESS if what in ENDINGS else NotifyType.FAILURE
    try:
        target = _load(address)
        sent = target is not None and target.notify(body=body, title=title, notify_type=kind)
    except Exception as error:
        log.warning("alert not sent", target=_shown(address), error=str(error))
        return False
    if not sent:
        reason = "apprise does not understand the address" if target is None else "see above"
        log.warning("alert not sent", target=_shown(address), error=reason)
    return sent


def _load(address: str) -> "NotifyBase | None":
    from apprise import Apprise  # noqa: PLC0415

    with _silence_of_apprise():
        return Apprise.instantiate(address)


@contextmanager
def _silence_of_apprise() -> Iterator[None]:
    """Keep it from logging an address that it does not understand, with the secrets in it."""
    logger = logging.getLogger("apprise")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def _shown(address: str) -> str:
    """Return the part of a target's address that holds no secret."""
    return f"{address.partition('://')[0]}://…"
