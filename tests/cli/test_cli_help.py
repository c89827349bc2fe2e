"""Every command explains itself; wrong use ends with one clear line."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hudhud import __version__
from hudhud.cli.commands import COMMANDS, load
from hudhud.db.migrate import HEAD
from support.command_line import PHONE, Installation, Run

README = Path(__file__).parents[2] / "README.md"


# The modules that `hudhud --help` may import: every command waits for them.
LIGHT = {
    "hudhud", "hudhud.cli", "hudhud.cli.commands",
    "hudhud.core", "hudhud.core.english", "hudhud.core.errors", "hudhud.core.sentences",
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


def test_list_of_commands() -> None:
    assert set(NAMES) == {
        "serve", "worker", "pair", "send", "status", "migrate", "forget", "doctor", "demo",
        "templates", "templates check", "templates preview",
        "keys", "keys create", "keys list", "keys rotate", "keys revoke",
        "webhooks", "webhooks add", "webhooks list", "webhooks remove", "webhooks enable",
        "webhooks rotate", "webhooks deliveries", "webhooks replay",
        "admin", "admin set-password", "admin unlock", "admin reset-second-factor",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(run: Run, name: str) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert f"Usage: hudhud {name}" in ended.out


@pytest.mark.parametrize(("path", "command"), EVERY_COMMAND, ids=NAMES)
def test_every_option_and_argument_has_help(path: tuple[str, ...], command: Any) -> None:
    assert command.help, path
    for parameter in command.params:
        assert getattr(parameter, "help", None), (path, parameter.name)


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
