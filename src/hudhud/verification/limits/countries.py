"""Which countries may receive codes: allow and deny lists, minus guarded countries."""

import threading
from collections.abc import Iterable

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core.clock import now_ms
from hudhud.core.errors import NotAllowed
from hudhud.core.phones import Phone, region
from hudhud.db.engine import Database
from hudhud.db.tables import country_guards

RENEW_SECONDS = 2.0

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class CountryPolicy:
    """Decides from memory whether a number may receive codes.

    A thread reloads the guarded countries every `renew_seconds`, if the conversion guard `blocks`.
    """

    def __init__(
        self,
        database: Database,
        *,
        allowed: Iterable[str] = (),
        denied: Iterable[str] = (),
        blocks: bool = False,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._denied = frozenset(denied)
        self._blocks = blocks
        self._database = database
        self._renew_seconds = renew_seconds
        self._blocked: frozenset[str] = frozenset()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="countries", daemon=True)

    def start(self) -> None:
        """Load the guarded countries and start the thread that reloads them."""
        if self._blocks:
            self._renew()
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self, phone: Phone) -> None:
        """Raise NotAllowed, with the reason, if this number may not receive codes."""
        if not (self._allowed or self._denied or self._blocked):
            return
        country = region(phone)
        if country in self._denied or (self._allowed and country not in self._allowed):
            raise NotAllowed(f"No codes are sent to {country} here.", "country_not_allowed")
        if country in self._blocked:
            raise NotAllowed(
                f"No codes are sent to {country} for now: far fewer of them are confirmed than "
                "usual. Try again later.",
                "country_blocked",
            )

    def _run(self) -> None:
        while not self._stopping.wait(self._renew_seconds):
            self._renew()

    def _renew(self) -> None:
        """Reload the guarded countries; keep the previous ones if that fails."""
        blocked = select(country_guards.c.country).where(
            country_guards.c.until > now_ms(), country_guards.c.blocks
        )
        try:
            with self._database.read() as connection:
                self._blocked = frozenset(connection.scalars(blocked))
        except SQLAlchemyError as error:
            log.debug("could not reload guarded countries", error=str(error.__cause__ or error))
