"""Send alerts to operators through Telegram and other services of apprise.

One message is sent when a sender, country or webhook endpoint has a problem, and one when it is
over. Many searches for codes cause one message. `state.py` stores which alerts were sent.

The machine whose conditional update succeeds sends the alert. Delivery is at least once: if a
machine ends between sending and recording, another one repeats the alert.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.backoff import doubled
from hudhud.core.clock import MINUTE_MS, now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import Database
from hudhud.maintenance.alerts import code_searches, countries, senders, state, webhooks
from hudhud.maintenance.alerts.state import UNTOLD, AlertState, Subject

if TYPE_CHECKING:
    from apprise import NotifyBase

# Sending must end within the first wait, during which no other machine repeats it.
FIRST_WAIT_MS = MINUTE_MS
LONGEST_WAIT_MS = 900_000
MOST_ATTEMPTS = 100  # about a day

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def telegram(token: str, chat: str) -> str:
    """Return the apprise address of a Telegram chat."""
    return f"tgram://{quote(token, safe=':')}/{quote(chat, safe='@')}/"


def unusable_targets(targets: Iterable[str]) -> list[str]:
    """Return a line for each target that apprise does not understand.

    The lines contain no secrets.
    Loads apprise, which takes half a second and 28 MB.
    """
    return [
        f"Alerts to {_shown(address)} cannot be sent: apprise does not understand the address."
        for address in targets
        if _load(address) is None
    ]


class Alerts:
    """Sends alerts about senders, guarded countries, webhook endpoints and code searches.

    `targets` are apprise addresses. Call `check` about once a second; it does not wait for sends.
    """

    def __init__(
        self,
        database: Database,
        targets: Sequence[str],
        *,
        most_reconnects: int,
        first_wait_ms: int = FIRST_WAIT_MS,
    ) -> None:
        self._database = database
        self._targets = targets
        self._most_reconnects = most_reconnects
        self._first_wait_ms = first_wait_ms
        self._threads: dict[str, threading.Thread] = {}
        self._done: dict[str, set[str]] = {}

    def check(self) -> None:
        """Start sending the alerts due.

        Raises sqlalchemy.exc.SQLAlchemyError if the database is not available.
        """
        if not self._targets:
            return
        now = now_ms()
        with self._database.read() as connection:
            states = state.read_all(connection)
            subjects = [
                *senders.subjects(connection, self._most_reconnects),
                *countries.subjects(connection, now),
                *webhooks.subjects(connection, now),
                *code_searches.subjects(connection, now),
            ]
        for subject in subjects:
            thread = self._threads.get(subject.name)
            if thread is None or not thread.is_alive():
                self._consider(subject, states.get(subject.name, UNTOLD), now)
        gone = states.keys() - {subject.name for subject in subjects}
        if gone:
            state.forget(self._database, gone)

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for sends to finish; unfinished ones are repeated."""
        deadline = now_ms() + seconds * 1000
        for thread in self._threads.values():
            thread.join(max(0.0, (deadline - now_ms()) / 1000))

    def _consider(self, subject: Subject, before: AlertState, now: int) -> None:
        if subject.is_sent_by_previous_version(now):
            return
        changed = subject.changed_by_previous_version(before)
        if changed is not None:  # the alert due then is sent at the next check
            state.exchange(self._database, subject, before, changed)
            return
        alert = subject.due(before.told)
        if now < before.next_attempt_at and alert in {before.telling, None}:
            return
        if alert is None:
            if before.telling is not None:  # it ended before the alert was sent
                state.exchange(self._database, subject, before, AlertState(before.told))
            return
        attempts = before.attempts + 1 if alert == before.telling else 1
        if attempts > MOST_ATTEMPTS:
            log.error(
                "alert not sent in any attempt; check the alert settings",
                subject=subject.name,
                what=alert,
            )
            state.exchange(self._database, subject, before, subject.state_after(alert))
            return
        claim = AlertState(before.told, alert, attempts, now + self._wait_ms(attempts))
        if state.exchange(self._database, subject, before, claim):
            self._start(subject, alert, claim)

    def _wait_ms(self, attempts: int) -> int:
        return round(doubled(self._first_wait_ms, attempts - 1, most=LONGEST_WAIT_MS))

    def _start(self, subject: Subject, alert: str, claim: AlertState) -> None:
        thread = threading.Thread(
            target=self._send_to_all,
            args=(subject, alert, claim),
            name=f"alert {subject.name}",
            daemon=True,
        )
        self._threads[subject.name] = thread
        thread.start()

    def _send_to_all(self, subject: Subject, alert: str, claim: AlertState) -> None:
        """Send to the remaining targets; after a failure the claim expires."""
        if claim.attempts == 1:
            self._done[subject.name] = set()
        done = self._done.setdefault(subject.name, set())
        title, body = subject.message(alert)
        for address in self._targets:
            if address not in done and _send(address, title, body, is_good=alert == subject.ending):
                done.add(address)
        if done.issuperset(self._targets):
            self._record(subject, alert, claim)

    def _record(self, subject: Subject, alert: str, claim: AlertState) -> None:
        try:
            state.exchange(self._database, subject, claim, subject.state_after(alert))
        except SQLAlchemyError as error:
            log_unusable(
                log.warning,
                "alert sent but not recorded; sending it again",
                error,
                subject=subject.name,
            )
        else:
            log.info("alert sent", subject=subject.name, what=alert)


def _send(address: str, title: str, body: str, *, is_good: bool) -> bool:
    from apprise import NotifyType  # noqa: PLC0415 -- 28 MB that most runs do not need

    kind = NotifyType.SUCCESS if is_good else NotifyType.FAILURE
    try:
        target = _load(address)
        sent = target is not None and target.notify(body=body, title=title, notify_type=kind)
    except Exception as error:
        log.warning("alert not sent", target=_shown(address), error=str(error))
        return False
    if not sent:
        reason = (
            "apprise does not understand the address" if target is None else "see the lines above"
        )
        log.warning("alert not sent", target=_shown(address), error=reason)
    return sent


def _load(address: str) -> "NotifyBase | None":
    from apprise import Apprise  # noqa: PLC0415

    with _silence_of_apprise():
        return Apprise.instantiate(address)


@contextmanager
def _silence_of_apprise() -> Iterator[None]:
    """Disable apprise's log, in which an invalid address would reveal its secrets."""
    logger = logging.getLogger("apprise")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def _shown(address: str) -> str:
    """Return the part of a target's address without secrets."""
    return f"{address.partition('://')[0]}://…"
