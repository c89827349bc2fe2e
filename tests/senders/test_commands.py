"""Commands of operators to a sender's process."""

import itertools
import threading

import pytest
from sqlalchemy.exc import IntegrityError

from hudhud.db.engine import Database
from hudhud.senders import commands
from hudhud.senders.commands import DONE, FAILED, STALE_MS, Command, CommandResult
from support.queued import NOW, put_sender


@pytest.fixture(autouse=True)
def _sender(database: Database) -> None:
    put_sender(database, "main")
    put_sender(database, "other")


def ask(database: Database, kind: commands.CommandKind = "reload", *, sender: str = "main") -> int:
    with database.write() as connection:
        return commands.ask(connection, sender=sender, kind=kind, now=NOW)


def take(database: Database, *, now: int = NOW, sender: str = "main") -> list[Command]:
    with database.write() as connection:
        return commands.take(connection, sender=sender, now=now)


def has_new(database: Database, sender: str = "main") -> bool:
    with database.read() as connection:
        return commands.has_new(connection, sender=sender)


def result_of(database: Database, command: int) -> CommandResult | None:
    with database.read() as connection:
        return commands.result_of(connection, command)


def test_commands_are_taken_once_and_in_order(database: Database) -> None:
    with database.write() as connection:
        first = commands.ask(
            connection, sender="main", kind="pair_phone", now=NOW, argument="+20100"
        )
    second = ask(database, "logout")
    assert take(database) == [
        Command(first, "pair_phone", "+20100"),
        Command(second, "logout", None),
    ]
    assert take(database) == []


def test_a_command_is_for_one_sender(database: Database) -> None:
    ask(database, sender="other")
    assert not has_new(database, "main")
    assert has_new(database, "other")
    assert take(database) == []


def test_a_command_has_a_result_once_it_is_finished(database: Database) -> None:
    number = ask(database, "pair_phone")
    assert result_of(database, number) is None
    (command,) = take(database)
    assert result_of(database, number) is None
    with database.write() as connection:
        commands.finish(
            connection, command=command, result=CommandResult(DONE, pair_code="ABCD"), now=NOW
        )
    assert result_of(database, number) == CommandResult(DONE, pair_code="ABCD")


def test_command_not_taken_in_time_fails_and_is_not_carried_out(
    database: Database,
) -> None:
    number = ask(database)
    assert take(database, now=NOW + STALE_MS + 1) == []
    assert result_of(database, number) == CommandResult(FAILED, commands.STALE)
    assert not has_new(database)


def test_command_is_carried_out_until_its_deadline(database: Database) -> None:
    ask(database)
    assert len(take(database, now=NOW + STALE_MS)) == 1


def test_command_for_an_unknown_sender_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        ask(database, sender="nobody")


def test_simultaneous_processes_take_each_command_once(database: Database) -> None:
    asked = [ask(database) for _ in range(20)]
    start = threading.Barrier(4)
    taken: list[list[Command]] = []

    def grasp() -> None:
        start.wait()
        taken.append(take(database))

    threads = [threading.Thread(target=grasp) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(command.id for command in itertools.chain(*taken)) == asked
