"""How long this process has reached the database without a gap."""

import math
import time

from hudhud.db.engine import Database


class Uptime:
    """Time since the last database outage.

    After an outage other processes need time for a heartbeat before they count as silent.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since = -math.inf

    def end(self) -> None:
        """Record that the database cannot be used."""
        self._since = math.inf

    def resume(self) -> None:
        """Restart the measurement once the database can be written."""
        if self._since == math.inf:
            with self._database.write():
                self._since = time.monotonic()

    def has_lasted(self, milliseconds: int) -> bool:
        """Return whether the database was reachable for this long."""
        return (time.monotonic() - self._since) * 1000 >= milliseconds
