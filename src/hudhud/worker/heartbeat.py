"""Report that a sender's process makes progress, and renew its leases."""

import threading
from collections.abc import Callable

import structlog

from hudhud.core import loops
from hudhud.core.clock import now_ms
from hudhud.db.engine import Database
from hudhud.messages import queue
from hudhud.senders import records

log = structlog.get_logger(__name__)


class Heartbeat:
    """Sends a heartbeat every `pause_seconds`, unless the sending loop hangs.

    It runs in its own thread, so that long operations elsewhere do not look like a hung sender.
    `on_loss` is called when another machine has taken over the sender.
    """

    def __init__(
        self,
        *,
        sender: str,
        machine: str,
        holder: str,
        database: Database,
        is_moving: Callable[[], bool],
        on_loss: Callable[[], None],
        pause_seconds: float,
    ) -> None:
        self._sender = sender
        self._machine = machine
        self._holder = holder
        self._database = database
        self._is_moving = is_moving
        self._on_loss = on_loss
        self._pause_seconds = pause_seconds

    def run(self, stopping: threading.Event) -> None:
        """Send heartbeats until `stopping`."""

        def step() -> None:
            if self._is_moving():
                self._beat()
            stopping.wait(self._pause_seconds)

        loops.repeat(
            step,
            stopping=stopping,
            log=log,
            pause_seconds=self._pause_seconds,
            unusable="the heartbeat cannot be recorded",
        )

    def _beat(self) -> None:
        with self._database.write() as connection:
            if not records.belongs_to(connection, name=self._sender, owner=self._machine):
                self._on_loss()
                return
            # Lock messages before senders, as everywhere, to avoid deadlocks.
            queue.extend(connection, sender=self._holder, now=now_ms())
            records.beat(connection, name=self._sender, now=now_ms())
