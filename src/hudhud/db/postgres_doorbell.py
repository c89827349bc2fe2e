"""PostgreSQL's doorbell, in its own module because importing psycopg takes memory."""

import time

import psycopg


class PostgresDoorbell:
    """Listen for NOTIFY on a separate connection, reconnecting if it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    def wait(self, seconds: float) -> bool:
        """Return True at a NOTIFY, or False after `seconds`.

        A lost connection counts as a ring, after at most a second.
        """
        try:
            listener = self._listening()
            return any(True for _ in listener.notifies(timeout=seconds, stop_after=1))
        except psycopg.OperationalError:
            self.close()
            time.sleep(min(1.0, seconds))
            return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listening(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            self._connection.execute("LISTEN hudhud")
        return self._connection
