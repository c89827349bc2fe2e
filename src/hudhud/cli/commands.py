"""The commands by name; the module of one is imported when it is run.

`hudhud --help` needs one line of each, and must not wait for a database or a web framework.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class Entry(NamedTuple):
    """Where a command is, below `hudhud.cli`, and the first line of its help."""

    module: str
    attribute: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "serve": Entry("serve", "serve", "Serve the API and run this machine's sender, until Ctrl-C."),
    "worker": Entry(
        "serve",
        "worker",
        "Run only this machine's sender, beside a `serve` elsewhere (needs PostgreSQL).",
    ),
    "pair": Entry(
        "pair", "pair", "Link a WhatsApp account: show the QR code to scan until it is connected."
    ),
    "send": Entry(
        "send", "send", "Send a code to a phone number, and follow it until it is delivered."
    ),
    "status": Entry(
        "status",
        "status",
        "Show the senders, what waits in the queue, and what became of the latest 1,000 jobs.",
    ),
    "migrate": Entry(
        "serve",
        "migrate",
        "Bring the database to this version's tables; `serve` does it by itself.",
    ),
    "keys": Entry("keys", "keys", "Make, list, rotate and revoke API keys."),
    "templates": Entry(
        "templates", "templates", "Check your own texts, and see texts as they are read."
    ),
    "webhooks": Entry("webhooks", "hooks", "Send events to other programs."),
    "admin": Entry("admin", "admin", "Change the admin's password, or find a way back in."),
    "forget": Entry(
        "forget",
        "forget",
        "Forget a phone number: a pseudonym takes its place in all that is stored.",
    ),
    "doctor": Entry(
        "doctor",
        "doctor",
        "Check what usually goes wrong, and say how to mend it. Changes nothing.",
    ),
    "demo": Entry(
        "demo", "demo", "See a code arrive in a minute, without a phone and without WhatsApp."
    ),
}


class CommandGroup(TyperGroup):
    """Lists the commands without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- typer calls it so
        """Return their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        """Return what the help shows of a command."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that the arguments begin with."""
        if args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load(name: str) -> TyperCommand | TyperGroup:
    """Import a command, or a group of commands."""
    entry = COMMANDS[name]
    found = getattr(import_module(f"hudhud.cli.{entry.module}"), entry.attribute)
    if isinstance(found, typer.Typer):
        return get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return cast("TyperCommand", get_command(alone))
