"""Every command explains itself; wrong use ends with one clear line."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.main import get_command

from hudhud import __version__
from hudhud.cli import cli
from hudhud.cli.commands import COMMANDS, load
from hudhud.cli.durations import METAVAR
from hudhud.cli.examples import EXAMPLES
from hudhud.db.migrate import HEAD
from support.command_line import PHONE, Installation, Run

README = Path(__file__).parents[2] / "README.md"


# The modules that `hudhud --help` may import: every command waits for them.
LIGHT = {
    "hudhud", "hudhud.cli", "hudhud.cli.commands", "hudhud.cli.examples", "hudhud.cli.help",
    "hudhud.core", "hudhud.core.clock", "hudhud.core.english", "hudhud.core.errors",
    "hudhud.core.sentences",
    "hudhud.worker", "hudhud.worker.program",
}  # fmt: skip
HEAVY = {
    "alembic",
    "apprise",
    "httpx",
    "litestar",
    "neonize",
    "pydantic",
    "sqlalchemy",
    "structlog",
}
LIST_MODULES = """
import sys
from hudhud.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def commands_of(commands: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return every command with its full name."""
    for name, command in sorted(commands.items()):
        yield (*path, name), command
        yield from commands_of(getattr(command, "commands", {}), *path, name)


EVERY_COMMAND = list(commands_of({name: load(name) for name in COMMANDS}))
NAMES = [" ".join(path) for path, _ in EVERY_COMMAND]
COMMANDS_WITH_COMMANDS = {name for name in COMMANDS if hasattr(load(name), "commands")}
PLACEHOLDER = re.compile(r"[A-Z]+([=|][A-Z]+)?")


def test_list_of_commands() -> None:
    assert set(NAMES) == {
        "serve", "worker", "pair", "send", "status", "migrate", "forget", "doctor", "demo",
        "templates", "templates check", "templates preview",
        "keys", "keys create", "keys list", "keys rotate", "keys revoke",
        "webhooks", "webhooks add", "webhooks list", "webhooks remove", "webhooks enable",
        "webhooks rotate", "webhooks deliveries", "webhooks replay",
        "admin", "admin set-password", "admin unlock", "admin reset-second-factor",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_fits_80_columns_and_ends_with_examples(run: Run, name: str) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert f"Usage: hudhud {name}" in ended.out
    assert "<" not in ended.out.replace("<=x<=", "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    examples = [line for line in lines if line.startswith("  hudhud ")]
    assert examples == [f"  {example}" for example in EXAMPLES[name]]
    assert lines[-len(examples) :] == examples != []


@pytest.mark.parametrize(
    ("name", "example"), [(name, each) for name, examples in EXAMPLES.items() for each in examples]
)
def test_every_example_is_parsed(name: str, example: str) -> None:
    program, *arguments = shlex.split(example)
    assert program == "hudhud"
    group: Any = get_command(cli)
    context, path = group.make_context(program, arguments), []
    while context.command is group:
        called, command, rest = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        path.append(called)
        group = command if hasattr(command, "commands") else None
        context = command.make_context(called, rest, parent=context)
    assert " ".join(path).startswith(name)
    assert name in ("", *COMMANDS_WITH_COMMANDS) or path == name.split()


def test_paragraphs_of_the_help_are_not_broken(run: Run) -> None:
    """Lines of a docstring are joined, and wrapped only at the width."""
    paragraph = run("serve", "--help").out.split("\n\n")[2]
    assert paragraph == (
        "  The first start creates the data folder, database, API key and admin\n"
        "  password. Until WhatsApp is linked, it shows the QR code to scan."
    )


@pytest.mark.parametrize(("path", "command"), EVERY_COMMAND, ids=NAMES)
def test_every_option_and_argument_has_help(path: tuple[str, ...], command: Any) -> None:
    assert command.help, path
    for parameter in command.params:
        assert getattr(parameter, "help", None), (path, parameter.name)
        if not getattr(parameter, "is_flag", False):
            assert PLACEHOLDER.fullmatch(parameter.metavar or ""), (path, parameter.name)


def test_every_duration_has_the_same_placeholder_and_parser() -> None:
    """An option that takes a time in another form would need another help."""
    found = {
        (path, parameter.name)
        for path, command in EVERY_COMMAND
        for parameter in command.params
        if parameter.metavar == METAVAR
    }
    assert found == {
        (("keys", "create"), "expires_in"),
        (("keys", "rotate"), "overlap"),
        (("pair",), "timeout"),
        (("send",), "timeout"),
        (("templates", "preview"), "validity"),
        (("webhooks", "rotate"), "overlap"),
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_list_of_commands_shows_the_first_line_of_each(name: str) -> None:
    first, _, _ = str(load(name).help).partition("\n\n")
    assert " ".join(first.split()) == COMMANDS[name].summary


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_only_needed_modules(option: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, option], capture_output=True, text=True, check=True
    )
    imported = ended.stderr.split()
    assert {name for name in imported if name.partition(".")[0] == "hudhud"} == LIGHT
    assert HEAVY.isdisjoint(imported)


@pytest.mark.parametrize("path", [path for path, command in EVERY_COMMAND])
def test_readme_lists_every_command(path: tuple[str, ...]) -> None:
    assert f"hudhud {' '.join(path)}" in README.read_text(encoding="utf-8")


def test_version_prints_the_version(run: Run) -> None:
    assert run("--version").out == f"hudhud {__version__}\n"


@pytest.mark.parametrize("arguments", [["fly"], ["send"], ["status", "--loud"], ["keys", "make"]])
def test_wrong_use_exits_with_two(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert "Usage" in ended.err


@pytest.mark.parametrize("arguments", [["status"], ["serve"], ["worker"], ["migrate"], ["pair"]])
def test_invalid_setting_exits_with_two_and_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PORT", "many")
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("hudhud: Wrong setting. PORT: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["keys", "list"],
        ["keys", "revoke", "x"],
        ["pair"],
        ["send", PHONE],
        ["forget", PHONE],
    ],
)
def test_without_an_installation_commands_create_nothing(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    ended = run(*arguments)
    assert ended.code == 1
    assert ended.err == (
        "hudhud: There is no database data/hudhud.db yet. Start with: hudhud serve\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_unreachable_database_ends_with_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://hudhud:topsecret@127.0.0.1:1/hudhud")
    ended = run("status")
    assert ended.code == 1
    assert "cannot be opened" in ended.err
    assert "topsecret" not in ended.err
    assert ended.err.count("\n") == 1


def test_reading_commands_do_not_migrate_an_empty_database(
    run: Run, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    ended = run("status")
    assert (ended.code, ended.out) == (1, "")
    assert "The database is empty" in ended.err


def test_database_of_another_version_is_reported_with_a_remedy(
    run: Run, installation: Installation
) -> None:
    with installation.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    ended = run("status")
    assert ended.code == 1
    assert "hudhud migrate" in ended.err


def test_worker_without_postgresql_is_refused_before_anything_is_created(
    run: Run, tmp_path: Path
) -> None:
    ended = run("worker")
    assert ended.code == 2
    assert "DATABASE_URL" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_migrate_creates_the_tables(run: Run) -> None:
    ended = run("migrate")
    assert (ended.code, ended.out) == (0, f"The database is at revision {HEAD}.\n")


def test_migrate_without_a_data_folder_ends_with_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATA_DIR", "file/data")
    ended = run("migrate")
    assert ended.code == 2
    assert ended.err.startswith("hudhud: DATA_DIR: ")
    assert ended.err.count("\n") == 1
