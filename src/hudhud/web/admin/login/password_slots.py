"""Limits on how many passwords are hashed or wait at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hudhud.core.errors import HudhudError
from hudhud.core.sentences import say

# Each hash takes 64 MB: twelve at once took 769 MB.
HASHES_AT_ONCE = 2
# Each takes about 0.1 s, so the last of these waits a few seconds.
MOST_WAITING = 50
RETRY_SECONDS = 5
BUSY = say("login.busy")


class Busy(HudhudError):
    """Too many logins wait; try again after `retry_after` seconds."""

    def __init__(self) -> None:
        super().__init__(BUSY)
        self.retry_after = RETRY_SECONDS


class PasswordSlots:
    """The slots for hashing passwords, and the queue for them."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._free = asyncio.Semaphore(HASHES_AT_ONCE)
        self._most_waiting = most_waiting
        self._waiting = 0

    def check_room(self) -> None:
        """Raise Busy if the queue is full."""
        if self._waiting >= self._most_waiting:
            raise Busy

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it. Raises Busy."""
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
