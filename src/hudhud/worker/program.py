"""The program that runs as a sender's process, and the waits of its supervisor.

Imports nothing heavy: `hudhud --help` imports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults are for use; tests shorten what would keep them waiting."""

    tick: float = 0.25
    pause: float = 1.0
    """So long is waited after an error, and between two questions whether the sender is needed."""
    stop: float = 7.0
    first_restart: float = 0.25
    longest_restart: float = 30.0
    healthy: float = 20.0
    """A process that ran this long was well; its next end is not a repetition."""


@dataclass(frozen=True, slots=True)
class Program:
    """What runs as a sender's process (its name is added to the command), and how it is watched."""

    command: Sequence[str]
    timing: Timing = field(default_factory=Timing)
