"""Start, watch, restart and stop one sender of this machine.

The supervisor holds the sender's lease in the database, so that no other machine runs it, and a
pipe to its process, so that the process ends when the supervisor does.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from hudhud.core import loops
from hudhud.core.backoff import doubled
from hudhud.core.clock import now_ms
from hudhud.core.database_lost import log_unusable
from hudhud.db.engine import Database
from hudhud.db.uptime import Uptime
from hudhud.senders import records
from hudhud.worker.program import Program
from hudhud.worker.worker import RESTART_EXIT_CODE

log = structlog.get_logger(__name__)


class SenderProcess:
    """One run of a sender's process."""

    def __init__(self, command: Sequence[str], sender: str) -> None:
        self.started = time.monotonic()
        # Rule 2 of the linked device: messages must not have the library's bot tag, and its
        # runtime reads the environment only at exec. Ctrl-C does not reach a new session.
        self._process = subprocess.Popen(  # noqa: S603 -- the command is the program's own
            [*command, sender],
            stdin=subprocess.PIPE,
            env={**os.environ, "NEONIZE_BOT_TAG": "off"},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code (negative for a signal), None while running."""
        return self._process.poll()

    def age(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def end(self, patience: float) -> None:
        """Wait `patience` seconds for the process to end, then kill it."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            log.error("the sender did not stop in time; killing it", pid=self.pid)
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Supervisor:
    """Keeps one sender running while it holds its lease.

    While `is_wanted`, if given, returns False, the sender has neither process nor lease.
    """

    def __init__(
        self,
        *,
        sender: str,
        channel: str,
        machine: str,
        database: Database,
        program: Program,
        is_wanted: Callable[[Connection], bool] | None = None,
    ) -> None:
        self.sender = sender
        self._channel = channel
        self._machine = machine
        self._database = database
        self._command = program.command
        self._timing = program.timing
        self._is_wanted = is_wanted
        self._process: SenderProcess | None = None
        self._restarts = 0
        self._start_at = 0.0
        self._renew_at = 0.0
        self._ask_at = 0.0
        self._wanted = is_wanted is None
        self._logged_other_machine = False
        self._uptime = Uptime(database)

    def run(self, stopping: threading.Event) -> None:
        """Supervise until `stopping`, then stop the sender."""

        def step() -> None:
            self._tick()
            stopping.wait(self._timing.tick)

        loops.repeat(
            step,
            stopping=stopping,
            log=log,
            pause_seconds=self._timing.pause,
            broken="unexpected error in the supervisor; trying again",
            on_unusable=self._uptime.end,
        )
        self._stop()

    def _tick(self) -> None:
        now = time.monotonic()
        self._uptime.resume()
        if self._is_wanted is not None and now >= self._ask_at:
            self._ask(self._is_wanted)
            self._ask_at = now + self._timing.pause
        if not self._wanted:
            return
        if now >= self._renew_at:
            self._keep_lease()
            self._renew_at = now + records.HEARTBEAT_MS / 1000
        self._watch()

    def _ask(self, is_wanted: Callable[[Connection], bool]) -> None:
        """Check whether the sender is wanted; stop it if not."""
        with self._database.read() as connection:
            wanted = is_wanted(connection)
        if self._wanted and not wanted:
            log.info("stopping a sender that is not needed", sender=self.sender)
            self._stop()
            self._renew_at = 0.0
        self._wanted = wanted

    def _keep_lease(self) -> None:
        """Take or renew the lease; stop if another machine holds it."""
        now = now_ms()
        with self._database.write() as connection:
            records.register(connection, name=self.sender, channel=self._channel, now=now)
            mine = records.take_lease(connection, name=self.sender, owner=self._machine, now=now)
        if mine:
            self._logged_other_machine = False
            if self._process is None and time.monotonic() >= self._start_at:
                self._start()
        else:
            self._yield_to_other_machine()

    def _yield_to_other_machine(self) -> None:
        if not self._logged_other_machine:
            log.warning(
                "another machine runs this sender; this one waits to take over. "
                "To run a second sender, set another WHATSAPP_CLIENT_ID here.",
                sender=self.sender,
            )
            self._logged_other_machine = True
        self._stop_process()

    def _stop_process(self) -> None:
        if self._process is not None:
            self._process.ask_to_stop()
            self._process.end(self._timing.stop)
            self._process = None

    def _start(self) -> None:
        try:
            self._process = SenderProcess(self._command, self.sender)
        except OSError as error:
            log.error("cannot start the sender's process", error=str(error))
            self._start_at = time.monotonic() + self._timing.longest_restart
            return
        log.info("sender process started", sender=self.sender, pid=self._process.pid)

    def _watch(self) -> None:
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._renew_at = 0.0
            return
        code = self._process.exit_code()
        if code is not None:
            self._process.end(0)
            self._plan_restart(code)
        elif self._is_silent():
            log.error("the sender's process hangs; killing it", pid=self._process.pid)
            self._process.end(0)
            self._plan_restart(None)

    def _is_silent(self) -> bool:
        """Return whether the process has sent no heartbeat for too long."""
        silence_ms = round(self._timing.silence * 1000)
        if self._process is None or self._process.age() * 1000 < silence_ms:
            return False
        if not self._uptime.has_lasted(silence_ms):
            return False
        with self._database.read() as connection:
            row = records.find(connection, self.sender)
        return row is not None and now_ms() - (row.heartbeat_at or 0) > silence_ms

    def _plan_restart(self, code: int | None) -> None:
        assert self._process is not None  # noqa: S101 -- for the type checker
        if self._process.age() > self._timing.healthy:
            self._restarts = 0
        delay = self._timing.first_restart
        if code != RESTART_EXIT_CODE:  # a channel that requests a restart has its own backoff
            delay = doubled(delay, self._restarts, most=self._timing.longest_restart)
            self._restarts += 1
        self._process = None
        self._start_at = time.monotonic() + delay
        if code != RESTART_EXIT_CODE:
            log.error(
                "the sender's process ended; restarting it",
                exit_code=code,
                restart_in_seconds=delay,
            )

    def _stop(self) -> None:
        self._stop_process()
        try:
            with self._database.write() as connection:
                records.drop_lease(connection, name=self.sender, owner=self._machine)
        except SQLAlchemyError as error:
            log_unusable(log.error, "could not release the sender's lease", error)
