"""The pace of a sender: a random gap between messages."""

import random


class Pace:
    """Decides when a sender may send; times are milliseconds since the epoch."""

    def __init__(self, shortest_gap: int, longest_gap: int, next_send_at: int = 0) -> None:
        self._shortest = shortest_gap
        self._longest = longest_gap
        self.next_send_at = next_send_at

    @property
    def is_unlimited(self) -> bool:
        """Whether messages may follow each other without a gap."""
        return self._longest == 0

    def wait(self, now: int) -> float:
        """Return the seconds until the next message may be sent."""
        # The next turn is further away than the longest gap only if the clock was set back.
        self.next_send_at = min(self.next_send_at, now + self._longest)
        return max(0, self.next_send_at - now) / 1000

    def take_turn(self, now: int) -> int:
        """Use the turn at `now`; return the time of the next."""
        gap = random.randint(self._shortest, self._longest)  # noqa: S311 -- not a secret
        self.next_send_at = now + gap
        return self.next_send_at
