"""Restrictions by error 463: to whom the account currently cannot send.

A single refusal concerns that person. Refusals of several people within minutes concern the
account: it can then send only to people who wrote to it first, until a probe, one message to a
stranger, is accepted. The wait before a probe doubles each time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hudhud.core.backoff import doubled

WINDOW_MS = 10 * 60 * 1000
STRANGERS_THAT_RESTRICT = 3


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits in seconds before a retry for one person, and before probes."""

    person: float = 120.0
    first_probe: float = 15 * 60.0
    longest_probe: float = 24 * 3600.0


class Restriction:
    """Refused people and restrictions; times are milliseconds since the epoch."""

    def __init__(
        self, waits: Waits, wrote_first: Callable[[str], bool], until: int | None = None
    ) -> None:
        self._waits = waits
        self._person_ms = round(waits.person * 1000)
        self._wrote_first = wrote_first
        self._refused: dict[str, int] = {}
        self._failed_probes = 0
        self._lock = threading.Lock()
        self.until = until
        """Earliest time of a probe; None if the account is not restricted."""

    def wait(self, phone: str, now: int) -> float:
        """Return the seconds to wait before a message to `phone`, or 0."""
        # Outside the lock, because the library's threads take it and must not wait for a query.
        known = self.until is None or self._wrote_first(phone)
        with self._lock:
            again = self._refused[phone] + self._person_ms if phone in self._refused else now
            if self.until is not None and not known:
                again = max(again, self.until)
        return max(0, again - now) / 1000

    def refuse(self, phone: str, now: int) -> bool:
        """Record a refused message to `phone`; return whether `until` changed."""
        known = self.until is not None and self._wrote_first(phone)
        with self._lock:
            self._refused = {
                other: at for other, at in self._refused.items() if at > now - WINDOW_MS
            }
            self._refused[phone] = now
            if self.until is not None:
                if known:
                    return False
                self._failed_probes += 1
            elif len(self._refused) < STRANGERS_THAT_RESTRICT:
                return False
            self.until = now + round(self._probe_wait() * 1000)
            return True

    def accept(self, phone: str) -> bool:
        """Record an accepted message to `phone`; return whether the restriction ends."""
        known = self.until is None or self._wrote_first(phone)
        with self._lock:
            self._refused.pop(phone, None)
            if self.until is None or known:
                return False
            self.until = None
            self._failed_probes = 0
            self._refused.clear()
            return True

    def forgive(self, phone: str) -> None:
        """Forget a refusal of `phone`, because this person has now written."""
        with self._lock:
            self._refused.pop(phone, None)

    def _probe_wait(self) -> float:
        waits = self._waits
        return doubled(waits.first_probe, self._failed_probes, most=waits.longest_probe)
