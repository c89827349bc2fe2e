"""The help of commands: plain text of at most 80 columns, with examples.

Placeholders are words in capitals. Typer's own help adds each value's Python type, even `<bool>`
to a flag, and keeps the line breaks of docstrings.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from hudhud.cli.examples import EXAMPLES

PROGRAM = "hudhud"


class Command(TyperCommand):
    """A command with Hudhud's help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the placeholders of the usage line."""
        return _without_braces(super().collect_usage_pieces(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_parameters(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


class Group(TyperGroup):
    """A group of commands with Hudhud's help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write commands and options."""
        self.format_commands(ctx, formatter)
        _write_parameters(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole first paragraph, which click would cut."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, _summary(command)) for name, command in commands]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


class CommandTyper(typer.Typer):
    """A group whose commands have Hudhud's help."""

    def __init__(self, text: str | None = None, *, group: type[Group] = Group) -> None:
        super().__init__(
            name=None,
            cls=group,
            help=text,
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )

    def command(
        self, name: str | None = None, **options: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Add a command, like `typer.Typer.command`."""
        return super().command(name, cls=Command, **options)


def _without_braces(pieces: list[str]) -> list[str]:
    return [piece.strip("{}") for piece in pieces]


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    parameters = command.get_params(ctx)
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    if arguments:
        with formatter.section("Arguments"):
            formatter.write_dl([(argument.metavar, argument.help) for argument in arguments])
    with formatter.section("Options"):
        formatter.write_dl([p.get_help_record(ctx) for p in parameters if p not in arguments])


def _write_examples(ctx: Any, formatter: Any) -> None:
    examples = EXAMPLES[ctx.command_path.removeprefix(PROGRAM).strip()]
    with formatter.section("Example" if len(examples) == 1 else "Examples"):
        for example in examples:
            formatter.write(f"  {example}\n")


def _summary(command: Any) -> str:
    first, _, _ = str(command.help).partition("\n\n")
    return " ".join(first.split())
