"""The program that runs as a sender's process, and the waits of its supervisor.

Imports nothing heavy: `hudhud --help` imports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

# Ten heartbeats.
SILENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits in seconds; tests shorten them."""

    tick: float = 0.25
    pause: float = 1.0
    """Pause after an error, and between checks whether the sender is wanted."""
    stop: float = 7.0
    first_restart: float = 0.25
    longest_restart: float = 30.0
    healthy: float = 20.0
    """A process that ran this long was healthy; its end resets the backoff."""
    silence: float = SILENCE_SECONDS
    """A process without a heartbeat for this long hangs."""


@dataclass(frozen=True, slots=True)
class Program:
    """Command of a sender's process, without the sender's name, and its timing."""

    command: Sequence[str]
    timing: Timing = field(default_factory=Timing)
