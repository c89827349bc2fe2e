"""What a channel is: few methods, and events about what happens on its own.

A channel lives in its sender's process. The worker calls it from one thread; events are handed
over from any thread and must be taken without blocking.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hudhud.inbound import Inbound
from hudhud.messages import Receipt
from hudhud.senders import StateReport


@dataclass(frozen=True, slots=True)
class Restart:
    """The channel can only go on in a new process; `forget_device` after a logout."""

    reason: str
    forget_device: bool = False


Event = StateReport | Receipt | Inbound | Restart


class Channel(Protocol):
    """Carries messages for one sender."""

    checks_numbers: bool
    """Whether `has_account` is worth asking (and remembering) before a first send."""

    def start(self, emit: Callable[[Event], None]) -> None:
        """Begin to connect and return at once; progress arrives as events."""

    def has_account(self, phone: str) -> bool:
        """Ask whether a number can be reached here.

        Raises TransientFailure or Snoozed where no answer is to be had.
        """

    def send(self, phone: str, text: str) -> str:
        """Hand a message over and return the provider's id for it.

        Raises PermanentFailure, TransientFailure or Snoozed.
        """

    def pair_by_phone(self, phone: str) -> str:
        """Return the code to type on the phone with this number. Raises CommandFailed."""

    def log_out(self) -> None:
        """Unlink the device; a Restart follows. Raises CommandFailed."""

    def stop(self) -> None:
        """Disconnect; called once, last."""
