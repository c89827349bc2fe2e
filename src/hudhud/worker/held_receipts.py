"""Receipts that came before their sends were recorded."""

import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from hudhud.channels.base import Receipt


class HeldReceipts:
    """Holds each receipt for `seconds`; for use by one thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: list[tuple[float, Receipt]] = []

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts held, oldest first."""
        return [receipt for _end, receipt in self._held]

    def update(self, arrived: Iterable[Receipt], unknown: AbstractSet[str]) -> None:
        """Add receipts that arrived, and keep only those of `unknown` messages."""
        end = time.monotonic() + self._seconds
        held = self._held + [(end, receipt) for receipt in arrived]
        self._held = [(end, one) for end, one in held if one.provider_message_id in unknown]

    def forget_old(self) -> None:
        """Drop the receipts that were held long enough."""
        now = time.monotonic()
        self._held = [(end, receipt) for end, receipt in self._held if end > now]
