"""Carry out operators' commands in a sender's process."""

import threading
from collections.abc import Callable
from contextlib import closing

import structlog

from hudhud.channels.base import Channel, Restart
from hudhud.core import loops
from hudhud.core.clock import now_ms
from hudhud.core.errors import CommandFailed
from hudhud.core.sentences import say
from hudhud.db.engine import Database
from hudhud.senders import commands
from hudhud.senders.commands import Command, CommandResult
from hudhud.worker.timing import Timing

log = structlog.get_logger(__name__)


class CommandLoop:
    """Carries out commands one by one; some take half a minute."""

    def __init__(
        self,
        *,
        sender: str,
        database: Database,
        channel: Channel,
        restart: Callable[[Restart], None],
        timing: Timing,
    ) -> None:
        self._sender = sender
        self._database = database
        self._channel = channel
        self._restart = restart
        self._timing = timing

    def run(self, stopping: threading.Event) -> None:
        """Carry out commands until `stopping`."""
        poll = self._timing.command_poll
        with closing(self._database.doorbell()) as doorbell:

            def step() -> None:
                self._carry_out_commands()
                doorbell.wait(poll)
                stopping.wait(self._timing.command_pause)

            loops.repeat(step, stopping=stopping, log=log, pause_seconds=poll)

    def _carry_out_commands(self) -> None:
        with self._database.read() as connection:
            if not commands.has_new(connection, sender=self._sender):
                return
        with self._database.write() as connection:
            taken = commands.take(connection, sender=self._sender, now=now_ms())
        for command in taken:
            log.info("command", kind=command.kind)
            result = self._carry_out(command)
            with self._database.write() as connection:
                commands.finish(connection, command=command, result=result, now=now_ms())
                self._database.notify(connection)
            if command.kind == "reload":
                self._restart(Restart("Requested by an operator."))

    def _carry_out(self, command: Command) -> CommandResult:
        try:
            match command.kind:
                case "pair_phone":
                    code = self._channel.pair_by_phone(command.argument or "")
                    return CommandResult(commands.DONE, pair_code=code)
                case "logout":
                    self._channel.log_out()
                    return CommandResult(commands.DONE, say("command.logged_out"))
                case "reload":
                    return CommandResult(commands.DONE, say("command.reloaded"))
        except CommandFailed as error:
            return CommandResult(commands.FAILED, error.sentence)
