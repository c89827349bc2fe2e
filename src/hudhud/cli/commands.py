"""The commands by name, each imported only when it runs.

`hudhud --help` needs only one line of each and must not import the database or web framework.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from hudhud.cli.help import CommandTyper, Group


class Entry(NamedTuple):
    """A command's module below `hudhud.cli`, its attribute, and its first help line."""

    module: str
    attribute: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "serve": Entry("serve", "serve", "Run the API and this machine's sender until Ctrl-C."),
    "worker": Entry(
        "serve",
        "worker",
        "Run only this machine's sender, with `serve` elsewhere (needs PostgreSQL).",
    ),
    "pair": Entry("pair", "pair", "Link a WhatsApp account by QR code or typed code."),
    "send": Entry("send", "send", "Send a code to a phone number and follow its delivery."),
    "status": Entry(
        "status",
        "status",
        "Show the senders, the queue and the latest 1,000 jobs.",
    ),
    "migrate": Entry(
        "serve",
        "migrate",
        "Migrate the database to this version; `serve` does so automatically.",
    ),
    "keys": Entry("keys", "keys", "Create, list, rotate and revoke API keys."),
    "templates": Entry(
        "templates", "templates", "Check your own message texts and preview all wordings."
    ),
    "webhooks": Entry(
        "webhooks", "hooks", "Manage the endpoints that receive events, and their deliveries."
    ),
    "admin": Entry("admin", "admin", "Set the admin's password, or restore lost access."),
    "forget": Entry(
        "forget",
        "forget",
        "Replace a phone number with a pseudonym in all stored data.",
    ),
    "doctor": Entry(
        "doctor",
        "doctor",
        "Check for common problems and explain how to fix them.",
    ),
    "demo": Entry("demo", "demo", "Watch a code arrive, without a phone and without WhatsApp."),
}


class CommandGroup(Group):
    """Lists the commands without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- typer's signature
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002
        """Return a stub of the command for the list in the help."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command named by the first argument."""
        if args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load(name: str) -> TyperCommand | TyperGroup:
    """Import a command, or a group of commands."""
    entry = COMMANDS[name]
    found = getattr(import_module(f"hudhud.cli.{entry.module}"), entry.attribute)
    if isinstance(found, typer.Typer):
        return get_group(found)
    alone = CommandTyper()
    alone.command(name)(found)
    return cast("TyperCommand", get_command(alone))
