"""Since when this process has used the database without a gap."""

import math
import time

from hudhud.db.engine import Database


class Uptime:
    """After a gap others need time to beat and record before their silence is judged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since = -math.inf

    def end(self) -> None:
        """Note that the database cannot be used."""
        self._since = math.inf

    def resume(self) -> None:
        """Begin again once the database can be written; called at each look."""
        if self._since == math.inf:
            with self._database.write():
                self._since = time.monotonic()

    def has_lasted(self, milliseconds: int) -> bool:
        """Tell whether there was no gap for so long."""
        return (time.monotonic() - self._since) * 1000 >= milliseconds
