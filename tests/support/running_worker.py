"""A worker in a thread, run as in its process."""

import threading
from typing import Any

from sqlalchemy import Row

from hudhud.channels.base import ChannelEvent, StateReport
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.senders import commands, records
from hudhud.senders.commands import CommandKind, CommandResult
from hudhud.worker.pace import Pace
from hudhud.worker.send import MessageSender
from hudhud.worker.timing import Timing
from hudhud.worker.worker import Worker
from support.queued import SECRET, link_replies, stored
from support.scripted_channel import ScriptedChannel
from support.services import wait_until

SECONDS = 15.0
MACHINE = "m"  # as put_sender has it
# It notices within a moment what a test changes.
QUICK = Timing(idle=0.1, command_poll=0.1)


class RunningWorker:
    """The running sender `main`, with access for the test."""

    def __init__(
        self,
        database: Database,
        channel: ScriptedChannel,
        pace: Pace | None = None,
        timing: Timing = QUICK,
        *,
        largest_batch: int = 1,
    ) -> None:
        self.database = database
        self.channel = channel
        self.exit_code: int | None = None
        self._worker = Worker(
            name="main",
            machine=MACHINE,
            channel_name="sandbox",
            database=database,
            channel=channel,
            message_sender=MessageSender(database, channel, CodeCipher(SECRET)),
            link_replies=link_replies(database),
            pace=pace or Pace(0, 0),
            largest_batch=largest_batch,
            timing=timing,
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.exit_code = self._worker.run()

    def stop(self) -> int:
        """Request a stop and return the exit code."""
        self._worker.request_stop()
        return self.wait_for_end()

    def wait_for_end(self) -> int:
        """Return the exit code once it has ended by itself."""
        self._thread.join(SECONDS)
        assert self.exit_code is not None, "the worker did not end"
        return self.exit_code

    def emit(self, event: ChannelEvent) -> None:
        """Emit an event of the channel and wait for the worker."""
        assert self.channel.started.wait(SECONDS)
        self.channel.emit(event)
        if isinstance(event, StateReport):
            wait_until(lambda: self._worker._state == event, SECONDS, "the worker to know")

    def sender(self) -> Row[Any]:
        """Return the sender's record."""
        with self.database.read() as connection:
            row = records.find(connection, "main")
        assert row is not None
        return row

    def wait_for(self, message: int, status: str) -> Row[Any]:
        """Return the message once it has that status."""
        wait_until(lambda: stored(self.database, message).status == status, SECONDS, status)
        return stored(self.database, message)

    def ask(self, kind: CommandKind, argument: str | None = None) -> int:
        """Give a command as an operator does, and return its id."""
        with self.database.write() as connection:
            number = commands.ask(
                connection, sender="main", kind=kind, now=now_ms(), argument=argument
            )
            self.database.notify(connection)
        return number

    def result(self, command: int) -> CommandResult:
        """Return the result of a finished command."""

        def found() -> CommandResult | None:
            with self.database.read() as connection:
                return commands.result_of(connection, command)

        wait_until(lambda: found() is not None, SECONDS, "the command's result")
        result = found()
        assert result is not None
        return result
