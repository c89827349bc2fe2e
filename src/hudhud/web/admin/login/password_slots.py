"""How many passwords are judged at a time, and how many may wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hudhud.core.errors import HudhudError
from hudhud.core.sentences import say

# Each takes 64 MB: twelve at once cost 769 MB.
HASHES_AT_ONCE = 2
# They take some 0.1 s each: the last of so many waits a few seconds.
MOST_WAITING = 50
RETRY_SECONDS = 5
BUSY = say("login.busy")


class Busy(HudhudError):
    """Too many wait already; it may be tried again after `retry_after` seconds."""

    def __init__(self) -> None:
        super().__init__(BUSY)
        self.retry_after = RETRY_SECONDS


class PasswordSlots:
    """The places of logins whose passwords are hashed, and of those that wait."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._free = asyncio.Semaphore(HASHES_AT_ONCE)
        self._most_waiting = most_waiting
        self._waiting = 0

    def check_room(self) -> None:
        """Raise Busy where no more logins can wait."""
        if self._waiting >= self._most_waiting:
            raise Busy

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot, having waited for it. Raises Busy."""
        self.check_room()
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
