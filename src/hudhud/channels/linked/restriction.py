"""Restrictions by error 463: to whom the account currently cannot send.

A single refusal concerns that person. Refusals of several people within minutes concern the
account: it can then send only to people who wrote to it first, until a probe, one message to a
stranger, is accepted. The wait before a probe doubles each time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hudhud.channels.base import UNNAMED, Account
from hudhud.core.backoff import doubled

WINDOW_MS = 10 * 60 * 1000
STRANGERS_THAT_RESTRICT = 3


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits in seconds before a retry for one person, and before probes."""

    person: float = 120.0
    first_probe: float = 15 * 60.0
    longest_probe: float = 24 * 3600.0


class Recipient(NamedTuple):
    """A person to whom a message is sent: a number and its account."""

    phone: str
    account: Account = UNNAMED

    @property
    def names(self) -> frozenset[str]:
        """The number and the account's names; people who share one are the same."""
        return self.account.names | {self.phone}


class Restriction:
    """Refused people and restrictions; times are milliseconds since the epoch."""

    def __init__(
        self, waits: Waits, wrote_first: Callable[[str], bool], until: int | None = None
    ) -> None:
        self._waits = waits
        self._person_ms = round(waits.person * 1000)
        self._wrote_first = wrote_first
        self._refused: dict[frozenset[str], int] = {}
        self._failed_probes = 0
        self._lock = threading.Lock()
        self.until = until
        """Earliest time of a probe; None if the account is not restricted."""

    def wait(self, recipient: Recipient, now: int) -> float:
        """Return the seconds to wait before a message to this person, or 0."""
        # Outside the lock, because the library's threads take it and must not wait for a query.
        known = self.until is None or self._wrote_first(recipient.phone)
        with self._lock:
            refused = [self._refused[names] for names in self._same(recipient.names)]
            again = max([now, *(at + self._person_ms for at in refused)])
            if self.until is not None and not known:
                again = max(again, self.until)
        return max(0, again - now) / 1000

    def refuse(self, recipient: Recipient, now: int) -> bool:
        """Record a refused message to this person; return whether `until` changed."""
        known = self.until is not None and self._wrote_first(recipient.phone)
        with self._lock:
            self._refused = {
                names: at for names, at in self._refused.items() if at > now - WINDOW_MS
            }
            self._forget(recipient.names)
            self._refused[recipient.names] = now
            if self.until is not None:
                if known:
                    return False
                self._failed_probes += 1
            elif len(self._refused) < STRANGERS_THAT_RESTRICT:
                return False
            self.until = now + round(self._probe_wait() * 1000)
            return True

    def accept(self, recipient: Recipient) -> bool:
        """Record an accepted message to this person; return whether the restriction ends."""
        known = self.until is None or self._wrote_first(recipient.phone)
        with self._lock:
            self._forget(recipient.names)
            if self.until is None or known:
                return False
            self.until = None
            self._failed_probes = 0
            self._refused.clear()
            return True

    def forgive(self, account: Account) -> None:
        """Forget a refusal of this person, who has now written."""
        with self._lock:
            self._forget(account.names)

    def _forget(self, names: frozenset[str]) -> None:
        for same in self._same(names):
            del self._refused[same]

    def _same(self, names: frozenset[str]) -> list[frozenset[str]]:
        """Return the refused people who share one of these names."""
        return [others for others in self._refused if not others.isdisjoint(names)]

    def _probe_wait(self) -> float:
        waits = self._waits
        return doubled(waits.first_probe, self._failed_probes, most=waits.longest_probe)
