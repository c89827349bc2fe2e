"""How long the linked device waits for what, and for how long it leaves WhatsApp in peace."""

from dataclasses import dataclass, field

from hudhud.channels.linked.restriction import Waits
from hudhud.core.backoff import doubled, jittered


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults are for use; tests shorten what would take them minutes."""

    send: float = 20.0
    """Without an ack the library would wait 75 s, or for ever."""
    number_check: float = 10.0
    pair_code: float = 20.0
    logout: float = 10.0
    freed: float = 4.0
    """A call that hangs on a closed connection for longer is beyond help."""

    connect: float = 30.0
    link: float = 120.0
    """A new device first makes and stores 812 keys, which took up to 10 s on a busy machine."""
    grace: float = 5.0
    """The library's own redials come at 0, 2 and 6 s: two of them get their chance."""
    stable: float = 10.0
    """A connection that ends sooner counts as failed, so that no loop turns without waits."""
    close: float = 90.0
    """Closing waits for a dial that is under way; behind a dead proxy Go gives up after 60 s."""
    longest_retry: float = 60.0

    replaced: float = 15 * 60.0
    """Each return throws the other program out: sooner, and two of them do so in a loop; never,
    and a sender whose rival is long gone waits for a person."""
    outdated: float = 3600.0
    unknown_ban: float = 3600.0
    pairing_failed: float = 3.0
    pairing_refused: float = 60.0
    passkey: float = 5 * 60.0
    logged_out: float = 3.0
    """The alert looks about once a second."""

    too_much: float = 60.0
    snooze: float = 20.0
    """A message comes back this soon at the latest: another sender may be free to carry it."""
    offline: float = 2.0
    waits: Waits = field(default_factory=Waits)


class Backoff:
    """Waits between failed connections: doubled each time, with jitter."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = max(first, 0.1)
        self._longest = longest
        self.failures = 0

    def fail(self) -> float:
        """Count a failure and return the seconds to wait after it."""
        wait = doubled(self._first, self.failures, most=self._longest)
        self.failures += 1
        return jittered(wait)

    def succeed(self) -> None:
        """Begin anew."""
        self.failures = 0
