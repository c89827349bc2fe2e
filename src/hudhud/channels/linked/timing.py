"""Timeouts, pauses and backoff of the linked device."""

from dataclasses import dataclass, field

from hudhud.channels.linked.restriction import Waits
from hudhud.core.backoff import doubled, jittered


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and pauses in seconds; tests shorten them."""

    send: float = 20.0
    """Without an ack the library would wait for 75 s or without limit."""
    number_check: float = 10.0
    pair_code: float = 20.0
    logout: float = 10.0
    freed: float = 4.0
    """How long a hanging send may still take after its connection was closed."""

    connect: float = 30.0
    link: float = 120.0
    """A new device first generates and stores 812 keys: up to 10 s on a busy machine."""
    grace: float = 5.0
    """The library redials after 0, 2 and 6 s: allow the first two."""
    stable: float = 10.0
    """A shorter connection counts as failed, so that reconnects do not loop without waits."""
    close: float = 90.0
    """Closing waits for a dial in progress; with a dead proxy Go times out after 60 s."""
    longest_retry: float = 60.0

    replaced: float = 15 * 60.0
    """Reconnecting disconnects the other program. A short pause would make two programs replace
    each other in a loop; no reconnect would leave a sender offline until a person acts."""
    outdated: float = 3600.0
    unknown_ban: float = 3600.0
    pairing_failed: float = 3.0
    pairing_refused: float = 60.0
    passkey: float = 5 * 60.0
    logged_out: float = 3.0
    """Alerts poll about once a second and must see this state."""

    too_much: float = 60.0
    snooze: float = 20.0
    """Longest snooze of a message, so that another sender can soon take it."""
    offline: float = 2.0
    waits: Waits = field(default_factory=Waits)


class Backoff:
    """Exponential backoff between failed connections, with jitter."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = max(first, 0.1)
        self._longest = longest
        self.failures = 0

    def fail(self) -> float:
        """Count a failure and return the seconds to wait."""
        wait = doubled(self._first, self.failures, most=self._longest)
        self.failures += 1
        return jittered(wait)

    def succeed(self) -> None:
        """Reset the count of failures."""
        self.failures = 0
