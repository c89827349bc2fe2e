"""Commands of operators to a sender's process, passed through the database.

The process that holds the sender takes a command, executes it, and stores the result in its row.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from hudhud.core.clock import MINUTE_MS
from hudhud.core.sentences import Sentence, say
from hudhud.core.stored_sentences import columns, stored
from hudhud.db.batches import delete_some
from hudhud.db.tables import commands

CommandKind = Literal["reload", "logout", "pair_phone"]

NEW = "new"
TAKEN = "taken"
DONE = "done"
FAILED = "failed"
# A command not taken for this long is no longer executed.
STALE_MS = MINUTE_MS
KEPT_MS = 10 * MINUTE_MS
STALE = say("command.stale")
ABANDONED = say("command.abandoned")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was taken."""

    id: int
    kind: CommandKind
    argument: str | None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command's result: `done` or `failed`, with sentence or pairing code."""

    status: str
    sentence: Sentence | None = None
    pair_code: str | None = None


def ask(
    connection: Connection, *, sender: str, kind: CommandKind, now: int, argument: str | None = None
) -> int:
    """Store a command and return its id."""
    row = {"sender": sender, "kind": kind, "argument": argument, "status": NEW, "created_at": now}
    command_id: int = connection.scalars(insert(commands).returning(commands.c.id), row).one()
    return command_id


def has_new(connection: Connection, *, sender: str) -> bool:
    """Return whether the sender has a new command."""
    found = connection.execute(select(commands.c.id).where(_is_new(sender)).limit(1))
    return found.first() is not None


def take(connection: Connection, *, sender: str, now: int) -> list[Command]:
    """Take the sender's new commands, each once; fail stale ones."""
    connection.execute(
        update(commands)
        .where(_is_new(sender), commands.c.created_at < now - STALE_MS)
        .values(status=FAILED, **columns("result", STALE), finished_at=now)
    )
    rows = connection.execute(
        update(commands)
        .where(_is_new(sender))
        .values(status=TAKEN)
        .returning(commands.c.id, commands.c.kind, commands.c.argument)
    )
    return sorted((Command(*row) for row in rows), key=lambda command: command.id)


def abandon(connection: Connection, *, sender: str, now: int) -> None:
    """Fail commands that the sender's earlier process did not finish."""
    connection.execute(
        update(commands)
        .where(commands.c.sender == sender, commands.c.status == TAKEN)
        .values(status=FAILED, **columns("result", ABANDONED), finished_at=now)
    )


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` commands finished before `before`; return how many.

    They are deleted soon, because a result can be a pairing code.
    """
    finished = commands.c.finished_at
    return delete_some(connection, commands, finished < before, order=finished, limit=limit)


def finish(connection: Connection, *, command: Command, result: CommandResult, now: int) -> None:
    """Store the result of a command."""
    values = columns("result", result.sentence)
    if result.pair_code is not None:
        values["result"] = result.pair_code
    connection.execute(
        update(commands)
        .where(commands.c.id == command.id)
        .values(status=result.status, **values, finished_at=now)
    )


def result_of(connection: Connection, command_id: int) -> CommandResult | None:
    """Return a command's result, or None until it is finished."""
    row = connection.execute(select(commands).where(commands.c.id == command_id)).one()
    if row.status not in (DONE, FAILED):
        return None
    if row.status == DONE and row.kind == "pair_phone":
        return CommandResult(DONE, pair_code=row.result)
    return CommandResult(row.status, stored(row, "result"))


def _is_new(sender: str) -> ColumnElement[bool]:
    return and_(commands.c.sender == sender, commands.c.status == NEW)
