"""The step that follows a connection of a linked device."""

from typing import NamedTuple

from hudhud.channels.base import Restart


class Next(NamedTuple):
    """The step after a connection: wait, then reconnect or restart."""

    seconds: float
    restart: Restart | None = None

    @property
    def forgets_device(self) -> bool:
        """Whether the device is logged out, so that a new one must be linked."""
        return self.restart is not None and self.restart.forget_device
