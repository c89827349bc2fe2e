"""Limits on how many logins are in progress, and passwords are hashed, at once.

Each web process has its own; failures are counted in the database for all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hudhud.auth.login_origins import Origin
from hudhud.core.errors import HudhudError
from hudhud.core.sentences import say

# Each hash takes 64 MB: twelve at once took 769 MB.
HASHES_AT_ONCE = 2
# In the longest delay of a login, 4 s, 80 passwords are hashed.
PLACES = 100
PLACES_FOR_KNOWN_BROWSERS = 20
PLACES_OF_A_SITE = 20
RETRY_SECONDS = 5
BUSY = say("login.busy")


class Busy(HudhudError):
    """Too many logins are in progress; try again after `retry_after` seconds."""

    def __init__(self) -> None:
        super().__init__(BUSY)
        self.retry_after = RETRY_SECONDS


class PasswordSlots:
    """The places of logins in progress, and the slots in which they hash.

    Some places are reserved for known browsers, and one site gets only a share of the others.
    """

    def __init__(
        self,
        places: int = PLACES,
        *,
        for_known: int = PLACES_FOR_KNOWN_BROWSERS,
        of_a_site: int = PLACES_OF_A_SITE,
    ) -> None:
        self.hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._places = places
        self._for_known = for_known
        self._of_a_site = of_a_site
        self._known = 0
        self._unknown: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """The number of logins in progress."""
        return self._known + self._unknown.total()

    @contextmanager
    def place(self, origin: Origin) -> Iterator[None]:
        """Hold a place during a login. Raises Busy."""
        if not self._has_room(origin):
            raise Busy
        self._change(origin, 1)
        try:
            yield
        finally:
            self._change(origin, -1)

    def _has_room(self, origin: Origin) -> bool:
        if self.taken >= self._places:
            return False
        if origin.is_known:
            return True
        has_share = self._unknown[origin.site] < self._of_a_site
        return has_share and self._unknown.total() < self._places - self._for_known

    def _change(self, origin: Origin, by: int) -> None:
        if origin.is_known:
            self._known += by
            return
        self._unknown[origin.site] += by
        if not self._unknown[origin.site]:
            del self._unknown[origin.site]
